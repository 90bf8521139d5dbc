"""The model that the run saved, against the one that is kept."""

import json
import subprocess
import sys
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


def compare(kept: Path | None, found: Path | None, folder: Path, rtol: float) -> ModelReport:
    """Compare two models: their metrics, and their answers on the same rows.

    Parameters
    ----------
    kept, found : the folders of the two versions; None where there is none.
    folder : where the witness left the training rows, and where files may be written.
    rtol : relative tolerance of numbers.
    """
    names = kept.name if kept else None, found.name if found else None
    report = ModelReport(outcome=Outcome.NOTHING, saved=names[0], found=names[1])
    if found is None:
        report.message = "the run saved no model"
        return report
    try:
        _fill(report, kept, found, folder, rtol)
    except TakehomeError as error:
        report.outcome, report.message = Outcome.FAILED, str(error)
    return report


def _fill(report: ModelReport, kept: Path | None, found: Path, folder: Path, rtol: float) -> None:
    new = Store(found.parent).metadata(found.name)
    old = Store(kept.parent).metadata(kept.name) if kept else None
    report.metrics = _figures(old, new, rtol)
    if kept is None or old is None:
        report.message = f"no model {new.name!r} is kept in the models folder: nothing to compare with"
        return
    report.examples, report.training = _ask(kept, old, found, folder, rtol)
    outcomes = [item.outcome for item in (*report.metrics, report.examples, report.training) if item]
    report.outcome = max(outcomes, key=lambda outcome: outcome.rank)


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


def _ask(kept: Path, old: Metadata, found: Path, folder: Path, rtol: float) -> tuple[Answers, Answers | None]:
    """Ask both models, each in a process of its own, side by side."""
    rows, training = folder / "examples.json", folder / TRAINING
    rows.write_text(json.dumps(old.examples.rows), encoding="utf-8")
    frames = [training] if training.exists() else []
    asked = [_start(found, [rows, *frames]), *([_start(kept, frames)] if frames else [])]
    try:
        answers, *others = [_finish(process, path.name) for process, path in zip(asked, (found, kept), strict=False)]
    finally:
        for process in asked:
            process.kill()
            process.wait()
    examples = compare_answers(old.examples.answers, answers[0], rtol)
    return examples, compare_answers(others[0][0], answers[1], rtol) if others else None


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
    """Compare two models' answers for the same rows, in the same order."""
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
