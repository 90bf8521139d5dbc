"""A room to run foreign code in: a container without network, power and way out, or, if trusted, a process here."""

import os
import secrets
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from takehome.environment import without_secrets
from takehome.errors import TakehomeError

DOCKER = shutil.which("docker") or "docker"
SECONDS = 900
ALL = ("submission", "static", "models")
MOST_BYTES = 64 << 20
_MOST_WORDS = 8 << 20
LIMITS = (
    "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges:true", "--memory=4g", "--memory-swap=4g",
    "--pids-limit=512", "--cpu-period=100000", "--cpu-quota=200000", "--shm-size=256m", "--ulimit=core=0",
    "--ulimit=nofile=4096:4096", "--tmpfs=/tmp:rw,noexec,nosuid,nodev,size=1g", "--init",
)  # fmt: skip


class Room(Protocol):
    """Runs Python modules of `takehome`; mounted folders are read-only as far as the room can make them so."""

    def run(
        self, arguments: Sequence[str], given: bytes = b"", *, seconds: float = SECONDS, folders: Sequence[str] = ALL
    ) -> bytes:
        """Run `python ARGUMENTS`; return what it prints.

        Parameters
        ----------
        arguments : of Python; `{submission}`, `{static}` and `{models}` stand for the folders.
        given : its standard input.
        seconds : how long it may take.
        folders : those that it may see, as far as the room can hide the others.

        Raises
        ------
        TakehomeError
            It took too long, printed too much, or could not be started.
        """


@dataclass(frozen=True)
class Container:
    """A room that is a container of our own image.

    Attributes
    ----------
    image : the `python` image of this project.
    folders : what is mounted, read-only, under its name.
    """

    image: str
    folders: dict[str, Path]
    user: str = field(default="65534:65534")

    def run(
        self, arguments: Sequence[str], given: bytes = b"", *, seconds: float = SECONDS, folders: Sequence[str] = ALL
    ) -> bytes:
        """Run in a container, as `Room.run` says; it is gone afterwards, however the run ends."""
        name = f"takehome-review-{secrets.token_hex(6)}"
        inside = _placed(arguments, {name: f"/{name}" for name in self.folders})
        mounts = [
            f"--mount=type=bind,src={path},dst=/{key},readonly" for key, path in self.folders.items() if key in folders
        ]
        variables = {
            "HOME": "/tmp", "MODELS_DIR": "/models", "STATIC_DIR": "/static", "NOTEBOOKS_DIR": "/submission/notebooks",
            "CONTAINERS_DIR": "/app/none", "PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip  # nosec B108
        command = [
            DOCKER, "run", "--rm", "--interactive", f"--name={name}", "--network=none", "--log-driver=none",
            f"--user={self.user}", "--workdir=/tmp", "--entrypoint=timeout", *LIMITS, *mounts,
            *(f"--env={key}={value}" for key, value in variables.items()), self.image,
            "--signal=KILL", str(int(seconds) + 30), "python", *inside,
        ]  # fmt: skip
        try:
            return _talk(command, given, seconds)
        finally:  # by name: killing the client would leave it running
            subprocess.run([DOCKER, "rm", "--force", name], capture_output=True, check=False)


@dataclass(frozen=True)
class Trusted:
    """A room without walls: a process of this machine, for code that somebody vouches for."""

    folders: dict[str, Path]

    def run(
        self,
        arguments: Sequence[str],
        given: bytes = b"",
        *,
        seconds: float = SECONDS,
        folders: Sequence[str] = ALL,  # noqa: ARG002
    ) -> bytes:
        """Run in a process of this machine, as `Room.run` says; it sees what its user sees."""
        here = _placed(arguments, {name: str(path) for name, path in self.folders.items()})
        variables = {f"{name.upper()}_DIR": str(path) for name, path in self.folders.items() if name != "submission"}
        variables["NOTEBOOKS_DIR"] = str(self.folders["submission"] / "notebooks")
        env = {name: value for name, value in without_secrets().items() if not name.startswith("PG")}
        return _talk([sys.executable, *here], given, seconds, env | variables)


def _placed(arguments: Sequence[str], folders: dict[str, str]) -> list[str]:
    placed = list(arguments)
    for name, path in folders.items():
        placed = [part.replace(f"{{{name}}}", path) for part in placed]
    return placed


def engine_answers() -> bool:
    """Tell whether a Docker engine is there."""
    try:
        return subprocess.run([DOCKER, "version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def plain(text: str) -> str:
    """Return a text that can't command a terminal."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "\N{MIDDLE DOT}" for letter in text)


def _talk(command: list[str], given: bytes, seconds: float, env: dict[str, str] | None = None) -> bytes:
    with tempfile.TemporaryFile() as question:
        question.write(given)
        question.seek(0)
        process = subprocess.Popen(
            command, stdin=question, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, start_new_session=True
        )
    try:
        said, words = _listen(process, seconds)
        status = process.wait(5)
    finally:
        for end in (process.stdout, process.stderr):
            if end:
                end.close()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if not said:
        last = (plain(words.decode("utf-8", "replace")).strip().splitlines() or [f"status {status}"])[-1]
        raise TakehomeError(f"The run ended without an answer: {last[:300]}. Most it may use: 4 GB of memory.")
    return said


def _listen(process: subprocess.Popen[bytes], seconds: float) -> tuple[bytes, bytes]:
    """Read both streams to their end, and never more than is allowed."""
    said, words, deadline = bytearray(), bytearray(), time.monotonic() + seconds
    with selectors.DefaultSelector() as streams:
        for stream, kept in ((process.stdout, said), (process.stderr, words)):
            if stream:
                streams.register(stream, selectors.EVENT_READ, kept)
        while streams.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                raise TakehomeError(f"The run took over {seconds:.0f} s, and was ended.")
            for key, _ in streams.select(min(left, 5)):
                piece = os.read(key.fd, 1 << 16)
                if not piece:
                    streams.unregister(key.fileobj)
                key.data.extend(piece)
            if len(said) > MOST_BYTES or len(words) > _MOST_WORDS:
                raise TakehomeError("The run printed more than it may, and was ended.")
    return bytes(said), bytes(words)
