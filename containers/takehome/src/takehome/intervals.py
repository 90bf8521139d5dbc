"""How far the figures of a model would move if other rows had been held out."""

from collections.abc import Iterator

import numpy as np

from takehome.outcome import Outcome

SEED = 0
MOST_ROWS = 100_000
LEAST_ROWS = 2_000
DRAWS = (200, 1_000)
WORK = 20_000_000  # rows drawn in all


def intervals(outcome: Outcome, weights: np.ndarray) -> dict[str, tuple[float, float]]:
    """Return 95 % bootstrap percentile intervals of the metrics, the same at each call.

    Parameters
    ----------
    outcome : of n rows.
    weights : (n,). Where all are whole numbers they are counts: as many single rows as they add up to are drawn
        (a multinomial distribution), so that one line of 50,000 like births is 50,000 births and not one. Other weights
        belong to their rows: n rows are drawn, each keeps its weight.

    Returns
    -------
    For each metric `(low, high)`, from 200 to 1,000 resamples. Of more than `MOST_ROWS` rows so many are resampled, and
    the distances are shrunk by the square root of the share (the m out of n bootstrap: Bickel, Götze and van Zwet,
    Statistica Sinica 7, 1997), so that the time is bounded.
    """
    dice, rows = np.random.default_rng(SEED), len(weights)
    most = max(MOST_ROWS // outcome.width, LEAST_ROWS)
    value, shrink = outcome.metrics(weights), 1.0
    if rows > most:
        part = np.sort(dice.choice(rows, most, replace=False))
        shrink = float(np.sqrt(weights[part].sum() / weights.sum()))
        outcome, weights = outcome.take(part), weights[part]
    middle = outcome.metrics(weights)
    drawn = [outcome.metrics(resample) for resample in _resamples(weights, outcome.width, dice)]
    return {
        name: _interval(value[name], np.array([one[name] for one in drawn if name in one]) - middle[name], shrink)
        for name in value
        if name in middle
    }


def _interval(value: float, moved: np.ndarray, shrink: float) -> tuple[float, float]:
    low, high = value + shrink * np.percentile(moved, [2.5, 97.5])
    return float(low), float(high)


def _resamples(weights: np.ndarray, width: int, dice: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield new weights of the same rows; a resample without any weight is drawn again."""
    rows, total = len(weights), weights.sum()
    counts = bool((weights == np.floor(weights)).all()) and not (weights == 1).all()
    left = int(np.clip(WORK // (rows * width), *DRAWS))
    while left:
        if counts:
            resample = dice.multinomial(int(total), weights / total).astype(float)
        else:
            resample = weights * np.bincount(dice.integers(rows, size=rows), minlength=rows)
        if resample.any():
            left -= 1
            yield resample
