"""The thread that copies lines into PostgreSQL, and the only one that PostgreSQL can keep waiting."""

from collections import deque
from contextlib import suppress
from io import BytesIO
from threading import Event, Lock, Thread
from typing import Any

import psycopg2
from psycopg2 import errors, extensions

from app.log_account import Account
from app.log_lines import COPY

_BATCH_BYTES = 4 << 20
_GATHER_SECONDS = 0.2  # a transaction costs as much as hundreds of rows
_PAUSES = (0.2, 0.5, 1, 2, 4)  # seconds, after failures in a row
_SESSION: dict[str, Any] = {
    "application_name": "takehome prediction log",
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,  # ms; without these three a server that vanished is waited for for hours
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "options": "-c statement_timeout=10s",
}
_PROFILE = (
    'INSERT INTO model_profiles (model_version, position, "column", profile) VALUES (%s, %s, %s, %s)'
    " ON CONFLICT DO NOTHING"
)
# A value that PostgreSQL refuses, whatever rows stand beside it.
_POISON = (psycopg2.DataError, psycopg2.IntegrityError, errors.ProgramLimitExceeded)


class Writer(Thread):
    """Writes batches in order; a batch leaves only when it is committed, or refused for what is in it.

    Parameters
    ----------
    account : told what became of each row.
    most_bytes : how much may wait here.
    """

    def __init__(self, account: Account, most_bytes: int) -> None:
        super().__init__(name="prediction log writer", daemon=True)
        self._account = account
        self._most_bytes = most_bytes
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._lock = Lock()
        self._batches: list[bytes] = []  # taken and not settled, the next one last; never regrouped, see `_send`
        self._profile: list[tuple] = []
        self._described: list[tuple] | None = None  # what was written on this connection
        self._connection: extensions.connection | None = None
        self._wake, self._last = Event(), Event()

    def offer(self, lines: bytes) -> None:
        """Take lines, or drop them where too much is waiting."""
        with self._lock:
            fits = self._bytes + len(lines) <= self._most_bytes
            if fits:
                self._bytes += len(lines)
                self._lines.append(lines)
        if not fits:
            self._account.dropped(_rows(lines), f"{self._most_bytes / 1e6:.0f} MB are waiting already.")
        elif not self._wake.is_set():
            self._wake.set()

    def describe(self, profile: list[tuple]) -> None:
        """Take the rows of `model_profiles` for the model being served."""
        self._profile = profile
        self._wake.set()

    def finish(self) -> None:
        """Write what is waiting, then end; the first failure ends it, too."""
        self._last.set()
        self._wake.set()

    def run(self) -> None:
        """Write until told to finish."""
        failures = 0
        while not (self._last.is_set() and (failures or not self._next())):
            if failures:
                self._last.wait(_PAUSES[min(failures, len(_PAUSES)) - 1])
            else:
                self._wake.wait()
                self._last.wait(_GATHER_SECONDS)
            self._wake.clear()
            failures = 0 if self._write() else failures + 1
        self._hang_up()

    def _write(self) -> bool:
        try:
            connection = self._connected()
            while (batch := self._next()) is not None:
                self._send(connection, batch)
            return True
        except Exception as error:  # this thread outlives whatever happens
            self._failed(error)
            self._hang_up()
            return False

    def _connected(self) -> extensions.connection:
        if self._connection is None:
            self._connection = psycopg2.connect("", **_SESSION)
            self._described = None
        if self._described is not self._profile:
            self._describe(self._connection, self._profile)
        return self._connection

    def _describe(self, connection: extensions.connection, profile: list[tuple]) -> None:
        """Write a profile; anew on each connection, since the table may have been made anew. Rows don't wait for it."""
        try:
            with connection, connection.cursor() as cursor:
                cursor.executemany(_PROFILE, profile)
        except (psycopg2.DataError, psycopg2.ProgrammingError) as error:
            self._failed(error)
        self._described = profile

    def _next(self) -> bytes | None:
        if not self._batches and self._lines:
            self._batches.append(self._take())
        return self._batches[-1] if self._batches else None

    def _take(self) -> bytes:
        taken, size = [], 0
        while self._lines and size < _BATCH_BYTES:
            taken.append(self._lines.popleft())
            size += len(taken[-1])
        return b"".join(taken)

    def _send(self, connection: extensions.connection, batch: bytes) -> None:
        """Commit a batch, or halve it until the row that PostgreSQL refuses is alone.

        A batch that is there already was committed when the connection broke before the answer came.
        """
        try:
            with connection, connection.cursor() as cursor:
                cursor.copy_expert(COPY, BytesIO(batch), size=_BATCH_BYTES)
        except errors.UniqueViolation:
            pass
        except _POISON as error:
            if (rows := _rows(batch)) > 1:
                lines = batch.splitlines(keepends=True)
                self._batches[-1:] = [b"".join(lines[rows // 2 :]), b"".join(lines[: rows // 2])]
                return
            self._settle(batch)
            self._account.dropped(1, f"PostgreSQL refuses the row: {_first_line(error)}.")
            return
        self._settle(batch)
        self._account.logged(_rows(batch))

    def _settle(self, batch: bytes) -> None:
        self._batches.pop()
        with self._lock:
            self._bytes -= len(batch)

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, psycopg2.InterfaceError) and error.__context__:
            error = error.__context__  # what broke the connection, not that there was none left to roll back on
        self._account.failed(type(error).__name__, _first_line(error))

    def _hang_up(self) -> None:
        if self._connection is not None:
            with suppress(psycopg2.Error):
                self._connection.close()
        self._connection = None


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]


def _rows(lines: bytes) -> int:
    return lines.count(b"\n")
