"""Swaps under load: 64 clients go on asking while the served model changes."""

import json
import signal
import time
import urllib.request
from dataclasses import dataclass

from takehome.errors import TakehomeError
from takehome.store import Store

from bench.load import Load, Sample, sample
from bench.running import Running

_PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Swaps:
    """What clients saw of so many swaps, and what they see without any."""

    count: int
    swapping: Sample
    undisturbed: Sample


def swap(running: Running, load: Load, *, count: int, seconds: int) -> Swaps:
    """Change the model so many times under the load of 64 clients, each time once the one before is served."""
    undisturbed = load.run(running.url(), running.bodies(), 64, seconds)
    store = Store(running.workload.folder / "models")
    versions = store.versions()
    began = time.monotonic()
    wrk = load.start(running.url(), running.bodies(), 64, count * _PATIENCE_SECONDS)
    try:
        for i in range(count):
            store.use(versions[i % 2])
            _wait_until_served(running, versions[i % 2])
    finally:
        time.sleep(max(0.0, 1 - (time.monotonic() - began)))
        wrk.send_signal(signal.SIGINT)
    return Swaps(count, sample(wrk), undisturbed)


def _wait_until_served(running: Running, version: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with urllib.request.urlopen(running.url().replace("/predict", "/ready"), timeout=30) as reply:
            if json.load(reply)["version"] == version:
                return
        time.sleep(0.2)
    raise TakehomeError(f"The API did not come to serve model {version} within {_PATIENCE_SECONDS} s.")
