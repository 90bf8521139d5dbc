"""The API as a process, and clients that ask it all the time."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import httpx
import numpy as np
import pandas as pd
import psutil
import takehome
from sklearn.linear_model import LinearRegression
from waiting import PATIENCE, eventually

ROOT = Path(__file__).parents[1]


@contextmanager
def running(
    models: Path | str, port: int, log: int | IO[bytes] = subprocess.DEVNULL, **variables: str
) -> Iterator[tuple[str, subprocess.Popen]]:
    """Run the API as the container does; give its address once it answers, and its process."""
    environment = os.environ | {"MODELS_DIR": str(models), "PORT": str(port), "HOST": "127.0.0.1"} | variables
    command = [sys.executable, str(ROOT / "containers/fastapi/start.py")]
    with subprocess.Popen(command, env=environment, cwd="/", stderr=log) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            eventually(lambda: httpx.get(f"{url}/ready").status_code == 200)
            yield url, process
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait(15)


def workers(api: subprocess.Popen) -> list[psutil.Process]:
    """Return the processes that answer for an API that has several."""
    return [child for child in psutil.Process(api.pid).children() if child.net_connections("tcp")]


def save(folder: Path | str, slope: float, estimator: Any = None) -> str:
    """Save `y = slope * x`, or another estimator of x."""
    X = pd.DataFrame({"x": np.arange(-50.0, 50.0)})
    y = pd.Series(slope * X["x"], name="y")
    fitted = (estimator or LinearRegression(fit_intercept=False)).fit(X, y)
    return takehome.save_model(fitted, X, y, name=f"{slope}", models_dir=folder)


def figure(url: str, line: str) -> float:
    text = httpx.get(f"{url}/metrics").text
    return sum(float(found.split()[-1]) for found in text.splitlines() if found.startswith(line))


def connect(url: str) -> socket.socket:
    """Open a connection to an API."""
    return socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=PATIENCE)


def head(path: str, length: int, method: str = "POST") -> bytes:
    """Return the head of a request as it goes over the wire; a negative length means chunks."""
    size = f"Content-Length: {length}" if length >= 0 else "Transfer-Encoding: chunked"
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{size}\r\n\r\n".encode()


class Load:
    """Clients that ask all the time; every answer is held against the version that its header names."""

    def __init__(self, url: str, slopes: dict[str, float], clients: int = 4) -> None:
        self._url, self._slopes, self._stop = url, slopes, threading.Event()
        self.count: Counter[str] = Counter()
        self.seconds: list[float] = []
        self._threads = [threading.Thread(target=self._ask, args=(i,)) for i in range(clients)]

    def _ask(self, seed: int) -> None:
        dice = np.random.default_rng(seed)
        with httpx.Client(base_url=self._url, timeout=PATIENCE) as client:
            while not self._stop.is_set():
                x, began = float(dice.uniform(-40, 40)), time.perf_counter()
                try:
                    answer = client.post("/predict", json={"x": x})
                except httpx.TransportError:
                    self.count["failed"] += 1
                    continue
                self.seconds.append(time.perf_counter() - began)
                slope = self._slopes.get(answer.headers.get("X-Model-Version", ""))
                right = answer.status_code == 200 and slope is not None
                right = right and abs(answer.json()["prediction"] - slope * x) < 1e-9  # type: ignore[operator]
                self.count["right" if right else "failed" if answer.status_code != 200 else "wrong"] += 1

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        slow = sorted(self.seconds)[int(len(self.seconds) * 0.99)] * 1e3
        print(f"{sum(self.count.values())} requests: {dict(self.count)}, p99 {slow:.0f} ms")

    def check(self) -> None:
        """Assert that every request was answered, and rightly."""
        assert self.count["right"] > 20
        assert self.count["failed"] == self.count["wrong"] == 0


def choose(url: str, version: str) -> None:
    answer = httpx.put(f"{url}/models/current", json={"version": version})
    assert (answer.status_code, answer.json()) == (200, {"version": version})
    eventually(lambda: httpx.get(f"{url}/ready").json()["version"] == version)
