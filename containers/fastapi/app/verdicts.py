"""Which models were proved, known to all workers: one proves, the others wait for it and swap with it."""

import fcntl
import hashlib
from collections.abc import Callable
from pathlib import Path


class Verdicts:
    """An empty file for each model that was proved.

    Parameters
    ----------
    folder : that the workers share, and that goes with them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def settle(self, model: tuple, prove: Callable[[], object]) -> None:
        """Let a model be proved, unless it was; what `prove` raises is raised, and the next worker proves again.

        Parameters
        ----------
        model : what changes when its files do.
        """
        proved = self._folder / f"proved-{hashlib.sha256(repr(model).encode()).hexdigest()}"
        with (self._folder / "proving").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not proved.exists():
                prove()
                proved.touch()
