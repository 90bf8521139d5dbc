"""The points of the curves that the model page draws."""

import numpy as np
from sklearn import metrics as sk

from takehome.outcome import Labels, Numbers, Outcome

MOST_POINTS = 200
Curve = list[list[float]]


def curves(outcome: Outcome, weights: np.ndarray) -> dict[str, Curve]:
    """Return curves by name, each a list of at most `MOST_POINTS` points `[x, y]`.

    Returns
    -------
    Two classes that both occur: `roc` (false and true positive rate), `precision_recall` (recall, precision) and
    `calibration` (mean probability, share of positives, in ten bins of equal weight). Regression:
    `predicted_against_true` (true, predicted) and `residuals` (predicted, true - predicted). Else none.
    """
    if isinstance(outcome, Numbers):
        return {
            "predicted_against_true": _points(outcome.true, outcome.predicted),
            "residuals": _points(outcome.predicted, outcome.true - outcome.predicted),
        }
    if not isinstance(outcome, Labels) or outcome.classes != 2 or outcome.probabilities is None:
        return {}
    positive, probability = outcome.true == 1, outcome.probabilities[:, 1]
    if not weights[positive].any() or not weights[~positive].any():
        return {}
    false, true, _ = sk.roc_curve(positive, probability, sample_weight=weights)
    precision, recall, _ = sk.precision_recall_curve(positive, probability, sample_weight=weights)
    return {
        "roc": _points(false, true),
        "precision_recall": _points(recall, precision),
        "calibration": _calibration(positive, probability, weights),
    }


def _calibration(positive: np.ndarray, probability: np.ndarray, weights: np.ndarray) -> Curve:
    order = np.argsort(probability, kind="stable")
    weight = weights[order]
    edges = np.searchsorted(np.cumsum(weight), np.linspace(0, weight.sum(), 11)[1:-1])
    bins = [part for part in np.split(np.arange(len(order)), edges) if weight[part].sum() > 0]
    p, hit = probability[order], positive[order].astype(float)
    return [[float(np.average(v[part], weights=weight[part])) for v in (p, hit)] for part in bins]


def _points(x: np.ndarray, y: np.ndarray) -> Curve:
    keep = np.unique(np.linspace(0, len(x) - 1, min(len(x), MOST_POINTS)).astype(int))
    return [[float(a), float(b)] for a, b in zip(x[keep], y[keep], strict=True)]
