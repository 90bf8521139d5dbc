"""Incremental fitting: part after part through `partial_fit`."""

from collections.abc import Iterator
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline

from takehome.errors import TakehomeError
from takehome.fit import Fit
from takehome.scanning.drawing import draw, take
from takehome.scanning.summary import Summary, check_target, checked, summarise


def fit_incremental(  # noqa: PLR0913  # each is something that only the notebook knows
    estimator: Any,
    data: dd.DataFrame,
    target: str,
    *,
    passes: int = 1,
    preprocessing_rows: int = 100_000,
    test_rows: int = 0,
    seed: int = 0,
) -> Fit:
    """Fit an estimator to every row of a scan, part after part in their order.

    The data is read once for the row schema and the classes, once for the preprocessing, and once for each pass.

    Parameters
    ----------
    estimator : fitted in place; it has `partial_fit`. Of a `Pipeline` the last step has it, and the steps before, which
        learn from all their rows at once, are fitted to rows drawn at random.
    data : of `takehome.scan`, or made from it.
    target : the column to predict; all others are features.
    passes : how often all rows are gone through.
    preprocessing_rows : how many rows are drawn for the steps before the last; all, where there are not as many.
    test_rows : so many rows are kept out of the fit, at random; they are `test` of what comes back.
    seed : of both drawings.

    Returns
    -------
    Fit, for `save_model` in place of X and y; `X` and `y` are the rows that were drawn for the preprocessing.

    Raises
    ------
    TakehomeError
        The estimator has no `partial_fit`, the preprocessing can't take a row, or the target is missing somewhere.
    """
    frame = checked(data, target)
    before, last = _steps(estimator)
    summary = summarise(frame)
    check_target(summary, target)
    drawn = min(preprocessing_rows, max(summary.rows - test_rows, 0))
    numbers, held = draw(summary.rows, [drawn, test_rows], seed)
    sample, test = take(frame, summary.lengths, [numbers, held])
    X, y = sample.drop(columns=target), sample[target]
    if before:
        before.fit(X, y)
    known = {"classes": summary.columns[target].present.to_numpy()} if is_classifier(last) else {}
    for part in (part for _ in range(passes) for part in _parts(frame, summary, held)):
        last.partial_fit(_prepared(before, part.drop(columns=target)), part[target], **known)
    return summary.fit(
        X,
        y,
        None,
        (test.drop(columns=target), test[target], np.ones(test_rows)) if test_rows else None,
        {
            "way": "incremental",
            "rows": summary.rows - test_rows,
            "held_out": test_rows,
            "seed": seed,
            "passes": passes,
            "preprocessing_rows": drawn if before else 0,
        },
    )


def _steps(estimator: Any) -> tuple[Pipeline | None, Any]:
    """Return the steps before the last, if there are any, and the last."""
    before, last = (estimator[:-1], estimator[-1]) if isinstance(estimator, Pipeline) else (None, estimator)
    if not hasattr(last, "partial_fit"):
        raise TakehomeError(
            f"{type(last).__name__} has no partial_fit. Take an estimator that has, as SGDClassifier and SGDRegressor "
            "do, or another way: takehome.fit_counted or takehome.fit_sample."
        )
    return before or None, last


def _parts(frame: dd.DataFrame, summary: Summary, held: np.ndarray) -> Iterator[pd.DataFrame]:
    """Yield the parts in order, without the rows that are held out."""
    start = 0
    for part, length in zip(frame.to_delayed(), summary.lengths, strict=True):
        out = held[(held >= start) & (held < start + length)] - start
        kept = part.compute().reset_index(drop=True).drop(index=out)
        start += length
        if len(kept):
            yield kept


def _prepared(before: Pipeline | None, X: pd.DataFrame) -> Any:
    if before is None:
        return X
    try:
        return before.transform(X)
    except ValueError as error:
        raise TakehomeError(
            f"The steps before the last can't take a row that was not drawn for them ({str(error).splitlines()[0]}). "
            "Raise preprocessing_rows, or let them take what is new, as OneHotEncoder(handle_unknown='ignore') does."
        ) from error
