"""From which probability on the second of two classes is predicted."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from takehome.answers import Class, Estimator
from takehome.errors import TakehomeError
from takehome.sample import Sample, positions

RULES = {"balanced_accuracy": "balanced accuracy", "f1": "F1 score"}


@dataclass(frozen=True)
class Threshold:
    """A probability, and the sentence that says where it comes from; neither where the estimator decides itself."""

    value: float | None = None
    rule: str | None = None


def find_threshold(
    estimator: Estimator,
    classes: list[Class] | None,
    threshold: float | str | None,
    choose_on: tuple[Any, ...] | None,
    evaluate: Sample | None,
) -> Threshold:
    """Take a threshold, or choose one by a rule.

    Parameters
    ----------
    estimator : fitted; it must have `predict_proba`.
    classes : in the order of the probabilities; there must be two.
    threshold : a probability between 0 and 1, or the name of a rule in `RULES`.
    choose_on : `(X, y)` or `(X, y, weights)`: the rows on which the rule chooses. In place of `X` there may be the n
        probabilities of the second class, such as `cross_val_predict(..., method="predict_proba")[:, 1]` gives them.
    evaluate : the test rows, on which nothing may be chosen.

    Returns
    -------
    By a rule: of all thresholds that lie in the middle between two neighbouring probabilities of those rows, the one
    with the highest score. In the middle, so that no rounding moves a row across.

    Raises
    ------
    TakehomeError
        The model has no use for a threshold, it is out of range or unknown, or would be chosen on the test rows.
    """
    if threshold is None:
        if choose_on is not None:
            raise TakehomeError(f"choose_on is for a threshold that a rule chooses: pass threshold= one of {_RULES}.")
        return Threshold()
    if classes is None or len(classes) != 2 or not hasattr(estimator, "predict_proba"):
        what = "a number" if classes is None else f"{len(classes)} classes"
        if classes is not None and len(classes) == 2:
            what = "labels without probabilities"
        raise TakehomeError(f"threshold= is for two classes with probabilities; this model gives {what}. Leave it out.")
    if isinstance(threshold, str):
        return _choose(estimator, classes, threshold, choose_on, evaluate)
    if isinstance(threshold, bool) or not isinstance(threshold, int | float | np.number) or not 0 < threshold < 1:
        raise TakehomeError(f"threshold={threshold!r} is no probability between 0 and 1, nor one of {_RULES}.")
    if choose_on is not None:
        raise TakehomeError(f"threshold={threshold!r} is chosen already. Leave choose_on out, or pass one of {_RULES}.")
    return Threshold(float(threshold), "Set in the notebook.")


_RULES = ", ".join(map(repr, RULES))


def _choose(
    estimator: Any, classes: list[Class], rule: str, choose_on: tuple[Any, ...] | None, evaluate: Sample | None
) -> Threshold:
    if rule not in RULES:
        raise TakehomeError(f"threshold={rule!r} is no rule. Pass one of {_RULES}, or a probability.")
    if choose_on is None:
        raise TakehomeError(f"threshold={rule!r} needs rows to choose on: choose_on=(X_valid, y_valid).")
    rows = Sample.read(choose_on, "choose_on")
    if evaluate is not None and _same(rows, evaluate):
        raise TakehomeError(
            "choose_on holds rows of evaluate: a threshold chosen on the test rows makes the test look better than the "
            "model is. Choose on validation rows, or on cross_val_predict of the training rows."
        )
    given = np.ndim(rows.X) == 1
    probability = np.asarray(rows.X if given else estimator.predict_proba(rows.X)[:, 1], dtype="float64")
    if not ((probability >= 0) & (probability <= 1)).all():
        raise TakehomeError("choose_on: what stands in place of X are no probabilities. Pass rows, or those.")
    positive = positions(rows.y, [item["value"] for item in classes]) == 1
    value, score = _best(rule, probability, positive, rows.weights)
    return Threshold(
        value,
        f"Highest {RULES[rule]} ({score:.3f}) on {rows.weights.sum():,.0f} validation rows"
        f"{', by the probabilities that the notebook gave' if given else ''}.",
    )


def _best(rule: str, probability: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Return the threshold with the highest score, and that score."""
    counted = weights > 0
    values, at = np.unique(probability[counted], return_inverse=True)
    hits = np.bincount(at, (weights * positive)[counted])
    false = np.bincount(at, (weights * ~positive)[counted])
    if len(values) < 2 or not hits.sum() or not false.sum():
        raise TakehomeError(
            "choose_on: no threshold separates its rows, since all have the same class or the same probability."
        )
    hit, alarm = (part[::-1].cumsum()[::-1][1:] for part in (hits, false))  # at or above each value but the lowest
    scores = {
        "balanced_accuracy": (hit / hits.sum() + 1 - alarm / false.sum()) / 2,
        "f1": 2 * hit / (hit + alarm + hits.sum()),
    }[rule]
    best = int(scores.argmax())
    low, high = values[best], values[best + 1]
    middle = (low + high) / 2
    return float(middle if middle > low else high), float(scores[best])


def _same(one: Sample, other: Sample) -> bool:
    """Tell whether two samples share rows: the same rows in the same order, or equal ones under the same labels.

    Counted rows are the same only with the same counts, since two heaps of births have the same kinds of mother.
    """
    if np.ndim(one.X) == 1:
        return False
    mine, yours = _digests(one), _digests(other)
    weighted = not ((one.weights == 1).all() and (other.weights == 1).all())
    if len(mine) == len(yours) and (mine.to_numpy() == yours.to_numpy()).all():
        return bool((one.weights == other.weights).all())
    if weighted or not mine.index.is_unique or not yours.index.is_unique:
        return False
    shared = mine.index.intersection(yours.index)
    return len(shared) > 0 and bool((mine[shared] == yours[shared]).all())


def _digests(sample: Sample) -> pd.Series:
    """Return a number for the contents of each row, under the row's label."""
    frame = sample.X if isinstance(sample.X, pd.DataFrame) else pd.DataFrame(np.asarray(sample.X))
    digests = (
        pd.util.hash_pandas_object(frame, index=False).to_numpy()
        ^ pd.util.hash_pandas_object(pd.Series(sample.y.to_numpy()), index=False).to_numpy()
    )
    return pd.Series(digests, index=frame.index)
