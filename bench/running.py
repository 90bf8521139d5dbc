"""A server at work: started, proved right, asked, and ended."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from takehome.errors import TakehomeError

from bench.contender import FOLDER, ROOT, Contender
from bench.load import SERVER_CORE, pinned
from bench.workload import Row, Workload

CHECKED = 300
_SERVERS = ROOT / "bench" / "servers"
_LOGS = FOLDER / "logs"
_PATIENCE_SECONDS = 120
_LOOK_SECONDS = 0.2
_AT_REST = 0.25  # of a core: some have workers that look for work
_MOST_LOOKS = 50


class Running:
    """A contender at work on a workload: started on entering, proved, and ended on leaving."""

    def __init__(self, contender: Contender, workload: Workload) -> None:
        self.contender, self.workload = contender, workload
        self._port = free_port()

    def __enter__(self) -> "Running":
        """Start it; it may take a while until it answers."""
        command = [part.format(port=self._port) for part in self.contender.command]
        _LOGS.mkdir(parents=True, exist_ok=True)
        with (_LOGS / f"{self.workload.name}, {self.contender.name}.log").open("wb") as log:
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

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

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

    def settle(self) -> None:
        """Wait until it rests, 10 s at most; it may go on with what its clients gave up."""
        before = self._spent()
        for _ in range(_MOST_LOOKS):
            time.sleep(_LOOK_SECONDS)
            spent = self._spent()
            if spent - before < _AT_REST * _LOOK_SECONDS:
                return
            before = spent

    def _spent(self) -> float:
        """Return the processor time of all its processes so far, in s."""
        first, spent = psutil.Process(self._process.pid), 0.0
        for process in (first, *first.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                spent += times.user + times.system
        return spent

    def _compare(self, answers: Any, asked: str) -> None:
        expected = self.workload.expected[: len(answers)]
        if np.shape(answers) != expected.shape or not np.allclose(answers, expected, rtol=1e-9, atol=1e-12):
            wrong = sum(not np.allclose(a, e) for a, e in zip(answers, expected, strict=False))
            raise TakehomeError(f"answers {wrong} of {asked} otherwise than scikit-learn")

    def _wait(self) -> None:
        deadline, reason = time.monotonic() + _PATIENCE_SECONDS, ""
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise TakehomeError(f"ended with exit code {self._process.returncode}; see {_LOGS}")
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
