"""One server at a time on a data folder: two would lose rows without any error."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from takehome.errors import TakehomeError

_LOCK_SECONDS = 12  # what a killed server needs to go, and a bit


@contextmanager
def lock(data: Path) -> Iterator[int]:
    """Hold the lock of a data folder; yields its file descriptor, which those who work on the folder inherit.

    Raises
    ------
    TakehomeError
        Somebody works on the folder.
    """
    with _open(data.with_name(f"{data.name}.lock")) as file:
        deadline = time.monotonic() + _LOCK_SECONDS
        while not _locked(file.fileno()):
            file.seek(0)
            holder = file.read().strip()
            if lives(holder) or time.monotonic() > deadline:
                raise TakehomeError(
                    f"{data}: a server is using this data folder already (process {holder or 'unknown'}). "
                    "Stop that one first, with Ctrl-C in its window."
                )
            time.sleep(0.1)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield file.fileno()


def _open(path: Path) -> TextIO:
    try:
        return path.open("a+")
    except PermissionError as error:
        raise TakehomeError(
            f"{path} belongs to another user. Give it back: sudo chown -R $(id -u) {path.parent}"
        ) from error


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lives(pid: str) -> bool:
    """Tell whether a process has this id."""
    try:
        os.kill(int(pid), 0)
    except PermissionError:
        return True
    except (ValueError, ProcessLookupError):
        return False
    return True
