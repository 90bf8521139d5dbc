"""Child processes that live and die together, their output told apart by name."""

import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGTERM
from types import TracebackType
from typing import Any, Self

from takehome import leash

_COLOURS = (36, 33, 32, 35, 34)


@dataclass
class Member:
    """One child: its name, its process and the last lines it wrote."""

    name: str
    process: subprocess.Popen[bytes]
    stop_signal: int
    last: deque[str] = field(default_factory=lambda: deque(maxlen=10))
    reader: threading.Thread | None = None

    def last_words(self) -> str:
        """Return how it ended, with its last lines."""
        if self.reader:
            self.reader.join(1)
        lines = "".join(f"\n  {line}" for line in self.last)
        return f"{self.name} ended with exit code {self.process.returncode}. Its last lines:{lines}"


class Crew:
    """Starts children, and ends them all on leaving; a leash does so should this process be killed.

    Parameters
    ----------
    keep : a file descriptor that the leash holds open until the last child is gone.
    """

    def __init__(self, keep: int) -> None:
        self.members: list[Member] = []
        read_end, self._pipe = os.pipe()
        command = [sys.executable, "-S", leash.__file__]
        self._leash = subprocess.Popen(command, stdin=read_end, pass_fds=(keep,), start_new_session=True)
        os.close(read_end)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        leash.end({m.process.pid: m.stop_signal for m in self.members}, self._reap)
        os.close(self._pipe)
        self._leash.wait()

    def start(  # noqa: PLR0913 (what Popen is told, and the name)
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str],
        cwd: Path | None = None,
        stop_signal: int = SIGTERM,
        identity: Mapping[str, Any] | None = None,
        keep: Sequence[int] = (),
    ) -> Member:
        """Start a child; its output is printed line by line behind its name.

        Parameters
        ----------
        stop_signal : what asks it to end.
        identity : arguments of `Popen` that make the child another user, if it is to be one.
        keep : file descriptors that it holds open as long as it lives.
        """

        def tell_the_leash() -> None:  # before exec: killed at any instant, the leash knows of the child
            os.write(self._pipe, f"{os.getpid()} {stop_signal}\n".encode())

        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            process_group=0,
            preexec_fn=tell_the_leash,  # noqa: PLW1509 (it takes no lock)
            pass_fds=keep,
            **(identity or {}),
        )
        member = Member(name, process, stop_signal)
        self.members.append(member)
        member.reader = threading.Thread(target=self._print_lines, args=(member,), daemon=True)
        member.reader.start()
        return member

    def dead(self) -> Member | None:
        """Return a child that has ended, if one has."""
        self._reap()
        return next((m for m in self.members if m.process.returncode is not None), None)

    def leash_lost(self) -> bool:
        """Tell whether somebody has killed the leash."""
        return self._leash.poll() is not None

    def _reap(self) -> None:
        for member in self.members:
            member.process.poll()

    def _print_lines(self, member: Member) -> None:
        prefix = f"{member.name:<9} | "
        if sys.stdout.isatty():
            prefix = f"\033[{_COLOURS[len(self.members) % len(_COLOURS)]}m{prefix}\033[0m"
        for raw in member.process.stdout or ():
            line = raw.decode(errors="replace").rstrip()
            member.last.append(line)
            sys.stdout.write(f"{prefix}{line}\n")
            sys.stdout.flush()
