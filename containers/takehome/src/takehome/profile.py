"""The training data in figures: how each column's values were spread, to hold what comes later against."""

from typing import Any

import numpy as np
import pandas as pd

from takehome.marginal import Columns, Marginal
from takehome.metadata import Histogram, Profile
from takehome.schema import Column, RowSchema, plain

BINS = 10
MOST_VALUES = 50
BARS = 20


def profile(schema: RowSchema, columns: Columns) -> dict[str, Profile]:
    """Describe the spread of each column.

    Parameters
    ----------
    schema : of the columns.
    columns : all n rows that the project has seen, or the marginals of their columns.

    Returns
    -------
    For each column, in training order, shares of all n rows. Bins lie between quantiles, so that each holds about the
    same share and a population stability index is sound; the outer edges are the observed minimum and maximum.
    """
    return {column.name: _profile(column, Marginal.of(columns[column.name])) for column in schema.columns}


def histogram(schema: RowSchema, columns: Columns) -> dict[str, Histogram]:
    """Return bins of equal width for each column of numbers that has any value, as shares of its present values."""
    numbers = (column for column in schema.columns if column.kind in ("number", "integer"))
    return {
        column.name: _bars(found, column.kind)
        for column in numbers
        if len((found := Marginal.of(columns[column.name])).present)
    }


def _profile(column: Column, found: Marginal) -> Profile:
    missing: Profile = {"missing": found.missing / found.rows}
    if column.kind == "text" or found.present.empty:
        return missing
    if column.kind in ("category", "boolean"):
        return missing | _values(found, column.kind)  # type: ignore[return-value]
    return missing | _bins(found.ordered(), column.kind)  # type: ignore[return-value]


def _values(found: Marginal, kind: str) -> dict[str, Any]:
    counts = found.frequencies().rename_axis("value").rename("count").reset_index().astype({"value": object})
    counts = counts.sort_values(["count", "value"], ascending=[False, True]).head(MOST_VALUES)
    return {
        "values": [plain(value, kind) for value in counts["value"]],
        "shares": (counts["count"] / found.rows).tolist(),
        "other": float((found.counts.sum() - counts["count"].sum()) / found.rows),
    }


def _bins(ordered: Marginal, kind: str) -> dict[str, Any]:
    edges = _edges(ordered, kind)
    shown = [plain(edge, kind) for edge in edges]
    return {
        "edges": shown if len(shown) > 1 else shown * 2,
        "shares": (_counts(ordered.present, ordered.counts, edges) / ordered.rows).tolist(),
    }


def _edges(ordered: Marginal, kind: str) -> pd.Series:
    """Return quantiles, or, where numbers are few, what parts each from the next: 0 and 1 need a bin each."""
    distinct = ordered.present.drop_duplicates()
    if kind in ("number", "integer") and 1 < len(distinct) <= BINS:
        values = distinct.to_numpy("float64")
        return pd.Series([values[0], *(values[:-1] / 2 + values[1:] / 2), values[-1]])
    ranks = np.linspace(0, ordered.counts.sum() - 1, BINS + 1).round().astype("int64")
    return ordered.at(ranks).drop_duplicates()


def _bars(found: Marginal, kind: str) -> Histogram:
    values = found.present.to_numpy("float64")
    places = np.argsort(values, kind="stable")
    values, counts = values[places], found.counts[places]
    low, high = values[[0, -1]]
    bars = BARS if kind == "number" else _whole_bars(int(high) - int(low) + 1)
    # by quarters, since the distance of two finite numbers may be infinite
    edges = np.unique(np.clip(4 * np.linspace(low / 4, high / 4, bars + 1), low, high))
    shares = _counts(values, counts, edges) / counts.sum()
    return {"edges": edges.tolist() if len(edges) > 1 else [low, high], "shares": shares.tolist()}


def _whole_bars(numbers: int) -> int:
    """Return how many bins share so many whole numbers as equally as can be: twelve months want no gaps."""
    return -(-numbers // -(-numbers // BARS))


def _counts(ordered: Any, counts: np.ndarray, edges: Any) -> np.ndarray:
    """Count sorted values by bin; a bin holds its lower edge and not its upper one, but for the last."""
    upto = np.concatenate([[0], np.cumsum(counts)])
    return np.diff(upto[[0, *np.searchsorted(ordered, edges[1:-1]), -1]])
