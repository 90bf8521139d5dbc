"""A process that has imported what models need, and forks one for each proof: imports are nearly all that one costs.

The idea is `multiprocessing`'s forkserver, which would import the program that asks, and hand its secrets on. Linux
only: elsewhere a process that has loaded numerical libraries can't be forked safely.
"""

import contextlib
import gc
import json
import multiprocessing
import os
import signal
import socket
import socketserver
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from takehome.environment import without_secrets

_SOCKET = "TAKEHOME_FORKSERVER"  # the variable that names it to the processes below
_GRACE_SECONDS = 10


@contextlib.contextmanager
def started(folder: Path) -> Iterator[None]:
    """Have the process while the block runs, for all proofs of this process and those that it starts.

    Parameters
    ----------
    folder : that nobody else can write to; the process listens there.
    """
    if sys.platform != "linux":
        yield
        return
    path = str(folder / "proofs")
    command = [sys.executable, "-I", "-m", "takehome.proof.forkserver", path, str(os.getpid())]
    nothing = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing, env=without_secrets()) as process:
        os.environ[_SOCKET] = path
        try:
            yield
        finally:
            del os.environ[_SOCKET]
            process.kill()


def is_there() -> bool:
    """Tell whether one was started, here or above."""
    return _SOCKET in os.environ


def run(folder: Path, rows: IO[bytes], reply: IO[bytes], seconds: float) -> int | None:
    """Let a forked process answer rows, as `takehome.proof.suspect` does.

    Parameters
    ----------
    folder : of the version.
    rows, reply : open files.

    Returns
    -------
    The exit status, minus the signal if one ended it, or None when it took longer than `seconds`.

    Raises
    ------
    OSError
        Nobody listens any more, or says anything.
    """
    with socket.socket(socket.AF_UNIX) as door:
        door.connect(os.environ[_SOCKET])
        door.settimeout(seconds + _GRACE_SECONDS)
        asked = json.dumps({"folder": str(folder), "seconds": seconds}).encode()
        socket.send_fds(door, [asked], [rows.fileno(), reply.fileno()])
        said = door.recv(64)
        return json.loads(said) if said else -signal.SIGKILL  # the model took along the one that waited for it


class _Handler(socketserver.BaseRequestHandler):
    """One proof: a folder, seconds and two open files come in, the exit status goes out."""

    def handle(self) -> None:
        message, files, _, _ = socket.recv_fds(self.request, 1 << 16, 2)
        asked = json.loads(message)
        process = multiprocessing.get_context("fork").Process(target=self._suspect, args=(asked["folder"], *files))
        process.start()
        process.join(asked["seconds"])
        status = process.exitcode
        process.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # type: ignore[arg-type]  # it was started, so it has one
        self.request.sendall(json.dumps(status).encode())

    def _suspect(self, folder: str, rows: int, reply: int) -> None:
        os.setsid()
        os.setpriority(os.PRIO_PROCESS, 0, 5)  # whoever is being served meanwhile comes first
        self.server.server_close()  # with them it could answer for the models after it
        self.request.close()
        from takehome.proof import suspect  # noqa: PLC0415  # was imported by the process that this one is a copy of

        with os.fdopen(rows) as given, os.fdopen(reply, "w", encoding="utf-8") as out:
            suspect.reply(Path(folder), given, out)


class _Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    def service_actions(self) -> None:
        super().service_actions()
        if os.getppid() != int(sys.argv[2]):  # whoever started it is gone
            sys.exit()


def main() -> None:
    """Import, listen, and fork until whoever started this is gone."""
    with _Server(sys.argv[1], _Handler) as server:  # who asks meanwhile waits
        from takehome.proof import suspect  # noqa: PLC0415  # not for the API, which imports this module, too

        suspect.warm_up()
        gc.freeze()  # what all have in common is not written to
        server.serve_forever()


if __name__ == "__main__":
    main()
