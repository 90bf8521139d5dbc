"""What a model said about rows beside what was true, and the figures that follow for any weights of those rows.

The figures are scikit-learn's by name and value. They are computed here because a bootstrap asks for hundreds of them
on the same rows: sorted once, each is one pass.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, Self

import numpy as np


class Outcome(Protocol):
    """Predictions for n rows and the truth."""

    @property
    def width(self) -> int:
        """How many passes over the rows the metrics take."""

    def take(self, rows: np.ndarray) -> Self:
        """Return the outcome of some rows only."""

    def metrics(self, weights: np.ndarray) -> dict[str, float]:
        """Return the figures where row i is counted `weights[i]` times; one that is not defined is left out."""


@dataclass(frozen=True)
class Numbers:
    """A regression: true and predicted numbers, (n,) each."""

    true: np.ndarray
    predicted: np.ndarray
    width = 1

    def take(self, rows: np.ndarray) -> Self:
        """Return the outcome of some rows only."""
        return type(self)(self.true[rows], self.predicted[rows])

    def metrics(self, weights: np.ndarray) -> dict[str, float]:
        """Return mean absolute error, root mean squared error and, where the truth varies, R²."""
        off, total = self.true - self.predicted, weights.sum()
        squared = weights @ off**2
        found = {
            "mean_absolute_error": float(weights @ np.abs(off) / total),
            "root_mean_squared_error": float(np.sqrt(squared / total)),
        }
        spread = weights @ (self.true - weights @ self.true / total) ** 2
        return found | ({"r2": float(1 - squared / spread)} if spread > 0 else {})


@dataclass(frozen=True)
class Labels:
    """A classification: positions of the true and the predicted class, (n,) each, and probabilities, (n, k)."""

    true: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray | None
    classes: int

    @property
    def width(self) -> int:
        """How many passes over the rows the metrics take."""
        return 1 if self.probabilities is None else len(self._rankings)

    def take(self, rows: np.ndarray) -> Self:
        """Return the outcome of some rows only."""
        probabilities = None if self.probabilities is None else self.probabilities[rows]
        return type(self)(self.true[rows], self.predicted[rows], probabilities, self.classes)

    def confusion(self, weights: np.ndarray) -> np.ndarray:
        """Count which class, (k,), was taken for which, (k,): rows are true, columns predicted."""
        cells = self.true * self.classes + self.predicted
        return np.bincount(cells, weights, self.classes**2).reshape(self.classes, self.classes)

    def metrics(self, weights: np.ndarray) -> dict[str, float]:
        """Return figures of the labels and, if there are any, of the probabilities; the second of two is positive."""
        counts = self.confusion(weights)
        right, true, predicted = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
        f1 = 2 * right / np.maximum(true + predicted, np.finfo(float).tiny)
        found = {
            "accuracy": float(right.sum() / counts.sum()),
            "balanced_accuracy": float((right[true > 0] / true[true > 0]).mean()),
        }
        found |= {"f1": float(f1[1])} if self.classes == 2 else {"f1_macro": float(f1[true + predicted > 0].mean())}
        return found if self.probabilities is None else found | self._probable(self.probabilities, weights)

    def _probable(self, probabilities: np.ndarray, weights: np.ndarray) -> dict[str, float]:
        found = {"log_loss": float(weights @ self._losses / weights.sum())}
        if self.classes == 2:
            found["brier_score"] = float(weights @ (probabilities[:, 1] - self.true) ** 2 / weights.sum())
        ranked = [scores for ranking in self._rankings if (scores := ranking.scores(weights))]
        if not ranked:
            return found
        if self.classes == 2:
            return found | {"roc_auc": ranked[0][0], "average_precision": ranked[0][1]}
        return found | {"roc_auc_ovr": float(np.mean([auc for auc, _ in ranked]))}

    @cached_property
    def _losses(self) -> np.ndarray:
        tiny = np.finfo(float).eps
        return -np.log(np.clip(self.probabilities[np.arange(len(self.true)), self.true], tiny, 1 - tiny))  # type: ignore[index]

    @cached_property
    def _rankings(self) -> list["_Ranking"]:
        if self.probabilities is None or self.classes < 2:
            return []
        ranked = [1] if self.classes == 2 else range(self.classes)
        return [_Ranking.of(self.probabilities[:, k], self.true == k) for k in ranked]


@dataclass(frozen=True)
class _Ranking:
    """Rows sorted by the probability of a class, highest first."""

    order: np.ndarray
    positive: np.ndarray
    ends: np.ndarray  # of the rows with equal probability

    @classmethod
    def of(cls, probability: np.ndarray, positive: np.ndarray) -> Self:
        order = np.argsort(-probability, kind="stable")
        return cls(order, positive[order], np.flatnonzero(np.diff(probability[order], append=np.nan) != 0))

    def scores(self, weights: np.ndarray) -> tuple[float, float] | None:
        """Return (area under the ROC curve, average precision), or None where a class has no weight."""
        ordered = weights[self.order]
        hits = np.concatenate([[0], np.cumsum(ordered * self.positive)[self.ends]])
        false = np.concatenate([[0], np.cumsum(ordered * ~self.positive)[self.ends]])
        if not hits[-1] or not false[-1]:
            return None
        precision = hits[1:] / np.maximum(hits[1:] + false[1:], np.finfo(float).tiny)
        area = np.trapezoid(hits, false) / (hits[-1] * false[-1])
        return float(area), float(np.diff(hits) @ precision / hits[-1])
