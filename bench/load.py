"""wrk: sends the same bodies to each contender from a core of its own."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from takehome.errors import TakehomeError

SCRIPT = Path(__file__).with_suffix(".lua")
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]
WARMING = 2  # seconds
_UNIQUE_ROWS = 1_000_000


@dataclass(frozen=True)
class Sample:
    """What one run of wrk saw: times in ms; errors are answers that are not 2xx, and connections that broke."""

    answers: int
    seconds: float
    p50: float
    p99: float
    errors: int

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.answers / self.seconds


def pinned(core: int) -> list[str]:
    """Return what to put before a command so that it runs on one core, where the system can do that."""
    return ["taskset", "--cpu-list", str(core)] if shutil.which("taskset") else []


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Stay on one core, where the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Load:
    """Sends bodies; each run takes numbers that none before it has taken."""

    def __init__(self) -> None:
        if shutil.which("wrk") is None:
            raise TakehomeError(
                "wrk, which sends the load, is not installed. Debian: apt install wrk; macOS: brew install wrk."
            )
        self._runs = 0

    def start(self, url: str, bodies: Path, connections: int, seconds: int, rest: float = 0) -> subprocess.Popen[str]:
        """Start to send the lines of a file, in turn, over so many connections; SIGINT ends it early.

        Clients who rest begin after `WARMING` seconds more: let in while they ask, they would wait longer for that than
        for their answers.

        Parameters
        ----------
        rest : how long a client waits between an answer and its next request: in the mean, exponentially; in s.
        """
        self._runs += 1
        wait = WARMING if rest else 0
        arguments = [str(bodies), str(self._runs * _UNIQUE_ROWS), str(connections), str(1e3 * rest), str(wait)]
        options = ["-t1", f"-c{connections}", f"-d{wait + seconds}s", "--timeout", "60s", "-s", str(SCRIPT)]
        command = [*pinned(LOAD_CORE), "wrk", *options, url, "--", *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, url: str, bodies: Path, connections: int, seconds: int) -> Sample:
        """Send for so many seconds, without rest."""
        return sample(self.start(url, bodies, connections, seconds))


def sample(wrk: subprocess.Popen[str]) -> Sample:
    """Wait for wrk, and return what it saw."""
    printed, _ = wrk.communicate()
    line = next((line for line in printed.splitlines() if line.startswith("{")), None)
    if line is None:
        raise TakehomeError(f"wrk ended without a result: {printed.strip()[-300:]}")
    return Sample(**json.loads(line))
