"""A column by itself: which values it has, and how often each occurs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Marginal:
    """The marginal distribution of a column over all rows.

    Attributes
    ----------
    present : (n,) values that are not missing; one may be there more than once.
    counts : (n,) how often each of them occurs.
    missing : how many rows have none.
    others : how many rows have values that are not listed, where a text has too many.
    """

    present: pd.Series
    counts: np.ndarray
    missing: int
    others: int = 0

    @classmethod
    def of(cls, column: "pd.Series | Marginal") -> "Marginal":
        """Take a column row by row; a marginal stays what it is."""
        if isinstance(column, Marginal):
            return column
        present = column.dropna()
        return cls(present, np.ones(len(present), dtype="int64"), len(column) - len(present))

    @property
    def rows(self) -> int:
        """The number of all rows."""
        return int(self.counts.sum()) + self.others + self.missing

    def ordered(self) -> Self:
        """Return the same with its values in ascending order."""
        places = self.present.argsort(kind="stable").to_numpy()
        return type(self)(self.present.iloc[places].reset_index(drop=True), self.counts[places], self.missing)

    def at(self, ranks: Any) -> Any:
        """Return what stands at one or many ranks of the present rows, from 0; they must be in ascending order."""
        return self.present.iloc[np.searchsorted(np.cumsum(self.counts), ranks, side="right")]

    def frequencies(self) -> pd.Series:
        """Return how often each distinct value occurs, the values in ascending order as the index."""
        found = pd.Series(self.counts, self.present.array).groupby(level=0, observed=True).sum()
        return found[found > 0]


Columns = pd.DataFrame | Mapping[str, Marginal]  # all rows, or what is known of each of their columns
