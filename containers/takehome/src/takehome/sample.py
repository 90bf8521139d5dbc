"""Rows with their true answers, which the estimator was not fitted on."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from takehome.errors import TakehomeError


@dataclass(frozen=True)
class Sample:
    """n rows that a model is judged by.

    `X` is what the estimator's `predict` takes, `y` the n true values, `weights` how often each row is counted.
    """

    X: Any
    y: pd.Series
    weights: np.ndarray

    @classmethod
    def read(cls, given: Any, argument: str) -> Self:
        """Read `(X, y)` or `(X, y, weights)`.

        Raises
        ------
        TakehomeError
            It is something else, its parts differ in length, or a weight is negative or not finite.
        """
        if not isinstance(given, tuple) or len(given) not in (2, 3):
            raise TakehomeError(f"{argument} takes a tuple: (X, y) or (X, y, weights), with rows of its own.")
        X, y = given[:2]
        weights = np.asarray(given[2] if len(given) == 3 else np.ones(len(y)), dtype="float64")
        if not len(X) == len(y) == len(weights) or not len(y):
            raise TakehomeError(f"{argument} has {len(X):,} rows, {len(y):,} answers and {len(weights):,} weights.")
        if not np.isfinite(weights).all() or weights.min() < 0 or not weights.sum():
            raise TakehomeError(f"{argument}: weights are finite and not negative, and not all of them 0.")
        return cls(X, y if isinstance(y, pd.Series) else pd.Series(y), weights)


def positions(values: Any, classes: list[Any]) -> np.ndarray:
    """Return for each value the position of its class.

    Raises
    ------
    TakehomeError
        One is none of the classes, or missing.
    """
    found = pd.Index(classes).get_indexer(pd.Index(values))
    if (found < 0).any():
        odd = list(values)[int((found < 0).argmax())]
        raise TakehomeError(f"Among the answers is {odd!r}, which is none of the model's classes: {classes}.")
    return found
