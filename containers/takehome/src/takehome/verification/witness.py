"""Loaded into the kernel of a verification: notes what the cells can't show, and changes nothing for them.

For each cell it notes which of the global random generators were used, and whether they were seeded; of the model that
is saved it keeps up to 10,000 training rows. All of it goes into the folder that `WITNESS_DIR` names.
"""

import functools
import json
import os
import random
import sys
from pathlib import Path
from typing import Any

ROWS = 10_000
NOTES, TRAINING = "cells.jsonl", "training.joblib"


def load_ipython_extension(shell: Any) -> None:
    """Begin to watch."""
    import numpy.random  # noqa: F401, PLC0415  # its state is to be known before the first cell

    import takehome  # noqa: PLC0415

    takehome._HOMES["save_model"] = "verification.witness"
    witness = _Witness(Path(os.environ["WITNESS_DIR"]) / NOTES)
    shell.events.register("pre_run_cell", witness.before)
    shell.events.register("post_run_cell", witness.after)


def __getattr__(name: str) -> Any:
    if name != "save_model":
        raise AttributeError(name)
    from takehome.artifact import save_model  # noqa: PLC0415  # as late as without a witness

    @functools.wraps(save_model)
    def witnessed(estimator: Any, X: Any, *arguments: Any, **options: Any) -> Any:
        version = save_model(estimator, X, *arguments, **options)
        _keep(X)
        return version

    return witnessed


def _keep(X: Any) -> None:
    """Write rows from all over the frame."""
    import joblib  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    places = np.unique(np.linspace(0, len(X) - 1, ROWS).astype(int))
    joblib.dump(X.iloc[places].reset_index(drop=True), Path(os.environ["WITNESS_DIR"]) / TRAINING)


class _Witness:
    """Compares the states of the global generators before and after each cell."""

    def __init__(self, notes: Path) -> None:
        self._notes, self._before = notes, self._states()

    def before(self, *_: Any) -> None:
        self._before = self._states()

    def after(self, result: Any) -> None:
        if result.info is None or not result.info.store_history:
            return
        now = self._states()
        used = [name for name, state in now.items() if state != self._before[name]]
        with self._notes.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"used": used}) + "\n")

    def _states(self) -> dict[str, int]:
        _, keys, place, *rest = sys.modules["numpy.random"].get_state()
        return {"random": hash(random.getstate()), "numpy": hash((keys.tobytes(), place, *rest))}
