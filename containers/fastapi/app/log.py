"""Every answer into PostgreSQL, off the request path: a prediction never waits for its log, nor fails with it."""

import asyncio
import json
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from takehome.metadata import Metadata

from app.log_account import Account
from app.log_lines import Answered, lines
from app.log_writer import Writer

log = logging.getLogger("uvicorn.error")

_FLUSH_SECONDS = 2
_TURN_ROWS = 256  # are encoded in one go: on the event loop, since a thread would only take turns with it, or in a
_TURN_BYTES = 256 << 10  # thread, where there are more of them


class PredictionLog:
    """Takes answers on the event loop; a thread writes them to PostgreSQL, as lines that another makes of many rows.

    Each process of the API has its own, with its own connection. Where PostgreSQL is, the PG* variables say.

    Parameters
    ----------
    on : whether to log at all.
    most_rows, most_bytes : how much may wait while PostgreSQL does not take it; what comes then is dropped.
    """

    def __init__(self, *, on: bool = True, most_rows: int = 200_000, most_bytes: int = 64 << 20) -> None:
        self._on = on and "PGHOST" in os.environ
        if on and not self._on:
            log.info("PGHOST is not set: predictions are not logged.")
        self._account = Account(most_rows)
        self._writer = Writer(self._account, most_bytes)
        self._answered: list[Answered] = []
        self._rows = self._bytes = 0  # of these
        self._encoder = ThreadPoolExecutor(1, "prediction log encoder")

    async def start(self) -> None:
        """Begin to write."""
        if self._on:
            self._writer.start()

    async def stop(self) -> None:
        """Write what is waiting, for two seconds at most; the rest is dropped."""
        self._encoder.submit(self._writer.finish)
        deadline = time.monotonic() + _FLUSH_SECONDS
        while self._writer.is_alive() and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        if left := self._account.waiting:
            log.warning("%s predictions are lost to the log: PostgreSQL did not take them before the end.", f"{left:,}")

    def add(self, answered: Answered, size: int) -> None:
        """Log a request that was answered, whatever PostgreSQL does.

        Parameters
        ----------
        answered : what is in it is read later, and must not change.
        size : of the body, in bytes.
        """
        if not self._on:
            return
        if not self._answered:  # what was predicted together is logged together
            asyncio.get_running_loop().call_soon(self._log)
        self._answered.append(answered)
        self._rows += len(answered[2])
        self._bytes += size

    def describe(self, metadata: Metadata) -> None:
        """Store the model's profile, which the drift of its predictions is measured against."""
        if self._on:
            columns = enumerate(metadata.profile.items())
            self._writer.describe(
                [(metadata.version, position, name, json.dumps(profile)) for position, (name, profile) in columns]
            )

    def _log(self) -> None:
        answered, rows, size = self._answered, self._rows, self._bytes
        self._answered, self._rows, self._bytes = [], 0, 0
        if not self._account.enter(rows):
            return
        if rows > _TURN_ROWS or size > _TURN_BYTES:
            self._encoder.submit(self._encode, time.time(), answered, rows)
        else:
            self._encode(time.time(), answered, rows)

    def _encode(self, at: float, answered: list[Answered], left: int) -> None:
        encoded = lines(at, answered)
        try:
            while turn := list(islice(encoded, _TURN_ROWS)):
                written = [line for line in turn if line is not None]
                left -= len(turn)
                if len(written) < len(turn):
                    self._account.dropped(len(turn) - len(written), "a row can't be written as JSON.")
                if written:
                    self._writer.offer(b"\n".join(written) + b"\n")
                if left:
                    time.sleep(0)  # others have their turn
        except Exception as error:  # it must be told; no prediction fails with it
            self._account.dropped(left, f"they can't be encoded: {type(error).__name__}.")
