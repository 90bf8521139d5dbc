"""The process that may be lost: it loads a model and answers rows, and knows nothing of what is compared.

A pickle can run any code, so time, memory and files are limited first. Run as `python -I -m takehome.proof.suspect
FOLDER`: rows come in as JSON, answers go out.
"""

import contextlib
import json
import os
import resource
import sys
import warnings
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import IO, Any

import cloudpickle
import joblib
import pandas as pd

from takehome.answers import Answer, answer
from takehome.metadata import read_metadata
from takehome.schema import RowSchema

SECONDS = 30
MOST_BYTES = 64 << 20  # of what it writes


def most_memory() -> int:
    """Return half of the memory of this machine or container, in bytes: the rest is the server's."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        container = int(Path("/sys/fs/cgroup/memory.max").read_text())
    except (OSError, ValueError):  # no container, or one without a limit
        container = machine
    return min(machine, container) // 2


def reply(folder: Path, rows: IO[str], out: IO[str]) -> None:
    """Load the model in a folder and answer rows, under limits that this process keeps from here on.

    Parameters
    ----------
    rows : a list of objects, as JSON.
    out : is given an object: `answers` and the `packages` that the estimator imports, or the `error`, its `message`
        and the `name` of what is missing.
    """
    warnings.simplefilter("ignore")
    pd.set_option("mode.string_storage", "python")  # as the API has it
    _limit()
    json.dump(_answers(folder, json.load(rows)), out)
    out.flush()


def warm_up() -> None:
    """Do what most models would wait for: import the usual estimators, and look through what is installed."""
    for name in ("compose", "ensemble", "impute", "linear_model", "pipeline"):
        import_module(f"sklearn.{name}")
    _distributions()


def _limit() -> None:
    for what, most in (
        (resource.RLIMIT_AS, most_memory()),
        (resource.RLIMIT_CPU, 2 * SECONDS),
        (resource.RLIMIT_FSIZE, MOST_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # macOS knows no limit of the address space
            resource.setrlimit(what, (most, most))


def _answers(folder: Path, rows: list[dict]) -> dict[str, Any]:
    metadata = read_metadata(folder / "model.json")
    needed = {"pandas", "joblib"}
    sys.addaudithook(lambda event, args: needed.add(args[0]) if event == "pickle.find_class" else None)
    imported = cloudpickle.cloudpickle.subimport  # how code of the notebook comes by its modules

    def subimport(name: str) -> Any:
        needed.add(name)
        return imported(name)

    cloudpickle.cloudpickle.subimport = subimport
    try:
        estimator = joblib.load(folder / "model.joblib")
        frame = RowSchema.from_json(metadata.row_schema).to_frame(rows)
        answers: list[Answer] = answer(estimator, frame, metadata.classes, metadata.threshold)
    except BaseException as error:  # whatever it is, the process that asked is told
        return {"error": type(error).__name__, "message": str(error), "name": getattr(error, "name", None)}
    return {"answers": answers, "packages": _packages({module.partition(".")[0] for module in needed})}


def _packages(modules: set[str]) -> list[str]:
    """Return the distributions that top-level modules belong to."""
    return sorted({name for module in modules for name in _distributions().get(module, [])})


@cache
def _distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


def main() -> None:
    """Answer over the pipe that standard output was, which nothing that the model prints can reach."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    reply(Path(sys.argv[1]), sys.stdin, out)


if __name__ == "__main__":
    main()
