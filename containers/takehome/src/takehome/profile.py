"""The training data in figures: how each column's values were spread, to hold what comes later against."""

from typing import Any

import numpy as np
import pandas as pd

from takehome.metadata import Histogram, Profile
from takehome.schema import Column, RowSchema, plain

BINS = 10
MOST_VALUES = 50
BARS = 20


def profile(schema: RowSchema, frame: pd.DataFrame) -> dict[str, Profile]:
    """Describe the spread of each column.

    Parameters
    ----------
    schema : of the frame.
    frame : (n, k) all rows that the project has seen.

    Returns
    -------
    For each column, in training order, shares of all n rows. Bins lie between quantiles, so that each holds about the
    same share and a population stability index is sound; the outer edges are the observed minimum and maximum.
    """
    return {column.name: _profile(column, frame[column.name]) for column in schema.columns}


def histogram(schema: RowSchema, frame: pd.DataFrame) -> dict[str, Histogram]:
    """Return bins of equal width for each column of numbers that has any value, as shares of its present values."""
    numbers = (column for column in schema.columns if column.kind in ("number", "integer"))
    return {
        column.name: _bars(present, column.kind) for column in numbers if len(present := frame[column.name].dropna())
    }


def _profile(column: Column, series: pd.Series) -> Profile:
    present = series.dropna()
    missing: Profile = {"missing": 1 - len(present) / len(series)}
    if column.kind == "text" or present.empty:
        return missing
    if column.kind in ("category", "boolean"):
        return missing | _values(present, len(series), column.kind)  # type: ignore[return-value]
    return missing | _bins(present, len(series), column.kind)  # type: ignore[return-value]


def _values(present: pd.Series, rows: int, kind: str) -> dict[str, Any]:
    counts = present.value_counts().rename_axis("value").reset_index().astype({"value": object}).query("count > 0")
    counts = counts.sort_values(["count", "value"], ascending=[False, True]).head(MOST_VALUES)
    return {
        "values": [plain(value, kind) for value in counts["value"]],
        "shares": (counts["count"] / rows).tolist(),
        "other": float((len(present) - counts["count"].sum()) / rows),
    }


def _bins(present: pd.Series, rows: int, kind: str) -> dict[str, Any]:
    ordered = present.sort_values(ignore_index=True)
    edges = _edges(ordered, kind)
    shown = [plain(edge, kind) for edge in edges]
    return {
        "edges": shown if len(shown) > 1 else shown * 2,
        "shares": (_counts(ordered, edges) / rows).tolist(),
    }


def _edges(ordered: pd.Series, kind: str) -> pd.Series:
    """Return quantiles, or, where numbers are few, what parts each from the next: 0 and 1 need a bin each."""
    distinct = ordered.drop_duplicates()
    if kind in ("number", "integer") and 1 < len(distinct) <= BINS:
        values = distinct.to_numpy("float64")
        return pd.Series([values[0], *(values[:-1] / 2 + values[1:] / 2), values[-1]])
    return ordered.iloc[np.linspace(0, len(ordered) - 1, BINS + 1).round().astype(int)].drop_duplicates()


def _bars(present: pd.Series, kind: str) -> Histogram:
    ordered = np.sort(present.to_numpy("float64"))
    low, high = ordered[[0, -1]]
    bars = BARS if kind == "number" else _whole_bars(int(high) - int(low) + 1)
    # by quarters, since the distance of two finite numbers may be infinite
    edges = np.unique(np.clip(4 * np.linspace(low / 4, high / 4, bars + 1), low, high))
    shares = _counts(ordered, edges) / len(ordered)
    return {"edges": edges.tolist() if len(edges) > 1 else [low, high], "shares": shares.tolist()}


def _whole_bars(numbers: int) -> int:
    """Return how many bins share so many whole numbers as equally as can be: twelve months want no gaps."""
    return -(-numbers // -(-numbers // BARS))


def _counts(ordered: Any, edges: Any) -> np.ndarray:
    """Count sorted values by bin; a bin holds its lower edge and not its upper one, but for the last."""
    return np.diff([0, *np.searchsorted(ordered, edges[1:-1]), len(ordered)])
