"""The API as a queueing system: one core for event loop, model and log; batches; a bounded queue."""

import random
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import simpy
from simpy.events import Event

SWITCH = 0.005  # seconds that a thread holds the interpreter while another wants it
SEED = 7
Steps = Generator[Event, Any, None]


@dataclass(frozen=True)
class Costs:
    """What a request of one row takes of the core, in seconds: a batch of n rows takes `batch + n * row`.

    The log takes `log` a row on the event loop, and `write` in its thread.
    """

    request: float
    batch: float
    row: float
    log: float
    write: float = 0


STEADY = (1.0,)
"""How many times as long as in the mean the core takes for the same, in equal parts of the time; here in one."""


@dataclass(frozen=True)
class Bounds:
    """What the API is built with.

    Attributes
    ----------
    here, moment : rows and seconds of a batch that is predicted, and logged, on the event loop itself.
    waiting : requests; what comes then gets 503.
    rows : of a batch.
    patience : seconds that a batch waits for one more of those who were answered together, at most; `longest` times as
        long for all of them.
    turns : of the event loop, before it is looked whether anybody came.
    least_trust, regained : what share of the patience is left to those who never came, and by how much it grows.
    gather : seconds that the log gathers rows until its thread writes them.
    """

    here: int = 256
    moment: float = 0.02
    waiting: int = 2_000
    rows: int = 10_000
    patience: float = 0.004
    longest: int = 4
    turns: int = 2
    least_trust: float = 1 / 64
    regained: float = 1.1
    gather: float = 0.2


@dataclass
class Seen:
    """What happens in so many seconds.

    Attributes
    ----------
    times : of each answer, in s.
    refused : requests that got 503.
    batches : rows of each.
    """

    seconds: float
    times: list[float] = field(default_factory=list)
    refused: int = 0
    batches: list[int] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.times) / self.seconds

    @property
    def p99(self) -> float:
        """The time that 99 % of the answers keep within, in ms."""
        return 1e3 * float(np.percentile(self.times, 99)) if self.times else float("inf")

    @property
    def refused_share(self) -> float:
        """The share of 503."""
        return self.refused / max(1, self.refused + len(self.times))


