"""Rows that arrive while the model is busy are gathered and go together.

What takes a moment is predicted on the event loop itself, since a thread would only take turns with it; what takes
longer in a thread, so that others are answered meanwhile.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from fastapi import HTTPException
from prometheus_client import Histogram
from takehome.rows import Finding, RowError
from takehome.schema import Row

from app.job import Job
from app.served import Served
from app.settings import settings
from app.texts import Text

TOGETHER = Histogram(
    "takehome_batch_rows", "Rows predicted together.", buckets=(1, 4, 16, 64, 256, 1_000, 4_000, 10_000)
)
PREDICTING = Histogram(
    "takehome_batch_seconds", "Processor time to predict a batch, in seconds.", buckets=(0.003, 0.01, 0.03, 0.1, 1, 10)
)

MOST_ROWS = 10_000  # in a batch
MOST_ROWS_HERE = 256  # in one on the event loop
MOMENT = 0.02  # seconds of work that the event loop may stand still for, or of waiting for others, ten times as many
LEAST_ROWS = 64  # in a full batch of a slow model
MOST_BYTES = 4 << 20
SHARE = 256  # rows that a request may have in its first batch, however many others wait
SECONDS = 0.2  # a batch of a slow model that takes longer is followed by a smaller one
MOST_PATIENCE = 0.004  # seconds
TURNS = 2  # of the event loop: to read those who came while it was busy, and to hear them
LONGEST = 4  # times as long: else a steady stream of others would keep a batch waiting
LEAST_TRUST, REGAINED = 1 / 64, 1.1


class Part(NamedTuple):
    """The rows of a job that go into the next batch."""

    job: Job
    rows: list[Row]


class Batcher:
    """Gathers the rows of many requests; the first come, the first served, and no request before all others.

    A lone row starts at once. Clients who were answered together mostly ask again together, within a moment: only
    where there were such, the next batch waits until all of them are back, none came within a quarter of the time that
    their batch took (4 ms at most), or about as long as it took has passed (16 ms). Each time that this was in vain the
    next wait is four times shorter, and with each batch a tenth longer again: clients who ask by chance never come back
    together.
    """

    def __init__(self) -> None:
        self._new: deque[Job] = deque()
        self._begun: deque[Job] = deque()
        self._busy = False
        self._planned: asyncio.Handle | asyncio.Task[None] | None = None
        self._company = 1  # how many asked at the same time
        self._answering = 0  # batches whose answers are not out yet
        self._patience = 0.0  # seconds
        self._trust = 1.0  # in those who were answered together: what share of the patience they have left
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
        self._company += self._answering > 0
        if not self._busy:
            self._plan()

    def _plan(self) -> None:
        loop, complete = asyncio.get_running_loop(), len(self._new) >= self._company or bool(self._begun)
        if complete and self._planned:
            self._planned.cancel()
        if complete:  # soon, not now: what the loop has read in the same turn goes along
            self._planned = loop.call_soon(self._start)
        elif not self._planned:
            self._planned = loop.create_task(self._wait())

    async def _wait(self) -> None:
        """Wait as long as others come in, then begin."""
        loop, seen = asyncio.get_running_loop(), 0
        patience = self._trust * self._patience
        until = loop.time() + LONGEST * patience
        while len(self._new) > seen and loop.time() < until:
            seen = len(self._new)
            await asyncio.sleep(patience)
            for _ in range(TURNS):
                await asyncio.sleep(0)
        self._trust = max(LEAST_TRUST, self._trust / 4)
        self._start()

    def _start(self) -> None:
        self._planned = None
        if self._busy or not (parts := self._take()):
            return
        if parts[0].job.served.quick and _number(parts) <= MOST_ROWS_HERE and self._predict(parts, attempt) is None:
            self._finish(parts)
            return
        self._busy = True
        predicted = asyncio.get_running_loop().run_in_executor(self._thread, self._predict, parts, answer)
        predicted.add_done_callback(lambda _: self._finish(parts))

    def _take(self) -> list[Part]:
        """Choose the rows of the next batch, all for the same model."""
        parts: list[Part] = []
        rows, size = self._most, MOST_BYTES
        fair = max(SHARE, rows // (len(self._new) or 1))
        for queue, share in ((self._new, fair), (self._begun, MOST_ROWS)):
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

    def _predict(self, parts: list[Part], answer: Callable[[list[Part]], BaseException | None]) -> BaseException | None:
        """Answer a batch, and learn from the time that it takes."""
        began, worked = time.monotonic(), time.thread_time()
        error = answer(parts)
        seconds, work = time.monotonic() - began, time.thread_time() - worked
        served, rows = parts[0].job.served, _number(parts)
        if rows <= MOST_ROWS_HERE:
            served.quick = served.here and max(work, seconds / 10) < MOMENT
        self._patience, self._trust = min(seconds / 4, MOST_PATIENCE), min(1.0, REGAINED * self._trust)
        TOGETHER.observe(rows)
        PREDICTING.observe(work)
        if seconds > SECONDS:
            self._most = max(LEAST_ROWS, min(self._most, rows) // 2)
        elif rows >= self._most:
            self._most = min(MOST_ROWS, 2 * self._most)
        return error

    def _finish(self, parts: list[Part]) -> None:
        self._busy = False
        for job, _ in parts:
            if job.failure or not job.left:
                job.finish(job.failure)
            else:
                (self._begun if job.served.batched else self._new).append(job)
        self._company = len(parts) + len(self._new)
        self._answering += 1
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, self._answered)  # what is read until then was sent while the batch was predicted
        if self._new or self._begun:
            self._plan()

    def _answered(self) -> None:
        self._answering -= 1


def _number(parts: list[Part]) -> int:
    return sum(len(part.rows) for part in parts)


def answer(parts: list[Part]) -> None:
    """Answer the rows of several jobs together; where that fails, find the job at fault by halves."""
    error = attempt(parts)
    if error is None:
        return
    if len(parts) == 1:
        parts[0].job.failure = RowError([_unanswerable(parts[0].job.served, *parts[0], error)])
    else:
        answer(parts[: len(parts) // 2])
        answer(parts[len(parts) // 2 :])


def attempt(parts: list[Part]) -> BaseException | None:
    """Answer the rows of several jobs together, or return what went wrong.

    Whatever an estimator raises, it is a row that it can't answer: nothing may end the thread, or the loop.
    """
    try:
        answers = parts[0].job.served.answer([row for part in parts for row in part.rows])
    except BaseException as error:
        return error
    first = 0
    for job, rows in parts:
        _take(job, answers[first : first + len(rows)])
        first += len(rows)
    return None


def _take(job: Job, answers: list[Text]) -> None:
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
