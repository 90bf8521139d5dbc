"""How good the model is on rows that it has not seen: figures, and the points of the curves that a page draws."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn import metrics as sk

from takehome.answers import Estimator

MOST_POINTS = 200


def evaluate(
    estimator: Estimator,
    X: pd.DataFrame,
    y: pd.Series,
    weights: Any,
    classes: list[Any] | None,
) -> tuple[dict[str, float], dict[str, list[list[float]]]]:
    """Score a fitted estimator.

    Parameters
    ----------
    estimator : fitted.
    X, y, weights : (n, k), (n,) and (n,) or None: rows held out of the fit, and how often each is counted.
    classes : the class values in the order of the probabilities; None for regression.

    Returns
    -------
    (metrics, curves) : figures by scikit-learn's names, and for each curve its points `[x, y]`.
    For two classes the second is the positive one, and ranking metrics come from its probabilities.
    """
    if classes is None:
        return _regression(y, np.asarray(estimator.predict(X)).reshape(len(X)), weights)
    predicted = np.asarray(estimator.predict(X))
    metrics = {
        "accuracy": float(sk.accuracy_score(y, predicted, sample_weight=weights)),
        "balanced_accuracy": float(sk.balanced_accuracy_score(y, predicted, sample_weight=weights)),
    }
    if not hasattr(estimator, "predict_proba"):
        return metrics, {}
    probabilities = np.asarray(estimator.predict_proba(X))
    metrics["log_loss"] = float(sk.log_loss(y, probabilities, sample_weight=weights, labels=classes))
    if len(classes) != 2:
        return metrics, {}
    positive = np.asarray(y == classes[1])
    ranking, curves = _ranking(positive, probabilities[:, 1], weights)
    return metrics | ranking, curves


def _regression(y: pd.Series, predicted: np.ndarray, weights: Any) -> tuple[dict, dict]:
    metrics = {
        "mean_absolute_error": float(sk.mean_absolute_error(y, predicted, sample_weight=weights)),
        "root_mean_squared_error": float(sk.root_mean_squared_error(y, predicted, sample_weight=weights)),
    }
    if len(y) > 1:
        metrics["r2"] = float(sk.r2_score(y, predicted, sample_weight=weights))
    return metrics, {"predicted_against_true": _points(np.asarray(y, dtype=float), predicted)}


def _ranking(positive: np.ndarray, probability: np.ndarray, weights: Any) -> tuple[dict, dict]:
    """Score the probabilities of the positive class; both classes must be there for the curves to exist."""
    metrics = {"brier_score": float(sk.brier_score_loss(positive, probability, sample_weight=weights))}
    if positive.all() or not positive.any():
        return metrics, {}
    metrics["roc_auc"] = float(sk.roc_auc_score(positive, probability, sample_weight=weights))
    metrics["average_precision"] = float(sk.average_precision_score(positive, probability, sample_weight=weights))
    false, true, _ = sk.roc_curve(positive, probability, sample_weight=weights)
    precision, recall, _ = sk.precision_recall_curve(positive, probability, sample_weight=weights)
    return metrics, {
        "roc": _points(false, true),
        "precision_recall": _points(recall, precision),
        "calibration": _calibration(positive, probability, weights),
    }


def _calibration(positive: np.ndarray, probability: np.ndarray, weights: Any) -> list[list[float]]:
    """Return (mean probability, share of positives) in ten bins of equal weight."""
    order = np.argsort(probability, kind="stable")
    weight = np.ones(len(order)) if weights is None else np.asarray(weights, dtype=float)[order]
    edges = np.searchsorted(np.cumsum(weight), np.linspace(0, weight.sum(), 11)[1:-1])
    bins = [part for part in np.split(np.arange(len(order)), edges) if weight[part].sum() > 0]
    p, hit = probability[order], positive[order].astype(float)
    return [[float(np.average(v[part], weights=weight[part])) for v in (p, hit)] for part in bins]


def _points(x: np.ndarray, y: np.ndarray) -> list[list[float]]:
    keep = np.unique(np.linspace(0, len(x) - 1, min(len(x), MOST_POINTS)).astype(int))
    return [[float(a), float(b)] for a, b in zip(x[keep], y[keep], strict=True)]