class Replica:
    """One process of the API on one core.

    The event loop reads and answers, half of a request's cost each; the model predicts all that wait once it is free,
    on the loop what takes a moment, else in its thread, and so the log. They share the core as threads share CPython:
    each has it until it has nothing to do, or for `SWITCH` seconds where another wants it.
    """

    def __init__(
        self, environment: simpy.Environment, costs: Costs, bounds: Bounds, seen: Seen, pace: Sequence[float]
    ) -> None:
        self._environment, self._costs, self._bounds, self._seen = environment, costs, bounds, seen
        self._pace = pace
        self._core = simpy.Resource(environment)
        self._tasks: deque[tuple[float, Callable[[], Any]]] = deque()  # of the event loop
        self._waiting: deque[Event] = deque()
        self._unread, self._company, self._patience, self._logged = 0, 1, 0.0, 0
        self._task_came = environment.event()
        self._awaited, self._enough, self._trust = 1, environment.event(), 1.0
        for work in (self._turn, self._predict, self._write):
            environment.process(work())

    def ask(self) -> Steps:
        """Send a request, and wait for its answer."""
        began, answered = self._environment.now, self._environment.event()
        self._unread += 1
        self._later(self._costs.request / 2, lambda: self._enter(answered))
        if (yield answered):
            self._seen.times.append(self._environment.now - began)
        else:
            self._seen.refused += 1

    def _later(self, cost: float, task: Callable[[], Any]) -> None:
        self._tasks.append((cost, task))
        if not self._task_came.triggered:
            self._task_came.succeed()

    def _enter(self, answered: Event) -> None:
        self._unread -= 1
        if len(self._waiting) >= self._bounds.waiting:
            answered.succeed(False)
            return
        self._waiting.append(answered)
        if len(self._waiting) >= self._awaited and not self._enough.triggered:
            self._enough.succeed()

    def _busy(self, seconds: float) -> Event:
        """Take the core for so many seconds, were its pace the mean."""
        part = int(self._environment.now / self._seen.seconds * len(self._pace))
        return self._environment.timeout(seconds * self._pace[min(part, len(self._pace) - 1)])

    def _turn(self) -> Steps:
        """Do what the event loop has to do."""
        while True:
            yield self._task_came
            with self._core.request() as core:
                yield core
                until = self._environment.now + SWITCH
                while self._tasks and self._environment.now < until:
                    cost, task = self._tasks.popleft()
                    yield self._busy(cost)
                    task()
            if not self._tasks:
                self._task_came = self._environment.event()

    def _predict(self) -> Steps:
        while True:
            yield from self._gather()
            yield self._done_by_loop(0)  # soon, not now: what was read in the same turn goes along
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._bounds.rows))]
            seconds = self._costs.batch + len(batch) * self._costs.row
            if len(batch) <= self._bounds.here and seconds < self._bounds.moment:
                yield self._done_by_loop(seconds)
            else:
                yield from self._work(seconds)
            self._seen.batches.append(len(batch))
            self._patience = min(seconds / 4, self._bounds.patience)
            self._trust = min(1.0, self._bounds.regained * self._trust)
            self._company = len(batch) + len(self._waiting) + self._unread
            for answered in batch:
                self._later(self._costs.request / 2, partial(answered.succeed, True))
            self._logged += len(batch)
            if len(batch) <= self._bounds.here:
                self._done_by_loop(len(batch) * self._costs.log)
            else:
                self._environment.process(self._work(len(batch) * self._costs.log))

    def _write(self) -> Steps:
        while True:
            yield self._environment.timeout(self._bounds.gather)
            rows, self._logged = self._logged, 0
            yield from self._work(rows * self._costs.write)

    def _done_by_loop(self, seconds: float) -> Event:
        done = self._environment.event()
        self._later(seconds, done.succeed)
        return done

    def _gather(self) -> Steps:
        """Wait for the first, and as long as others come back with whom it was answered."""
        if not self._waiting:
            yield self._until(1)
        patience = self._trust * self._patience
        until = self._environment.now + self._bounds.longest * patience
        while (waiting := len(self._waiting)) < self._company:
            yield self._until(self._company) | self._environment.timeout(patience)
            if len(self._waiting) >= self._company:
                return
            for _ in range(self._bounds.turns):
                yield self._done_by_loop(0)
            if len(self._waiting) == waiting or self._environment.now >= until:
                self._trust = max(self._bounds.least_trust, self._trust / 4)
                return

    def _until(self, number: int) -> Event:
        self._awaited, self._enough = number, self._environment.event()
        return self._enough

    def _work(self, seconds: float) -> Steps:
        while seconds > 0:
            with self._core.request() as core:
                yield core
                yield self._busy(min(seconds, SWITCH))
            seconds -= SWITCH


def clients(costs: Costs, number: int, rest: float, seconds: float, pace: Sequence[float] = STEADY) -> Seen:
    """Let so many clients ask one replica, each resting between an answer and its next request as `bench.load` does.

    Parameters
    ----------
    rest : in the mean, exponentially distributed; in s. 0: not at all.
    """
    environment, seen, chance = simpy.Environment(), Seen(seconds), random.Random(SEED)
    replica = Replica(environment, costs, Bounds(), seen, pace)

    def client() -> Steps:
        while True:
            if rest:
                yield environment.timeout(chance.expovariate(1 / rest))
            yield from replica.ask()

    for _ in range(number):
        environment.process(client())
    environment.run(seconds)
    return seen


def stream(
    costs: Costs, rate: float, seconds: float, bounds: Bounds = Bounds(), pace: Sequence[float] = STEADY
) -> Seen:
    """Let requests come to one replica by chance, so many a second in the mean (a Poisson process)."""
    environment, seen, chance = simpy.Environment(), Seen(seconds), random.Random(SEED)
    replica = Replica(environment, costs, bounds, seen, pace)

    def source() -> Steps:
        while True:
            yield environment.timeout(chance.expovariate(rate))
            environment.process(replica.ask())

    environment.process(source())
    environment.run(seconds)
    return seen
