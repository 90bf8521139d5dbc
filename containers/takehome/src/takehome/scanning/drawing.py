"""Drawing rows at random: by their numbers, so that parts, threads and machines don't matter."""

from collections.abc import Sequence
from itertools import pairwise

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd

from takehome.errors import TakehomeError


def draw(rows: int, sizes: Sequence[int], seed: int) -> list[np.ndarray]:
    """Draw disjoint sets of row numbers, each of all subsets of its size equally likely.

    Returns
    -------
    An ascending array of each size, of numbers from 0 to `rows` - 1.

    Raises
    ------
    TakehomeError
        A size is negative, or there are not as many rows.
    """
    if min(sizes) < 0 or sum(sizes) > rows:
        asked = " and ".join(f"{size:,}" for size in sizes)
        raise TakehomeError(f"{asked} rows can't be drawn from {rows:,}. Ask for fewer.")
    drawn = np.random.default_rng(seed).choice(rows, sum(sizes), replace=False)
    return [np.sort(part) for part in np.split(drawn, np.cumsum(sizes)[:-1])]


def take(frame: dd.DataFrame, lengths: Sequence[int], drawn: Sequence[np.ndarray]) -> list[pd.DataFrame]:
    """Return the rows of each set of ascending numbers, reading the data once.

    Parameters
    ----------
    lengths : rows of each part.
    """
    starts, parts = np.concatenate([[0], np.cumsum(lengths)]), frame.to_delayed()
    picked = [
        [
            dask.delayed(_pick)(part, numbers[first:stop] - start)
            for part, start, (first, stop) in zip(
                parts, starts, pairwise(np.searchsorted(numbers, starts)), strict=False
            )
            if first < stop
        ]
        for numbers in drawn
    ]
    return [pd.concat(found or [frame._meta], ignore_index=True) for found in dask.compute(*picked)]


def _pick(frame: pd.DataFrame, places: np.ndarray) -> pd.DataFrame:
    return frame.iloc[places]
