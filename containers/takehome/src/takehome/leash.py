"""Ends a group of processes when the one who started them is gone, whichever way that one went.

Runs as a script of its own, without the package, for as long as its standard input is open. Each line there is a
process (a group leader) and the signal that asks it to end.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

GRACE_SECONDS = 7


def end(signals: dict[int, int], reap: Callable[[], object] = lambda: None) -> None:
    """Ask processes to end, and kill what is left of their groups after `GRACE_SECONDS`.

    Parameters
    ----------
    signals : for each group leader the signal that asks it to end.
    reap : called while waiting, to collect children that have ended.
    """
    for pid, number in signals.items():
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
    deadline = time.monotonic() + GRACE_SECONDS
    while _any_lives(signals) and time.monotonic() < deadline:
        time.sleep(0.05)
        reap()
    for pid in signals:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def _any_lives(groups: Iterable[int]) -> bool:
    for pid in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, 0)
            return True
    return False


def main() -> None:
    """Watch standard input to its end, then end all that is on the list."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signals: dict[int, int] = {}
    for line in sys.stdin:
        pid, stop_signal = map(int, line.split())
        signals[pid] = stop_signal
    end(signals)


if __name__ == "__main__":
    main()
