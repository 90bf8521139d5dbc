"""How good the model is on rows that it has not seen."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from takehome.answers import Class, Estimator
from takehome.curves import Curve, curves
from takehome.importance import importance
from takehome.intervals import intervals
from takehome.metadata import Confusion, Importance, OperatingPoint
from takehome.outcome import Labels, Numbers, Outcome
from takehome.sample import Sample, positions


@dataclass(frozen=True)
class Evaluation:
    """What `model.json` says about quality; nothing without held-out rows."""

    metrics: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)
    confusion: Confusion | None = None
    operating_point: OperatingPoint | None = None
    importance: list[Importance] = field(default_factory=list)
    importance_score: str | None = None


def evaluated(estimator: Estimator, sample: Sample, classes: list[Class] | None, threshold: float | None) -> Evaluation:
    """Score a fitted estimator.

    Parameters
    ----------
    estimator : fitted.
    sample : n rows held out of the fit.
    classes : in the order of the probabilities; None for regression.
    threshold : from which probability on the second of two classes is predicted; None: the estimator decides.
    """
    outcome, weights = _outcome(estimator, sample, classes, threshold), sample.weights
    many = classes is not None and len(classes) > 2

    def judged(rows: Sample) -> Outcome:
        # probabilities of many classes would be ranked class by class, each time
        return _outcome(estimator, rows, classes, threshold, probable=not many)

    ranked, score = importance(sample, judged)
    labels = outcome if isinstance(outcome, Labels) else None
    return Evaluation(
        metrics=outcome.metrics(weights),
        intervals=intervals(outcome, weights),
        curves=curves(outcome, weights),
        confusion=_confusion(labels, weights, classes or []) if labels else None,
        operating_point=_operating_point(labels, weights) if labels else None,
        importance=ranked,
        importance_score=score,
    )


def _outcome(
    estimator: Any, sample: Sample, classes: list[Class] | None, threshold: float | None, *, probable: bool = True
) -> Outcome:
    if classes is None:
        predicted = np.asarray(estimator.predict(sample.X), dtype="float64").reshape(len(sample.y))
        return Numbers(sample.y.to_numpy("float64"), predicted)
    values, probabilities = [item["value"] for item in classes], None
    if hasattr(estimator, "predict_proba") and (probable or threshold is not None):
        probabilities = np.asarray(estimator.predict_proba(sample.X), dtype="float64")
    if threshold is not None and probabilities is not None:
        predicted = (probabilities[:, 1] >= threshold).astype(int)
    else:
        predicted = positions(np.asarray(estimator.predict(sample.X)).reshape(len(sample.y)), values)
    return Labels(positions(sample.y, values), predicted, probabilities, len(values))


def _confusion(outcome: Labels, weights: np.ndarray, classes: list[Class]) -> Confusion:
    counts = outcome.confusion(weights)
    whole = (weights == np.floor(weights)).all()
    return {
        "labels": [item["label"] for item in classes],
        "counts": (counts.astype(int) if whole else counts).tolist(),
    }


def _operating_point(outcome: Labels, weights: np.ndarray) -> OperatingPoint | None:
    if outcome.classes != 2:
        return None
    (true_negative, false_positive), (false_negative, true_positive) = outcome.confusion(weights).tolist()
    positives, negatives = true_positive + false_negative, true_negative + false_positive
    if not positives or not negatives:
        return None
    return {
        "false_positive_rate": false_positive / negatives,
        "true_positive_rate": true_positive / positives,
        "precision": true_positive / ((true_positive + false_positive) or 1),
        "recall": true_positive / positives,
    }
