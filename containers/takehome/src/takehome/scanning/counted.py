"""Counted rows: each distinct row once, with its number as weight."""

from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from takehome.errors import TakehomeError
from takehome.fit import Fit
from takehome.reading import to_frame
from takehome.scanning.drawing import draw
from takehome.scanning.summary import Summary, check_target, checked, reduce_parts

MOST_DISTINCT = 1_000_000


def fit_counted(estimator: Any, data: dd.DataFrame, target: str, *, test_rows: int = 0, seed: int = 0) -> Fit:
    """Fit an estimator to every row of a scan, each distinct one once, with its number as weight.

    That is exact for what takes `sample_weight`, and reads the data once. Rows that repeat come from categories and
    rounded numbers.

    Parameters
    ----------
    estimator : fitted in place. Of a `Pipeline`, each step whose `fit` takes `sample_weight` is given it.
    data : of `takehome.scan`, or made from it.
    target : the column to predict; all others are features.
    test_rows : so many rows are kept out of the fit, at random; they are `test` of what comes back.
    seed : of that drawing.

    Returns
    -------
    Fit, for `save_model` in place of X and y; `X`, `y` and `weights` are the distinct rows in ascending order.

    Raises
    ------
    TakehomeError
        The estimator takes no weights, there are too many distinct rows, or the target is missing somewhere.
    """
    frame = checked(data, target)
    weighted, unweighted = _steps(estimator)
    rows, counts = count(frame)
    summary = Summary.of(rows, counts)
    check_target(summary, target)
    held = _held(counts, test_rows, seed)
    X, y, weights = _split(rows, target, counts - held)
    names = [f"{name}__sample_weight" for name in weighted] if isinstance(estimator, Pipeline) else ["sample_weight"]
    estimator.fit(X, y, **dict.fromkeys(names, weights))
    return summary.fit(
        X,
        y,
        weights,
        _split(rows, target, held) if test_rows else None,
        {
            "way": "counted rows",
            "rows": int(weights.sum()),
            "held_out": test_rows,
            "seed": seed,
            "distinct": len(rows),
            "weighted": weighted,
            "unweighted": unweighted,
        },
    )


def count(frame: dd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the distinct rows in ascending order, and how often each occurs.

    Raises
    ------
    TakehomeError
        There are more than `MOST_DISTINCT`.
    """
    table = reduce_parts(frame, _count, _add)
    rows = to_frame(table.drop_columns(["count"]))
    rows.columns = frame.columns
    rows = rows.astype(frame.dtypes.to_dict())
    order = rows.sort_values(list(rows.columns)).index
    return rows.loc[order].reset_index(drop=True), table["count"].to_numpy()[order]


def _count(frame: pd.DataFrame) -> pa.Table:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    table = table.rename_columns([str(i) for i in range(table.num_columns)])
    counted = table.group_by(table.column_names).aggregate([([], "count_all")])
    return _checked(counted.rename_columns([*table.column_names, "count"]))


def _add(one: pa.Table, other: pa.Table) -> pa.Table:
    both = pa.concat_tables([one, other]).unify_dictionaries()
    keys = both.column_names[:-1]
    return _checked(both.group_by(keys).aggregate([("count", "sum")]).rename_columns(both.column_names))


def _checked(counted: pa.Table) -> pa.Table:
    if counted.num_rows > MOST_DISTINCT:
        raise TakehomeError(
            f"There are more than {MOST_DISTINCT:,} distinct rows, and counting is for rows that repeat. Round numbers "
            "or leave columns out, or take another way: takehome.fit_incremental or takehome.fit_sample."
        )
    return counted


def _steps(estimator: Any) -> tuple[list[str], list[str]]:
    """Return the names of the steps whose `fit` takes weights, and of those that learn without."""
    steps = estimator.steps if isinstance(estimator, Pipeline) else [(type(estimator).__name__, estimator)]
    takes = {name: has_fit_parameter(step, "sample_weight") for name, step in steps if hasattr(step, "fit")}
    if not takes.get(steps[-1][0]):
        raise TakehomeError(
            f"{type(steps[-1][1]).__name__} takes no sample_weight, so that it can't tell a row from a thousand. "
            "Take an estimator that does, or another way: takehome.fit_incremental or takehome.fit_sample."
        )
    return [name for name, ok in takes.items() if ok], [name for name, ok in takes.items() if not ok]


def _held(counts: np.ndarray, test_rows: int, seed: int) -> np.ndarray:
    """Return how many of each distinct row are kept out."""
    (drawn,) = draw(int(counts.sum()), [test_rows], seed)
    return np.bincount(np.searchsorted(np.cumsum(counts), drawn, side="right"), minlength=len(counts))


def _split(rows: pd.DataFrame, target: str, counts: np.ndarray) -> tuple[pd.DataFrame, pd.Series, np.ndarray]:
    there = counts > 0
    return rows.loc[there].drop(columns=target), rows.loc[there, target], counts[there]
