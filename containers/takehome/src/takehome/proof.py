"""Proving a model: a fresh process loads it and answers the example rows; the process that asked compares.

A pickle can run any code, so the process that loads it first has limits on time, memory and files, and knows
nothing of the comparison. Run as `python -I -m takehome.proof FOLDER`: rows come in as JSON, answers go out.
"""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import warnings
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import IO, Any

import cloudpickle
import joblib
import pandas as pd

from takehome.answers import Answer, agree, answer
from takehome.environment import without_secrets
from takehome.errors import TakehomeError
from takehome.metadata import ADD, Metadata, read_metadata
from takehome.schema import RowSchema

SECONDS = 30
MOST_BYTES = 64 << 20


def prove(folder: Path, metadata: Metadata, *, seconds: float = SECONDS) -> list[str]:
    """Let a fresh process load `folder/model.joblib`, and compare its answers to the examples.

    Parameters
    ----------
    folder : of the version; `model.json` must be in it.
    metadata : what that file holds.
    seconds : how long the process may take.

    Returns
    -------
    The names of the installed packages that the estimator imports.

    Raises
    ------
    TakehomeError
        It doesn't load, doesn't answer in time, or gives other answers than it gave in the notebook.
    """
    reply = _ask(folder, metadata, seconds)
    if "error" in reply:
        raise TakehomeError(_explain(metadata.version, reply))
    compare(metadata, reply.get("answers"))
    return [str(name) for name in reply.get("packages", [])]


def compare(metadata: Metadata, answers: Any) -> None:
    """Hold answers for the example rows against those that were saved.

    Raises
    ------
    TakehomeError
        They differ, by row.
    """
    saved = metadata.examples.answers
    if not isinstance(answers, list) or len(answers) != len(saved):
        raise TakehomeError(f"Model {metadata.version} doesn't answer its example rows. Save it again.")
    for i, (found, expected) in enumerate(zip(answers, saved, strict=True)):
        try:
            same = agree(expected, found)
        except (AttributeError, KeyError, TypeError):
            same = False
        if not same:
            raise TakehomeError(
                f"Model {metadata.version}, example row {i}: it answered {json.dumps(found)[:200]} "
                f"where the notebook got {json.dumps(expected)[:200]}. Save it again; if that repeats, the estimator's "
                "answers depend on something outside it (randomness in predict, or a global variable)."
            )


def _ask(folder: Path, metadata: Metadata, seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-I", "-m", "takehome.proof", str(folder.absolute())]
    with tempfile.TemporaryFile() as rows, tempfile.TemporaryFile() as reply:
        rows.write(json.dumps(metadata.examples.rows).encode())
        rows.seek(0)
        process = subprocess.Popen(
            command, stdin=rows, stdout=reply, stderr=subprocess.DEVNULL, env=without_secrets(), start_new_session=True
        )
        with contextlib.suppress(OSError):  # whoever is being served meanwhile comes first
            os.setpriority(os.PRIO_PROCESS, process.pid, 5)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TakehomeError(f"Model {metadata.version} didn't load and answer within {seconds:.0f} s.") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return _parse(reply, process.returncode, metadata.version)


def _parse(reply: IO[bytes], status: int, version: str) -> dict[str, Any]:
    reply.seek(0)
    try:
        parsed = json.loads(reply.read(MOST_BYTES))
        if isinstance(parsed, dict):
            return parsed
    except (ValueError, RecursionError):
        pass
    how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    raise TakehomeError(f"Model {version} can't be loaded: the process that tried {how}, without an answer.")


def _explain(version: str, reply: dict[str, Any]) -> str:
    """Say what to do about the error that loading ended with."""
    kind, text, name = (str(reply.get(key))[:300] for key in ("error", "message", "name"))
    if kind == "ModuleNotFoundError":
        return (
            f"Model {version} needs the package {name!r}, which a fresh process doesn't find. {ADD} "
            "If it is a file beside the notebook: import it at the top of a cell, not inside a function."
        )
    if kind == "MemoryError":
        return f"Model {version} needs more memory than it may take ({_most_memory() >> 20} MB)."
    return f"Model {version} can't be loaded: {kind}: {text}"


def _most_memory() -> int:
    """Return half of the memory of this machine or container, in bytes: the rest is the server's."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        container = int(Path("/sys/fs/cgroup/memory.max").read_text())
    except (OSError, ValueError):  # no container, or one without a limit
        container = machine
    return min(machine, container) // 2


def _limit() -> None:
    for what, most in (
        (resource.RLIMIT_AS, _most_memory()),
        (resource.RLIMIT_CPU, 2 * SECONDS),
        (resource.RLIMIT_FSIZE, MOST_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # macOS knows no limit of the address space
            resource.setrlimit(what, (most, most))


def _answers(folder: Path, rows: list[dict]) -> dict[str, Any]:
    """Load the model and answer, as the process that may be lost."""
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
    distributions = packages_distributions()
    return sorted({name for module in modules for name in distributions.get(module, [])})


def main() -> None:
    """Answer over the pipe that standard output was, which nothing that the model prints can reach."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    pd.set_option("mode.string_storage", "python")  # as the API has it
    _limit()
    json.dump(_answers(Path(sys.argv[1]), json.load(sys.stdin)), out)
    out.flush()


if __name__ == "__main__":
    main()
