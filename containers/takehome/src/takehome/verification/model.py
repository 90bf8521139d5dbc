"""The model that the run saved, against the one that is kept."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from takehome.answers import Answer
from takehome.errors import TakehomeError
from takehome.metadata import Metadata
from takehome.store import Store
from takehome.verification.report import Answers, Figure, ModelReport, Outcome
from takehome.verification.text import close
from takehome.verification.witness import TRAINING

SECONDS = 120


def find_kept(store: Store, name: str) -> Path | None:
    """Return the folder of the model that a notebook saved under this name: the served one, else the newest."""
    try:
        current = [version] if (version := store.current()) else []
    except TakehomeError:
        current = []
    for version in [*current, *reversed(store.versions())]:
        try:
            if store.metadata(version).name == name:
                return store.path(version)
        except TakehomeError:
            continue
    return None


@dataclass(frozen=True)
class Asked:
    """What two models answered.

    Attributes
    ----------
    examples : the new model, on the example rows of the kept one.
    kept, found : both, on the same other rows; empty where there are none.
    """

    examples: list[Answer]
    kept: list[Answer]
    found: list[Answer]


def compare(old: Metadata | None, new: Metadata | None, ask: Callable[[], Asked], rtol: float) -> ModelReport:
    """Compare two models: their metrics, and their answers on the same rows.

    Parameters
    ----------
    old, new : what is known of the kept model, and of the one that the run saved; None where there is none.
    ask : asks both; called only where there are two.
    rtol : relative tolerance of numbers.
    """
    names = old.version if old else None, new.version if new else None
    report = ModelReport(outcome=Outcome.NOTHING, saved=names[0], found=names[1])
    if new is None:
        report.outcome = Outcome.FAILED if old else Outcome.NOTHING
        report.message = "the run saved no model"
        return report
    report.metrics = _figures(old, new, rtol)
    if old is None:
        report.message = f"no model {new.name!r} is kept in the models folder: nothing to compare with"
        return report
    try:
        asked = ask()
        report.examples = compare_answers(old.examples.answers, asked.examples, rtol)
        report.training = compare_answers(asked.kept, asked.found, rtol) if asked.kept else None
    except TakehomeError as error:
        report.outcome, report.message = Outcome.FAILED, str(error)
        return report
    outcomes = [item.outcome for item in (*report.metrics, report.examples, report.training) if item]
    report.outcome = max(outcomes, key=lambda outcome: outcome.rank)
    return report


def _figures(old: Metadata | None, new: Metadata, rtol: float) -> list[Figure]:
    saved: dict[str, float] = old.metrics if old else {}
    figures = []
    for name in {**saved, **new.metrics}:
        one, other = saved.get(name), new.metrics.get(name)
        figures.append(Figure(name=name, saved=one, found=other, outcome=_figure(one, other, rtol, known=bool(old))))
    return figures


def _figure(one: float | None, other: float | None, rtol: float, *, known: bool) -> Outcome:
    if not known:
        return Outcome.NOTHING
    if one == other:
        return Outcome.SAME
    agree = one is not None and other is not None and close(one, other, rtol)
    return Outcome.CLOSE if agree else Outcome.DIFFERS


def ask(kept: Path | None, found: Path | None, folder: Path) -> Asked:
    """Ask both models, each in a process of its own, side by side.

    Parameters
    ----------
    kept, found : the folders of the two versions.
    folder : where the witness left the training rows, and where files may be written.

    Raises
    ------
    TakehomeError
        One of them does not answer.
    """
    if kept is None or found is None:
        raise TakehomeError("There is no second model to ask.")
    rows, training = folder / "examples.json", folder / TRAINING
    rows.write_text(json.dumps(Store(kept.parent).metadata(kept.name).examples.rows), encoding="utf-8")
    frames = [training] if training.exists() else []
    asked = [_start(found, [rows, *frames]), *([_start(kept, frames)] if frames else [])]
    try:
        (examples, *new), *old = [
            _finish(process, path.name) for process, path in zip(asked, (found, kept), strict=False)
        ]
    finally:
        for process in asked:
            process.kill()
            process.wait()
    return Asked(examples, old[0][0], new[0]) if frames else Asked(examples, [], [])


def ask_one(model: Path, files: list[Path]) -> list[list[Answer]]:
    """Ask one model, in a process of its own.

    Parameters
    ----------
    model : the folder of the version.
    files : each with rows, as JSON (`.json`), or a frame (`.joblib`).

    Raises
    ------
    TakehomeError
        It does not answer.
    """
    process = _start(model, files)
    try:
        return _finish(process, model.name)
    finally:
        process.kill()
        process.wait()


def _start(model: Path, files: list[Path]) -> subprocess.Popen[bytes]:
    program = [sys.executable, "-I", "-m", "takehome.verification.answering"]
    command = [*program, str(model.parent.absolute()), model.name, *map(str, files)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def _finish(process: subprocess.Popen[bytes], version: str) -> list[list[Answer]]:
    try:
        reply: dict[str, Any] = json.loads(process.communicate(timeout=SECONDS)[0])
    except subprocess.TimeoutExpired:
        raise TakehomeError(f"Model {version} didn't answer within {SECONDS} s.") from None
    except ValueError:
        raise TakehomeError(f"Model {version} ended the process that asked it, without an answer.") from None
    if "error" in reply:
        raise TakehomeError(reply["error"])
    return reply["answers"]


def compare_answers(saved: list[Answer], found: list[Answer], rtol: float) -> Answers:
    """Compare two models' answers for the same rows, in the same order.

    Raises
    ------
    TakehomeError
        One of them has left out a row.
    """
    if len(saved) != len(found):
        raise TakehomeError(f"The models gave {len(saved):,} and {len(found):,} answers for the same rows.")
    other_labels = sum(a["prediction"] != b["prediction"] for a, b in zip(saved, found, strict=True))
    regression = saved and not isinstance(saved[0]["prediction"], str)
    one, other = _numbers(saved), _numbers(found)
    if one.shape != other.shape:
        return Answers(
            rows=len(saved), identical=False, largest_difference=1, other_labels=other_labels, outcome=Outcome.DIFFERS
        )
    same = saved == found
    agree = np.allclose(one, other, rtol=rtol, atol=1e-12) and (regression or not other_labels)
    return Answers(
        rows=len(saved),
        identical=same,
        largest_difference=float(np.abs(one - other).max(initial=0)),
        other_labels=0 if regression else other_labels,
        outcome=Outcome.SAME if same else Outcome.CLOSE if agree else Outcome.DIFFERS,
    )


def _numbers(answers: list[Answer]) -> np.ndarray:
    """Return the probabilities, or the predictions of a regression, of n answers: (n, k)."""
    rows: list[list[float]] = []
    for one in answers:
        number = [] if isinstance(one["prediction"], str) else [float(one["prediction"])]
        rows.append([*number, *(one["probabilities"].values() if "probabilities" in one else [])])
    return np.array(rows, dtype="float64")
