"""One thread that predicts: rows that arrive while it is busy are gathered and go together."""

import asyncio
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from fastapi import HTTPException
from takehome.answers import Answer
from takehome.rows import Finding, RowError
from takehome.schema import Row

from app.job import Job
from app.served import Served
from app.settings import settings

MOST_ROWS = 2_048  # in a batch: what costs little more than one row, and keeps nobody else waiting for long
MOST_BYTES = 4 << 20
SHARE = 256  # rows of a request that has had nothing yet, before others get theirs
SECONDS = 0.2  # a batch of a slow model that takes longer is followed by a smaller one
QUIET_TURNS = 2  # of the event loop without a new row; no timer, so that a lone row starts at once


class Part(NamedTuple):
    """The rows of a job that go into the next batch."""

    job: Job
    rows: list[Row]


class Batcher:
    """Gathers the rows of many requests; the first come, the first served, and no request before all others."""

    def __init__(self) -> None:
        self._new: deque[Job] = deque()
        self._begun: deque[Job] = deque()
        self._busy = False
        self._came = 0
        self._most = MOST_ROWS
        self._thread = ThreadPoolExecutor(1, "predict")

    def put(self, job: Job) -> None:
        """Let a job wait for the model.

        Raises
        ------
        HTTPException
            503: too many wait already.
        """
        if len(self._new) + len(self._begun) >= settings.most_waiting:
            raise HTTPException(503, "Too many requests are waiting for the model. Try again.", {"Retry-After": "1"})
        self._new.append(job)
        self._came += 1
        if not self._busy:
            self._busy = True
            asyncio.get_running_loop().call_soon(self._gather, 0, 0)

    def _gather(self, came: int, quiet: int) -> None:
        """Start once nothing more comes in, so that clients who were answered together ask together again."""
        quiet = quiet + 1 if came == self._came else 0
        if quiet < QUIET_TURNS and len(self._new) < SHARE:
            asyncio.get_running_loop().call_soon(self._gather, self._came, quiet)
        else:
            self._start()

    def _start(self) -> None:
        parts = self._take()
        self._busy = bool(parts)
        if parts:
            asyncio.get_running_loop().run_in_executor(self._thread, self._predict, parts).add_done_callback(
                lambda _: self._finish(parts)
            )

    def _take(self) -> list[Part]:
        """Choose the rows of the next batch, all for the same model."""
        parts: list[Part] = []
        rows, size = self._most, MOST_BYTES
        for queue, share in ((self._new, SHARE), (self._begun, MOST_ROWS)):
            while queue and rows > 0 and size > 0:
                job = queue[0]
                if parts and job.served is not parts[0].job.served:
                    break
                queue.popleft()
                if job.done.done():  # the client has gone
                    continue
                each = job.size // len(job.rows) + 1
                number = max(1, min(share, rows, size // each, job.left)) if job.served.batched else 1
                parts.append(Part(job, job.rows[job.position : job.position + number]))
                rows, size = (rows - number, size - number * each) if job.served.batched else (0, 0)
        return parts

    def _predict(self, parts: list[Part]) -> None:
        """Answer a batch, in the thread."""
        began = time.monotonic()
        answer(parts)
        seconds, rows = time.monotonic() - began, sum(len(part.rows) for part in parts)
        if seconds > SECONDS:
            self._most = max(1, min(self._most, rows) // 2)
        elif rows >= self._most:
            self._most = min(MOST_ROWS, 2 * self._most)

    def _finish(self, parts: list[Part]) -> None:
        for job, _ in parts:
            if job.failure or not job.left:
                job.finish(job.failure)
            else:
                (self._begun if job.served.batched else self._new).append(job)
        if self._new or self._begun:
            asyncio.get_running_loop().call_soon(self._gather, 0, 0)
        else:
            self._busy = False


def answer(parts: list[Part]) -> None:
    """Answer the rows of several jobs together; where that fails, find the job at fault by halves.

    Whatever an estimator raises, it is a row that it can't answer: nothing may end the thread.
    """
    served = parts[0].job.served
    try:
        answers = served.answer([row for part in parts for row in part.rows])
    except BaseException as error:
        if len(parts) == 1:
            parts[0].job.failure = RowError([_unanswerable(served, *parts[0], error)])
        else:
            answer(parts[: len(parts) // 2])
            answer(parts[len(parts) // 2 :])
        return
    first = 0
    for job, rows in parts:
        _take(job, answers[first : first + len(rows)])
        first += len(rows)


def _take(job: Job, answers: list[Answer]) -> None:
    try:
        job.take(answers)
    except Exception as error:
        job.failure = error


def _unanswerable(served: Served, job: Job, rows: list[Row], error: BaseException) -> Finding:
    """Find the first row that the estimator fails on, by halves."""
    first, last = 0, len(rows)
    while last - first > 1:
        middle = (first + last) // 2
        try:
            served.answer(rows[first:middle])
            first = middle
        except BaseException as found:  # see above
            last, error = middle, found
    reason, loc = str(error).partition("\n")[0][:200], ["body", job.position + first]
    return {"type": "model_error", "loc": loc, "msg": f"The model can't answer this row: {reason}"}
