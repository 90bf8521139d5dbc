"""What is measured here: costs of the API in processor time, its memory and its log, and how it does under load."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

import numpy as np
import psutil
from takehome.errors import TakehomeError

from bench.capacity.simulation import Costs
from bench.contender import ROOT, ours
from bench.database import ask, database, logged, spent
from bench.load import SERVER_CORE, WARMING, Load, Sample, pinned, sample
from bench.running import Running
from bench.workload import Workload

FEW = 8  # clients
SHARES = (0.3, 0.6, 0.9)  # of the most that it answers
LOOK = 0.2  # seconds: the core's speed changes from one to the next
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

    `pace` is what batches took, a part of the time after the other, as a multiple of what they cost in the mean.
    """

    rest: float
    sample: Sample
    costs: Costs
    pace: tuple[float, ...]


@dataclass(frozen=True)
class Round:
    """One pass over everything.

    Attributes
    ----------
    others : the share of all cores that other programs took just before.
    maximum : what clients see who don't rest.
    """

    others: float
    maximum: Sample
    checks: list[Check]
    footprint: Footprint


@dataclass(frozen=True)
class Spent:
    """Processor time under a load, in seconds.

    Attributes
    ----------
    whole, threads : of a request; what threads have of it.
    parts : number, rows and processor time of the batches, a line for each part of the time; of shape (parts, 3).
    """

    sample: Sample
    whole: float
    threads: float
    parts: np.ndarray

    @property
    def around(self) -> float:
        """What is not the model's part of a request."""
        return self.whole - self.parts[:, 2].sum() / self.sample.answers

    def costs(self, known: Costs) -> Costs:
        """Return the costs under this load, where those of the log and of a row are known."""
        batches, rows, seconds = self.parts.sum(axis=0)
        batch = max(0.0, (seconds - rows * known.row) / batches)
        return replace(known, request=max(0.0, self.around - known.log - known.write), batch=batch)

    def pace(self, costs: Costs) -> tuple[float, ...]:
        """Return how much longer batches took than they cost, part by part; in a slow one they are larger, too."""
        batches, rows, seconds = self.parts[self.parts[:, 0] > 0].T
        return tuple(seconds / (batches * costs.batch + rows * costs.row))


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
        plain = self._spent(running, query="?log=false")
        self.tell(f"{name}: the most that it answers, and its log")
        logged, database_seconds = self._logged(running, where)
        known, maximum = _known(running, plain, logged), logged.sample
        checks = []
        for share in SHARES:
            self.tell(f"{name}: {100 * share:.0f} % of {maximum.rate:,.0f} requests/s")
            checks.append(self._check(running, share * maximum.rate, known))
            _settle(where)
        server = psutil.Process(running.pid)
        memory = float(sum(one.memory_full_info().uss for one in (server, *server.children(recursive=True))))
        footprint = Footprint(memory, ask(where, _STORED), database_seconds, _sent(running))
        return Round(others, maximum, checks, footprint)

    def _check(self, running: Running, rate: float, known: Costs) -> Check:
        """Let clients ask so many times a second."""
        rest = self.clients / rate
        spent = self._spent(running, rest)
        costs = spent.costs(known)
        return Check(rest, spent.sample, costs, spent.pace(costs))

    def _spent(self, running: Running, rest: float = 0, query: str = "") -> Spent:
        asked = running.url() + query, running.bodies()
        wrk = self.load.start(*asked, self.clients, self.seconds, rest)
        if rest:  # a core that was idle is slow for a second
            self.load.run(*asked, FEW, WARMING)
        before, batched = _times(running), [_batched(running)]
        while wrk.poll() is None:
            time.sleep(LOOK)
            batched.append(_batched(running))
        seen, parts = sample(wrk), np.diff(batched, axis=0)
        if not seen.answers or not parts.sum():
            raise TakehomeError(f"The API predicted nothing within {self.seconds} s. Measure longer: --seconds.")
        if rest:
            seen = replace(seen, seconds=seen.seconds - WARMING)
        whole, threads = (_times(running) - before) / seen.answers
        return Spent(seen, whole, threads, parts)

    def _logged(self, running: Running, where: dict[str, str]) -> tuple[Spent, float]:
        """Return what clients without rest take, and PostgreSQL's processor time for a row, in seconds."""
        rows, seconds = _settle(where), spent(where)
        found = self._spent(running)
        written = _settle(where) - rows
        if not written:
            raise TakehomeError("No prediction came into the log of PostgreSQL. See .bench/logs.")
        return found, (spent(where) - seconds) / written


def _known(running: Running, plain: Spent, logged: Spent) -> Costs:
    """Take what is the same under each load, a row and its log, from loads without and with it."""
    sizes, seconds = np.array(_batches(running), dtype=float).T
    row = max(0.0, float(np.polyfit(sizes, seconds, 1)[0]))
    write = max(0.0, logged.threads - plain.threads)
    log = max(0.0, logged.around - write - plain.around)
    return Costs(0, 0, row, log, write)


def _times(running: Running) -> np.ndarray:
    """Return the processor time of a process until now, and that of its threads but the first, in seconds."""
    times = {one.id: one.user_time + one.system_time for one in psutil.Process(running.pid).threads()}
    return np.array([sum(times.values()), sum(times.values()) - times[running.pid]])


def _batched(running: Running) -> np.ndarray:
    """Return how many batches it has predicted, their rows, and their processor time in seconds."""
    with urllib.request.urlopen(running.url().replace("/predict", "/metrics"), timeout=60) as reply:
        figures = dict(line.rsplit(" ", 1) for line in reply.read().decode().splitlines() if line[0] != "#")
    return np.array([float(figures[f"takehome_batch_{name}"]) for name in ("rows_count", "rows_sum", "seconds_sum")])


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
