"""Every answer into PostgreSQL, off the request path: a prediction never waits for its log, nor fails with it."""

import asyncio
import json
import logging
import os
import time
from collections import deque
from threading import Event, Thread

from takehome.metadata import Metadata
from takehome.rows import Finding
from takehome.schema import Row

from app.log_account import Account
from app.log_lines import Answered, lines
from app.log_writer import Writer
from app.texts import Text

log = logging.getLogger("uvicorn.error")

_GATHER_SECONDS = 0.2  # a thread woken by each request would cost more than the writing
_FLUSH_SECONDS = 2
_TURN_ROWS = 64


class PredictionLog:
    """Takes answers on the event loop; two threads turn them into lines, and write these to PostgreSQL.

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
        self._answered: deque[Answered] = deque()
        self._closing = Event()
        self._encoder = Thread(target=self._encode, name="prediction log encoder", daemon=True)

    async def start(self) -> None:
        """Begin to write."""
        if self._on:
            self._encoder.start()
            self._writer.start()

    async def stop(self) -> None:
        """Write what is waiting, for two seconds at most; the rest is dropped."""
        self._closing.set()
        deadline = time.monotonic() + _FLUSH_SECONDS
        while self._writer.is_alive() and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        if left := self._account.waiting:
            log.warning("%s predictions are lost to the log: PostgreSQL did not take them before the end.", f"{left:,}")

    def add(
        self,
        request_id: str,
        version: str,
        rows: list[Row],
        answers: list[Text],
        warnings: list[list[Finding]] | None = None,
    ) -> None:
        """Log a request that was answered; returns within microseconds, whatever PostgreSQL does.

        Parameters
        ----------
        rows, answers, warnings : n of each, or no warnings; they are read later, and must not change.
        """
        if self._on and self._account.enter(len(rows)):
            self._answered.append(Answered(int(1000 * time.time()), request_id, version, rows, answers, warnings))

    def describe(self, metadata: Metadata) -> None:
        """Store the model's profile, which the drift of its predictions is measured against."""
        if self._on:
            columns = enumerate(metadata.profile.items())
            self._writer.describe(
                [(metadata.version, position, name, json.dumps(profile)) for position, (name, profile) in columns]
            )

    def _encode(self) -> None:
        """Turn answers into lines, though PostgreSQL may keep the writer waiting: only lines have a known size."""
        while not self._closing.wait(_GATHER_SECONDS):
            self._encode_all()
        self._encode_all()
        self._writer.finish()

    def _encode_all(self) -> None:
        turn = 0
        while self._answered:
            for line in lines(self._answered.popleft()):
                if line is None:
                    self._account.dropped(1, "a row can't be written as JSON.")
                else:
                    self._writer.offer(line)
                turn += 1
                if turn % _TURN_ROWS == 0:
                    time.sleep(0)  # the event loop has its turn
        if turn:
            self._writer.wake()
