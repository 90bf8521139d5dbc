"""What each column is worth to the model: how much of its score goes when the column is shuffled."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from takehome.metadata import Importance
from takehome.outcome import Outcome
from takehome.sample import Sample

SEED = 0
MOST_ROWS = 5_000
REPEATS = 5
WORK = 100_000  # rows predicted in all
AT_ONCE = 50_000  # many in one call, since a pipeline over many columns takes a quarter of a second for any
SCORES = ("roc_auc", "r2", "balanced_accuracy")


def importance(sample: Sample, outcome: Callable[[Sample], Outcome]) -> tuple[list[Importance], str | None]:
    """Measure permutation importance (Breiman, Machine Learning 45, 2001), the same at each call.

    Parameters
    ----------
    sample : n held-out rows. Of more than `MOST_ROWS`, or where weights differ, so many are drawn in proportion to the
        weights; fewer where there are many columns, so that the time is bounded.
    outcome : what the model says about a sample.

    Returns
    -------
    (importance, score) : of each column the score that is lost, the greatest first, and the name of the score; nothing
    where no score is defined, as for a single class.
    """
    if not isinstance(sample.X, pd.DataFrame):
        return [], None
    dice = np.random.default_rng(SEED)
    drawn = _draw(sample, dice)
    whole = outcome(drawn).metrics(drawn.weights)
    score = next((name for name in SCORES if name in whole), None)
    if score is None:
        return [], None
    left = [found[score] for found in _shuffled(drawn, outcome, dice)]
    lost = whole[score] - np.reshape(left, (-1, REPEATS))
    found: list[Importance] = [
        {"column": column, "mean": float(losses.mean()), "std": float(losses.std())}
        for column, losses in zip(drawn.X.columns, lost, strict=True)
    ]
    return sorted(found, key=lambda one: -one["mean"]), score


def _draw(sample: Sample, dice: np.random.Generator) -> Sample:
    weights, (rows, columns) = sample.weights, sample.X.shape
    most = min(MOST_ROWS, max(WORK // (REPEATS * columns), 100))
    alike = bool((weights == weights[0]).all())
    if alike and rows <= most:
        return Sample(sample.X, sample.y, np.ones(rows))
    drawn = np.sort(
        dice.choice(rows, most if not alike else min(most, rows), replace=not alike, p=weights / weights.sum())
    )
    return Sample(sample.X.iloc[drawn], sample.y.iloc[drawn], np.ones(len(drawn)))


def _shuffled(
    sample: Sample, outcome: Callable[[Sample], Outcome], dice: np.random.Generator
) -> Iterator[dict[str, float]]:
    """Yield the metrics with each column shuffled, column by column, `REPEATS` times each."""
    rows, columns = len(sample.y), list(sample.X.columns)
    blocks = [column for column in columns for _ in range(REPEATS)]
    step = max(AT_ONCE // rows, 1)
    for first in range(0, len(blocks), step):
        shuffled = blocks[first : first + step]
        at = {column: np.tile(np.arange(rows), len(shuffled)) for column in columns}
        for i, column in enumerate(shuffled):
            dice.shuffle(at[column][i * rows : (i + 1) * rows])
        X = pd.DataFrame({column: sample.X[column].array.take(at[column]) for column in columns})
        y = sample.y.iloc[np.tile(np.arange(rows), len(shuffled))]
        told = outcome(Sample(X, y, np.tile(sample.weights, len(shuffled))))
        for i in range(len(shuffled)):
            yield told.take(np.arange(i * rows, (i + 1) * rows)).metrics(sample.weights)
