"""A random sample that is stated."""

from typing import Any

import dask.dataframe as dd
import numpy as np

from takehome.fit import Fit
from takehome.scanning.drawing import draw, take
from takehome.scanning.summary import check_target, checked, summarise


def fit_sample(  # noqa: PLR0913  # each is something that only the notebook knows
    estimator: Any, data: dd.DataFrame, target: str, *, rows: int = 100_000, test_rows: int = 0, seed: int = 0
) -> Fit:
    """Fit an estimator to rows of a scan drawn at random without replacement.

    The data is read twice: for the row schema, which comes from all rows, and for the rows. The same seed draws the
    same rows, in whatever parts and on whatever machines they are read.

    Parameters
    ----------
    estimator : fitted in place.
    data : of `takehome.scan`, or made from it.
    target : the column to predict; all others are features.
    rows : how many to draw; all, where there are not as many.
    test_rows : so many others are drawn to be kept out of the fit; they are `test` of what comes back.
    seed : of the drawing.

    Returns
    -------
    Fit, for `save_model` in place of X and y; `X` and `y` are the rows drawn, in their order in the data.

    Raises
    ------
    TakehomeError
        More test rows are asked for than there are rows, or the target is missing somewhere.
    """
    frame = checked(data, target)
    summary = summarise(frame)
    check_target(summary, target)
    rows = min(rows, max(summary.rows - test_rows, 0))
    sample, test = take(frame, summary.lengths, draw(summary.rows, [rows, test_rows], seed))
    X, y = sample.drop(columns=target), sample[target]
    estimator.fit(X, y)
    return summary.fit(
        X,
        y,
        None,
        (test.drop(columns=target), test[target], np.ones(test_rows)) if test_rows else None,
        {"way": "sample", "rows": rows, "held_out": test_rows, "seed": seed},
    )
