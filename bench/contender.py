"""The servers that are compared: how each is installed, started and asked."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from takehome.errors import TakehomeError

from bench.load import SERVER_CORE, pinned
from bench.workload import Row, Workload

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".bench"
CHECKED = 300
_SERVERS = ROOT / "bench" / "servers"
_PATIENCE_SECONDS = 120
_SHARED = ("scikit-learn", "pandas", "uvicorn[standard]")


def bare(rows: list[Row], *, many: bool) -> Any:
    """One row is an object, many are a list."""
    return rows if many else rows[0]


def listed(rows: list[Row], *, many: bool) -> Any:  # noqa: ARG001
    """Always a list."""
    return rows


def under(key: str) -> Callable[..., Any]:
    """Return what puts the list of rows under a key."""
    return lambda rows, *, many: {key: rows}  # noqa: ARG005


def of_ours(answer: Any) -> Any:
    """Return the probabilities of our API's answer."""
    found = answer if isinstance(answer, list) else [answer]
    return [list(one["probabilities"].values()) for one in found]


@dataclass(frozen=True)
class Contender:
    """A server.

    Attributes
    ----------
    name : what the report calls it.
    command : behind the Python that runs it; `{port}` is filled in.
    packages : what its own virtual environment holds; the first gives its version. Empty: it runs in ours.
    one, many : the paths that take one row and many; no `many`: it takes no list.
    body, read : rows to what it takes, its answer to a list of probabilities.
    constant : its answers are no predictions, and are not checked.
    """

    name: str
    command: tuple[str, ...]
    packages: tuple[str, ...] = ()
    one: str = "/predict"
    many: str = "/predict_many"
    body: Callable[..., Any] = bare
    read: Callable[[Any], Any] = lambda answer: answer
    env: dict[str, str] = field(default_factory=dict)
    constant: bool = False

    @property
    def python(self) -> Path:
        """The interpreter of its environment."""
        return FOLDER / self.packages[0] / "bin" / "python" if self.packages else Path(sys.executable)

    def install(self) -> None:
        """Make its virtual environment, with the versions of our lock where both use a package.

        Raises
        ------
        TakehomeError
            A package can't be had, or doesn't get along with the lock.
        """
        if self.python.exists():
            return
        uv, folder = str(Path(sys.executable).with_name("uv")), self.python.parents[1]
        lock = ROOT / "containers" / "constraints.txt"
        packages = [*self.packages, *_SHARED]
        commands = (
            [uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "--quiet", "--python", str(self.python), "--constraint", str(lock), *packages],
        )
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                shutil.rmtree(folder, ignore_errors=True)
                raise TakehomeError(f"can't be installed: {' '.join(done.stderr.split())[-300:]}")

    def version(self) -> str:
        """Return the version of its package, or of FastAPI where it has none of its own."""
        if not self.packages:
            return f"FastAPI {version('fastapi')}"
        code = f"from importlib.metadata import version; print(version({self.packages[0]!r}))"
        found = subprocess.run(
            [str(self.python), "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        return f"{self.packages[0]} {found}"


def uvicorn(module: str) -> tuple[str, ...]:
    """Return the command that serves `app` of a file in `servers`."""
    return ("-m", "uvicorn", f"{module}:app", "--port", "{port}", "--no-access-log", "--log-level", "warning")


_API = (str(ROOT / "containers" / "fastapi" / "start.py"),)
OURS = "this project"
PLAIN = Contender("plain endpoint", uvicorn("plain"))
LIMIT = Contender("limit: a constant answer", uvicorn("limit"), many="", constant=True)
PEERS = (
    Contender("vetiver", uvicorn("vetivered"), ("vetiver",), many="/predict", body=listed, read=lambda a: a["predict"]),
    Contender(
        "MLflow",
        ("mlflowed.py", "{port}"),
        ("mlflow",),
        one="/invocations",
        many="/invocations",
        body=under("dataframe_records"),
        read=lambda answer: answer["predictions"],
    ),
    Contender(
        "BentoML, batching",
        ("-m", "bentoml", "serve", "bentoed:Service", "--port", "{port}", "--host", "127.0.0.1"),
        ("bentoml",),
        body=under("rows"),
    ),
    Contender("LitServe, batching", ("litserved.py", "{port}"), ("litserve",), many=""),
    Contender("FastAPI + async-batcher", uvicorn("async_batching"), ("async-batcher", "fastapi")),
    Contender("FastAPI + batched", uvicorn("batching"), ("batched", "fastapi")),
)


def ours(name: str = OURS, **env: str) -> Contender:
    """Return our API as local mode starts it, with these settings."""
    return Contender(name, _API, many="/predict", read=of_ours, env={"PREDICTION_LOG": "off", **env})


class Running:
    """A contender at work on a workload: started on entering, proved, and ended on leaving."""

    def __init__(self, contender: Contender, workload: Workload) -> None:
        self.contender, self.workload = contender, workload
        self._port = free_port()

    def __enter__(self) -> "Running":
        """Start it; it may take a while until it answers."""
        command = [part.format(port=self._port) for part in self.contender.command]
        logs = FOLDER / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        with (logs / f"{self.workload.name}, {self.contender.name}.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*pinned(SERVER_CORE), str(self.contender.python), *command],
                cwd=_SERVERS,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        """End it and its children."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, number)
                self._process.wait(10)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue

    def _environment(self) -> dict[str, str]:
        folder = self.workload.folder
        return {
            **os.environ,
            "WORKLOAD": str(folder),
            "MODELS_DIR": str(folder / "models"),
            "SCRATCH": str(folder),
            "PORT": str(self._port),
            "LOG_LEVEL": "warning",
            "OMP_NUM_THREADS": "1",
            "BENTOML_DO_NOT_TRACK": "true",
            "DISABLE_VERSION_CHECK": "1",
            "PATH": f"{self.contender.python.parent}{os.pathsep}{os.environ['PATH']}",
            **self.contender.env,
        }

    def url(self, *, many: bool = False) -> str:
        """Return where rows are sent."""
        return f"http://127.0.0.1:{self._port}{self.contender.many if many else self.contender.one}"

    def bodies(self, *, many: bool = False) -> Path:
        """Return the file with the bodies that it is sent, one a line."""
        contender, rows = self.contender, self.workload.rows
        path = self.workload.folder / f"{contender.name}{' many' if many else ''}.jsonl"
        if not path.exists():
            sent = [rows] if many else [[row] for row in rows]
            lines = (json.dumps(contender.body(part, many=many)) for part in sent)
            path.write_text("".join(f"{line if many else self.workload.never_repeating(line)}\n" for line in lines))
        return path

    def prove(self) -> None:
        """Wait until it answers, then compare its answers with scikit-learn's: one at a time, and all in one call.

        Raises
        ------
        TakehomeError
            It ends, doesn't answer in time, or answers otherwise.
        """
        self._wait()
        rows = self.workload.rows
        with ThreadPoolExecutor(32) as askers:  # at once, so that a batch with its answers mixed up is found
            answers = list(askers.map(lambda row: self._ask([row], many=False), rows[:CHECKED]))
        if self.contender.constant:
            return
        self._compare([np.ravel(answer) for answer in answers], f"{CHECKED} rows")
        if self.contender.many:
            self._compare(self._ask(rows, many=True), f"{len(rows)} rows in one call")

    def _compare(self, answers: Any, asked: str) -> None:
        expected = self.workload.expected[: len(answers)]
        if np.shape(answers) != expected.shape or not np.allclose(answers, expected, rtol=1e-9, atol=1e-12):
            wrong = sum(not np.allclose(a, e) for a, e in zip(answers, expected, strict=False))
            raise TakehomeError(f"answers {wrong} of {asked} otherwise than scikit-learn")

    def _wait(self) -> None:
        deadline, reason = time.monotonic() + _PATIENCE_SECONDS, ""
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise TakehomeError(f"ended with exit code {self._process.returncode}; see {FOLDER / 'logs'}")
            try:
                self._ask(self.workload.rows[:1], many=False)
                return
            except TakehomeError as error:
                reason = str(error)
            time.sleep(0.25)
        raise TakehomeError(f"did not answer within {_PATIENCE_SECONDS} s: {reason}")

    def _ask(self, rows: list[Row], *, many: bool) -> Any:
        body = json.dumps(self.contender.body(rows, many=many)).encode()
        request = urllib.request.Request(self.url(many=many), body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return self.contender.read(json.load(reply))
        except urllib.error.HTTPError as error:
            raise TakehomeError(
                f"answers with status {error.code}: {error.read(300).decode(errors='replace')}"
            ) from None
        except OSError as error:
            raise TakehomeError(f"can't be reached: {error}") from None


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
