"""What is asked of a model before it is served, and how its answers are held against those of the notebook."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from takehome.answers import agree
from takehome.environment import without_secrets
from takehome.errors import TakehomeError
from takehome.metadata import ADD, Metadata
from takehome.proof import forkserver
from takehome.proof.suspect import MOST_BYTES, SECONDS, most_memory


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
    if forkserver.is_there():
        with contextlib.suppress(OSError):  # a model that was bad enough can have ended it
            return _answers(folder, metadata, seconds, forkserver.run)
    return _answers(folder, metadata, seconds, _run)


def _answers(folder: Path, metadata: Metadata, seconds: float, run: Callable[..., int | None]) -> dict[str, Any]:
    with tempfile.TemporaryFile() as rows, tempfile.TemporaryFile() as reply:
        rows.write(json.dumps(metadata.examples.rows).encode())
        rows.seek(0)
        status = run(folder.absolute(), rows, reply, seconds)
        if status is None:
            raise TakehomeError(f"Model {metadata.version} didn't load and answer within {seconds:.0f} s.")
        return _parse(reply, status, metadata.version)


def _run(folder: Path, rows: IO[bytes], reply: IO[bytes], seconds: float) -> int | None:
    command = [sys.executable, "-I", "-m", "takehome.proof.suspect", str(folder)]
    process = subprocess.Popen(
        command, stdin=rows, stdout=reply, stderr=subprocess.DEVNULL, env=without_secrets(), start_new_session=True
    )
    with contextlib.suppress(OSError):  # whoever is being served meanwhile comes first
        os.setpriority(os.PRIO_PROCESS, process.pid, 5)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


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
        return f"Model {version} needs more memory than it may take ({most_memory() >> 20} MB)."
    return f"Model {version} can't be loaded: {kind}: {text}"
