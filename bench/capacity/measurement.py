"""What is measured here: costs of the API in processor time, its memory and its log, and how it does under load."""

import json
import math
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np
import psutil
from takehome.errors import TakehomeError

from bench.capacity.simulation import Costs
from bench.contender import ROOT, ours
from bench.database import ask, database, logged, spent
from bench.load import SERVER_CORE, Load, Sample, pinned
from bench.running import Running
from bench.workload import Workload

FEW = 8  # clients
SHARES = (0.3, 0.6, 0.9)  # of the most that it answers
_SIGMAS = 2.326  # from the middle of a normal distribution to where 99 % are below
_STORED = "SELECT pg_total_relation_size('predictions')::float8 / greatest(count(*), 1) FROM predictions"


@dataclass(frozen=True)
class Footprint:
    """What a replica takes, and a row.

    Attributes
    ----------
    memory : of a replica after the load, with the process that proves its models, in bytes that nobody shares.
    stored : bytes of a row in PostgreSQL, with its indices.
    database : seconds of PostgreSQL's processor time for a row.
    sent : bytes of a request and its answer.
    """

    memory: float
    stored: float
    database: float
    sent: float


@dataclass(frozen=True)
class Check:
    """A load as it was: so many clients that rest so many seconds in the mean, what they saw, and what it cost.

    The same work takes more of a core that rests now and then than of one that never does, up to twice as much.
    """

    rest: float
    sample: Sample
    costs: Costs


@dataclass(frozen=True)
class Round:
    """One pass over everything.

    Attributes
    ----------
    others : the share of all cores that other programs took just before.
    maximum : what clients see who don't rest.
    """

    others: float
    costs: Costs
    maximum: Sample
    checks: list[Check]
    footprint: Footprint


@dataclass(frozen=True)
class Each:
    """A request under load: its processor time, what threads have of it, in seconds, and its part of a batch."""

    sample: Sample
    whole: float
    threads: float
    batches: float


@dataclass(frozen=True)
class Measurement:
    """How long everything is measured, with how many clients, and where it is told."""

    seconds: int
    clients: int
    tell: Callable[[str], None]
    load: Load = field(default_factory=Load)

    def rounds(self, workload: Workload, number: int) -> list[Round]:
        """Measure so many times, on rows of which none comes twice."""
        with ExitStack() as stack:
            where = stack.enter_context(database())
            running = stack.enter_context(Running(ours("with the log", PREDICTION_LOG="on", **where), workload))
            running.prove()
            _settle(where)
            return [self._round(f"round {i + 1} of {number}", running, where) for i in range(number)]

    def _round(self, name: str, running: Running, where: dict[str, str]) -> Round:
        self.tell(f"{name}: what a request costs")
        others = psutil.cpu_percent(1) / 100
        costs = self._costs(running)
        _settle(where)
        self.tell(f"{name}: the most that it answers, and its log")
        maximum, database_seconds = self._logged(running, where)
        checks = []
        for share in SHARES:
            self.tell(f"{name}: {100 * share:.0f} % of {maximum.rate:,.0f} requests/s")
            checks.append(self._check(running, share * maximum.rate, costs))
            _settle(where)
        server = psutil.Process(running.pid)
        memory = float(sum(one.memory_full_info().uss for one in (server, *server.children(recursive=True))))
        footprint = Footprint(memory, ask(where, _STORED), database_seconds, _sent(running))
        return Round(others, costs, maximum, checks, footprint)

    def _check(self, running: Running, rate: float, costs: Costs) -> Check:
        """Let clients ask so many times a second."""
        rest = self.clients / rate
        each = self._each(running, self.clients, rest)
        return Check(rest, each.sample, costs.times(each.whole / costs.each(1 / each.batches)))

    def _costs(self, running: Running) -> Costs:
        """Take a batch's cost from two loads: among few a request pays for a large part of one, among many for less."""
        sizes, seconds = np.array(_batches(running), dtype=float).T
        row = max(0.0, float(np.polyfit(sizes, seconds, 1)[0]))
        lone = self._ask(running, 1, query="?log=false")
        few, many = (self._each(running, clients, query="?log=false") for clients in (FEW, self.clients))
        logged = self._each(running, self.clients)
        write = max(0.0, logged.threads - many.threads)
        log = max(0.0, logged.whole - write - many.whole)
        batch = max(0.0, (few.whole - many.whole) / (few.batches - many.batches))
        return Costs(
            max(0.0, many.whole - batch * many.batches - row), batch, row, log, write, _spread(lone.p50, lone.p99)
        )

    def _each(self, running: Running, clients: int, rest: float = 0, query: str = "") -> Each:
        before = _spent(running), _predicted(running)
        sample = self._ask(running, clients, rest, query)
        whole, threads = (_spent(running) - before[0]) / sample.answers
        return Each(sample, whole, threads, (_predicted(running) - before[1]) / sample.answers)

    def _ask(self, running: Running, clients: int, rest: float = 0, query: str = "") -> Sample:
        sample = self.load.run(running.url() + query, running.bodies(), clients, self.seconds, rest)
        if not sample.answers:
            raise TakehomeError(f"The API answered nothing within {self.seconds} s. Measure longer: --seconds.")
        return sample

    def _logged(self, running: Running, where: dict[str, str]) -> tuple[Sample, float]:
        """Return what clients without rest see, and PostgreSQL's processor time for a row, in seconds."""
        rows, seconds = _settle(where), spent(where)
        sample = self._ask(running, self.clients)
        written = _settle(where) - rows
        if not written:
            raise TakehomeError("No prediction came into the log of PostgreSQL. See .bench/logs.")
        return sample, (spent(where) - seconds) / written


def _spread(p50: float, p99: float) -> float:
    """Return the standard deviation of the logarithm of times with these percentiles."""
    return math.log(p99 / p50) / _SIGMAS


def _spent(running: Running) -> np.ndarray:
    """Return the processor time of a process until now, and that of its threads but the first, in seconds."""
    times = {one.id: one.user_time + one.system_time for one in psutil.Process(running.pid).threads()}
    return np.array([sum(times.values()), sum(times.values()) - times[running.pid]])


def _predicted(running: Running) -> float:
    """Return how many batches it has predicted."""
    with urllib.request.urlopen(running.url().replace("/predict", "/metrics"), timeout=60) as reply:
        lines = reply.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("takehome_batch_rows_count"))


def _batches(running: Running) -> list:
    """Return what batches of several sizes take, on the server's core."""
    folder = running.workload.folder
    done = subprocess.run(
        [*pinned(SERVER_CORE), sys.executable, "-m", "bench.capacity.batch", folder / "models", running.bodies()],
        env={
            **os.environ,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'containers' / 'fastapi'}",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "WORKERS_DIR": str(folder),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise TakehomeError(f"The model could not be timed: {done.stderr.strip()[-300:]}")
    return json.loads(done.stdout)


def _settle(where: dict[str, str]) -> int:
    """Wait until the log has taken all, and return its rows."""
    rows = -1
    while rows != (rows := logged(where)):
        time.sleep(1)
    return rows


def _sent(running: Running) -> float:
    """Return the bytes of a request and its answer, headers included."""
    body = running.bodies().open("rb").readline().strip()
    head = f"POST /predict HTTP/1.1\nHost: localhost\nContent-Type: application/json\nContent-Length: {len(body)}\n\n"
    request = urllib.request.Request(running.url(), body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return len(head) + len(body) + len(str(reply.headers)) + len(reply.read())
