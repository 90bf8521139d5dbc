"""How many rows wait to be logged, and what became of the others."""

import logging
from threading import Lock

from prometheus_client import Counter, Gauge

log = logging.getLogger("uvicorn.error")

ROWS = Counter("takehome_log_rows_total", "Rows by outcome: committed to PostgreSQL, or given up.", ["outcome"])
WAITING = Gauge("takehome_log_buffered_rows", "Rows waiting to be logged.", multiprocess_mode="livesum")
FAILURES = Counter("takehome_log_failures_total", "Attempts to log that failed, by reason.", ["reason"])


class Account:
    """Each row that comes in waits until it leaves as logged or dropped, counted before: /metrics never misses it.

    Parameters
    ----------
    most_rows : how many may wait.
    """

    def __init__(self, most_rows: int) -> None:
        self.most_rows = most_rows
        self.waiting = 0
        self._lock = Lock()
        self._told: set[str] = set()
        self._logged, self._dropped = ROWS.labels("logged"), ROWS.labels("dropped")

    def enter(self, rows: int) -> bool:
        """Let rows in, or drop all of them where they are too many."""
        with self._lock:
            fits = self.waiting + rows <= self.most_rows
            if fits:
                self.waiting += rows
                WAITING.set(self.waiting)
        if not fits:
            self._dropped.inc(rows)
            self.tell(f"Predictions are dropped from the log: {self.most_rows:,} rows are waiting already.")
        return fits

    def logged(self, rows: int) -> None:
        """Rows are committed; the next trouble is news again."""
        self._logged.inc(rows)
        self._leave(rows)
        if self._told:
            log.info("Predictions are logged again.")
            self._told.clear()

    def dropped(self, rows: int, reason: str) -> None:
        """Rows are given up, and why."""
        self._dropped.inc(rows)
        self._leave(rows)
        self.tell(f"Predictions are dropped from the log: {reason}")

    def failed(self, reason: str, detail: str) -> None:
        """An attempt has failed, and will be made again."""
        FAILURES.labels(reason).inc()
        self.tell(f"Predictions can't be logged ({detail}). They are answered, wait in memory, and are logged later.")

    def tell(self, message: str) -> None:
        """Say something once."""
        if message not in self._told:
            self._told.add(message)
            log.warning(message)

    def _leave(self, rows: int) -> None:
        with self._lock:
            self.waiting -= rows
            WAITING.set(self.waiting)
