"""Swaps under load: 64 clients go on asking while the served model changes."""

import json
import signal
import time
import urllib.request
from dataclasses import dataclass
from statistics import median

from takehome.errors import TakehomeError
from takehome.store import Store

from bench.load import Load, Sample, sample
from bench.running import Running

_PATIENCE_SECONDS = 60
_IN_A_TURN = 4  # swaps, between undisturbed seconds: the machine's speed changes
_UNDISTURBED_SECONDS = 5


@dataclass(frozen=True)
class Swaps:
    """What clients saw of so many swaps, and just before without any, by turns."""

    count: int
    swapping: list[Sample]
    undisturbed: list[Sample]

    @property
    def answers(self) -> int:
        """How many requests were answered during swaps."""
        return sum(sample.answers for sample in self.swapping)

    @property
    def errors(self) -> int:
        """How many requests failed during swaps."""
        return sum(sample.errors for sample in self.swapping)

    @property
    def delay(self) -> float:
        """The p99 during swaps as a multiple of the undisturbed one, in the median turn."""
        return median(a.p99 / b.p99 for a, b in zip(self.swapping, self.undisturbed, strict=True))


def swap(running: Running, load: Load, *, count: int) -> Swaps:
    """Change the model so many times under the load of 64 clients, each time once the one before is served."""
    versions = Store(running.workload.folder / "models").versions()
    wanted = [versions[i % 2] for i in range(count)]
    swaps = Swaps(count, [], [])
    for first in range(0, count, _IN_A_TURN):
        swaps.undisturbed.append(load.run(running.url(), running.bodies(), 64, _UNDISTURBED_SECONDS))
        swaps.swapping.append(_through(running, load, wanted[first : first + _IN_A_TURN]))
    return swaps


def _through(running: Running, load: Load, versions: list[str]) -> Sample:
    """Serve these versions one after the other under load."""
    store, began = Store(running.workload.folder / "models"), time.monotonic()
    wrk = load.start(running.url(), running.bodies(), 64, len(versions) * _PATIENCE_SECONDS)
    try:
        for version in versions:
            store.use(version)
            _wait_until_served(running, version)
    finally:
        time.sleep(max(0.0, 1 - (time.monotonic() - began)))
        wrk.send_signal(signal.SIGINT)
    return sample(wrk)


def _wait_until_served(running: Running, version: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with urllib.request.urlopen(running.url().replace("/predict", "/ready"), timeout=30) as reply:
            if json.load(reply)["version"] == version:
                return
        time.sleep(0.2)
    raise TakehomeError(f"The API did not come to serve model {version} within {_PATIENCE_SECONDS} s.")
