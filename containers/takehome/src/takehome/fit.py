"""What a model was fitted on, and what is known of all rows that the project has seen."""

import hashlib
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from takehome.errors import TakehomeError
from takehome.marginal import Columns
from takehome.metadata import RULE, Data, Training
from takehome.schema import RowSchema


@dataclass(frozen=True, repr=False)
class Fit:
    """Rows at hand, and all rows in figures.

    Attributes
    ----------
    X, y : (n, k) and (n,) rows at hand: those of the fit, or some of them.
    weights : (n,) how often each occurs in the fit; None: once.
    test : `(X, y, weights)` that the fit has not seen, for `evaluate`; None where none were held out.
    columns : all rows, or the marginals of their columns.
    schema : of all rows.
    data : fingerprint of all rows.
    training : how it was fitted to more rows than memory holds; None: in memory.
    """

    X: pd.DataFrame
    y: pd.Series
    weights: np.ndarray | None
    test: tuple[pd.DataFrame, pd.Series, np.ndarray] | None
    columns: Columns
    schema: RowSchema
    data: Data
    training: Training | None

    def __repr__(self) -> str:
        """Say how it was fitted: a notebook shows that, not all rows at hand."""
        return statement(self.training, self.data.rows) if self.training else f"{self.data.rows:,} rows in memory."

    @classmethod
    def of(cls, X: Any, y: Any) -> Self:
        """Take all rows from memory; what a scan was fitted on already stays what it is.

        Raises
        ------
        TakehomeError
            X can't be described by a row schema, y has no name, or both don't belong together.
        """
        if isinstance(X, cls):
            if y is not None:
                raise TakehomeError("y is part of the fit that takes the place of X. Leave it out.")
            return X
        schema = RowSchema.from_frame(X)
        if not isinstance(y, pd.Series) or y.name is None:
            raise TakehomeError("y has no name. Pass the pandas Series of the target, e.g. frame['price'].")
        if len(y) != len(X):
            raise TakehomeError(f"X has {len(X):,} rows and y has {len(y):,}. Pass the same rows of both.")
        return cls(X, y, None, None, X, schema, _fingerprint(X, y), None)


def statement(training: Training, of: int) -> str:
    """Say in a sentence how a model was fitted to so many rows."""
    rows, seed = f"{training['rows']:,}", f"drawn with seed {training['seed']}"
    if training["way"] == "counted rows":
        said = f"counted rows: {rows} are {training['distinct']:,} distinct ones, weights for "
        said += ", ".join(training["weighted"])
        said += "".join(f"; {name} saw each distinct row once" for name in training["unweighted"])
    elif training["way"] == "incremental":
        said = f"parts one after the other: {rows} rows, {training['passes']} times"
        drawn = training["preprocessing_rows"]
        said += f"; the steps before the last to {drawn:,} of them, {seed}" if drawn else ""
    else:
        said = f"a random sample: {rows} of {of:,} rows, {seed}"
    held = f"; {training['held_out']:,} rows held out, {seed}" if training["held_out"] else ""
    return f"Fitted to {said}{held}."


def _fingerprint(X: pd.DataFrame, y: pd.Series) -> Data:
    digest = hashlib.sha256()
    for column in (*(X[name] for name in X.columns), y):
        digest.update(f"{column.name}:{column.dtype}\n".encode())
        digest.update(pd.util.hash_pandas_object(column, index=False).to_numpy().tobytes())
    return Data(rows=len(X), sha256=digest.hexdigest(), reading_rule=RULE)
