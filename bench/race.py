"""The measurement: every server is up, one at a time is asked, round after round."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from operator import truediv
from statistics import median

import numpy as np
import pandas as pd
from takehome.errors import TakehomeError
from threadpoolctl import threadpool_limits

from bench.contender import Contender
from bench.load import SERVER_CORE, Load, Sample, on_core
from bench.running import Running
from bench.workload import Workload

ONE, CLIENTS, MANY = "one client", "64 clients", "10,000 rows"
IN_TURN = "64 clients, in short turns"
CONNECTIONS = {ONE: 1, CLIENTS: 64, MANY: 1}
TURNS = 10  # a round
IN_PROCESS = "in process, without a server"
Tell = Callable[[str], None]


@dataclass
class Results:
    """The samples by workload, contender and load, one a round or turn; what could not take part, and why."""

    samples: dict[tuple[str, str, str], list[Sample]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def add(self, workload: str, contender: str, load: str, sample: Sample) -> None:
        """Keep a sample."""
        self.samples.setdefault((workload, contender, load), []).append(sample)

    def contenders(self, workload: str) -> list[str]:
        """Return those that were measured on a workload."""
        return list(dict.fromkeys(name for of, name, _ in self.samples if of == workload))

    def median(self, workload: str, contender: str, load: str, figure: str) -> float | None:
        """Return the median of all samples' `rate`, `p50` or `p99`; None where there is none."""
        found = [sample for sample in self.samples.get((workload, contender, load), []) if sample.answers]
        return median(getattr(sample, figure) for sample in found) if found else None

    def errors(self, workload: str, contender: str) -> int:
        """Return how many answers were errors while it was timed."""
        found = [samples for (of, name, _), samples in self.samples.items() if (of, name) == (workload, contender)]
        return sum(sample.errors for samples in found for sample in samples)

    def compare(
        self,
        workload: str,
        pair: tuple[str, str],
        load: str,
        figure: str,
        by: Callable[[float, float], float] = truediv,
    ) -> float | None:
        """Return the median over pairs of samples of the first one's figure divided by the second one's, or less it."""
        first, second = (self.samples.get((workload, name, load), []) for name in pair)
        both = [(a, b) for a, b in zip(first, second, strict=False) if a.answers and b.answers]
        compared = [by(getattr(a, figure), getattr(b, figure)) for a, b in both]
        return median(compared) if compared else None


@dataclass(frozen=True)
class Race:
    """How often and how long everybody is asked, and where it is told and kept."""

    rounds: int
    seconds: int
    tell: Tell
    load: Load = field(default_factory=Load)
    results: Results = field(default_factory=Results)

    def run(self, workload: Workload, contenders: list[Contender]) -> None:
        """Start the contenders, refuse those whose answers are wrong, and measure the others in turn.

        All have one kind of load before any has the next: the machine's speed changes, so what is compared is near.
        """
        with ExitStack() as stack:
            started = [stack.enter_context(Running(contender, workload)) for contender in contenders]
            running = list(self._proved(started))
            for number in range(self.rounds):
                first = number % max(1, len(running))  # nobody is always the one after the slowest
                for load in CONNECTIONS:
                    for one in running[first:] + running[:first]:
                        self.tell(f"{workload.name}, round {number + 1} of {self.rounds}, {load}: {one.contender.name}")
                        self._measure(one, load)
                    self._measure_in_process(workload, load)

    def alternate(self, workload: Workload, contenders: list[Contender]) -> None:
        """Ask a few by turns of a second: they differ by less than the machine's speed does from round to round.

        Each round has servers of its own: two of the same code differ by 2 %, as their memory happens to lie.
        """
        for number in range(self.rounds):
            with ExitStack() as stack:
                running = list(self._proved([stack.enter_context(Running(one, workload)) for one in contenders]))
                contenders = [one.contender for one in running]  # refused once is out: turns are compared in pairs
                for one in running:
                    self.load.run(one.url(), one.bodies(), CONNECTIONS[CLIENTS], 1)
                    one.settle()
                for turn in range(TURNS):
                    self.tell(f"{workload.name}, round {number + 1} of {self.rounds}, turn {turn + 1} of {TURNS}")
                    for one in running if turn % 2 else running[::-1]:
                        sample = self.load.run(one.url(), one.bodies(), CONNECTIONS[CLIENTS], 1)
                        self.results.add(workload.name, one.contender.name, IN_TURN, sample)
                        one.settle()

    def _proved(self, started: list[Running]) -> Iterator[Running]:
        for one in started:
            self.tell(f"{one.workload.name}: checking the answers of {one.contender.name}")
            try:
                one.prove()
            except TakehomeError as error:
                one.__exit__()
                self.results.refused.append(f"{one.contender.name}, {one.workload.name}: {error}")
                continue
            yield one

    def _measure(self, one: Running, load: str) -> None:
        many = load == MANY
        if many and not one.contender.many:
            return
        asked = one.url(many=many), one.bodies(many=many), CONNECTIONS[load]
        if load == CLIENTS:  # who has waited for its turn has parts of its memory to find again
            self.load.run(*asked, 1)
        sample = self.load.run(*asked, self.seconds)
        if not sample.answers:  # nothing within the time is no figure
            sample = self.load.run(*asked, 10 * self.seconds)
        self.results.add(one.workload.name, one.contender.name, load, sample)
        one.settle()

    def _measure_in_process(self, workload: Workload, load: str) -> None:
        """Time the estimator alone: on rows that are dataframes already, or on many that pandas must read first."""
        frames = iter([workload.frame.iloc[i : i + 1] for i in range(2000)] * 100)
        body = json.dumps(workload.rows)

        def one() -> None:
            workload.estimator.predict_proba(next(frames))

        def many() -> None:
            workload.estimator.predict_proba(pd.DataFrame(json.loads(body)).fillna(np.nan))

        if call := {ONE: one, MANY: many}.get(load):
            with on_core(SERVER_CORE), threadpool_limits(1):
                self.results.add(workload.name, IN_PROCESS, load, _timed(call, self.seconds))


def _timed(call: Callable[[], None], seconds: float) -> Sample:
    times, end = [], time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        call()
        times.append(time.perf_counter() - began)
    half, most = 1e3 * np.percentile(times, [50, 99])
    return Sample(answers=len(times), seconds=sum(times), p50=float(half), p99=float(most), errors=0)
