"""What each column is worth to the model: how much of its score goes when the column is shuffled."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from takehome.metadata import Importance
from takehome.outcome import Outcome
from takehome.sample import Sample

SEED = 0
MOST_ROWS = 5_000
REPEATS = 5
WORK = 500_000  # rows predicted in all
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

    def lost(column: str) -> Importance:
        losses = [
            whole[score] - outcome(_shuffled(drawn, column, dice)).metrics(drawn.weights)[score] for _ in range(REPEATS)
        ]
        return {"column": column, "mean": float(np.mean(losses)), "std": float(np.std(losses))}

    return sorted(map(lost, drawn.X.columns), key=lambda one: -one["mean"]), score


def _draw(sample: Sample, dice: np.random.Generator) -> Sample:
    most = min(MOST_ROWS, max(WORK // (REPEATS * sample.X.shape[1]), 100))
    if len(sample.y) <= most and (sample.weights == sample.weights[0]).all():
        return sample
    shares = sample.weights / sample.weights.sum()
    replace = not (sample.weights == sample.weights[0]).all()
    rows = np.sort(dice.choice(len(shares), min(most, int(sample.weights.sum())), replace=replace, p=shares))
    return Sample(sample.X.iloc[rows], sample.y.iloc[rows], np.ones(len(rows)))


def _shuffled(sample: Sample, column: str, dice: np.random.Generator) -> Sample:
    values = sample.X[column].iloc[dice.permutation(len(sample.y))]
    return Sample(sample.X.assign(**{column: values.set_axis(sample.X.index)}), sample.y, sample.weights)
