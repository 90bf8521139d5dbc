"""What is known of all rows of a scan, found part by part in bounded memory."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd

from takehome.errors import TakehomeError
from takehome.fit import Fit, statement
from takehome.marginal import Marginal
from takehome.metadata import RULE, Data, Training
from takehome.schema import MOST_CATEGORIES, RowSchema

MOST_TEXTS = 2 * MOST_CATEGORIES  # what has more is free text in any case
MOST_NUMBERS = 100_000  # of more, as many quantiles are kept: a rank is then off by some 0.004 %
AT_ONCE = 8
T = TypeVar("T")


@dataclass(frozen=True)
class Summary:
    """All rows in figures.

    Attributes
    ----------
    lengths : rows of each part, in order.
    digest : the sum of the rows' hashes modulo 2**64, the same in any order and any parts.
    columns : how the values of each column are spread; exact up to `MOST_NUMBERS` distinct values.
    """

    lengths: tuple[int, ...]
    digest: int
    columns: dict[str, Marginal]

    @classmethod
    def of(cls, frame: pd.DataFrame, counts: np.ndarray | None = None) -> Self:
        """Summarise rows; `counts` says how often each occurs, by default once."""
        every = np.ones(len(frame), dtype="int64") if counts is None else counts
        hashes = pd.util.hash_pandas_object(frame, index=False).to_numpy()
        digest = int((hashes * every.astype("uint64")).sum(dtype="uint64"))
        columns = {str(name): _condensed(_marginal(frame[name], counts)) for name in frame.columns}
        return cls((int(every.sum()),), digest, columns)

    def merge(self, other: "Summary") -> "Summary":
        """Return both together; this one's parts come first."""
        return Summary(
            self.lengths + other.lengths,
            (self.digest + other.digest) % 2**64,
            {name: _condensed(_joined(one, other.columns[name])) for name, one in self.columns.items()},
        )

    @property
    def rows(self) -> int:
        """The number of all rows."""
        return sum(self.lengths)

    def fit(
        self,
        X: pd.DataFrame,
        y: pd.Series,
        weights: np.ndarray | None,
        test: tuple[pd.DataFrame, pd.Series, np.ndarray] | None,
        training: Training,
    ) -> Fit:
        """Put together what a model was fitted on, and say so."""
        columns = {str(name): self.columns[str(name)] for name in X.columns}
        digest = hashlib.sha256(f"{self.rows} {self.digest}".encode())
        for name, column in self.columns.items():
            digest.update(f"{name}:{column.present.dtype}\n".encode())
        data = Data(rows=self.rows, sha256=digest.hexdigest(), reading_rule=RULE)
        print(statement(training, self.rows))
        return Fit(X, y, weights, test, columns, RowSchema.from_marginals(columns), data, training)


def summarise(frame: dd.DataFrame) -> Summary:
    """Read all rows of a scan once."""
    return reduce_parts(frame, Summary.of, Summary.merge)


def reduce_parts(frame: dd.DataFrame, chunk: Callable[[pd.DataFrame], T], merge: Callable[[T, T], T]) -> T:
    """Apply a function to each part and merge the results, neighbours first, so that few are held at a time."""
    results = [dask.delayed(chunk)(part) for part in frame.to_delayed()]
    while len(results) > 1:
        groups = [results[at : at + AT_ONCE] for at in range(0, len(results), AT_ONCE)]
        results = [dask.delayed(_merged)(group, merge) for group in groups]
    return results[0].compute()


def checked(frame: Any, target: str) -> dd.DataFrame:
    """Return the frame, the target as its last column.

    Raises
    ------
    TakehomeError
        It is no Dask dataframe, has no such column, or has categories that nobody knows yet.
    """
    if not isinstance(frame, dd.DataFrame):
        raise TakehomeError(f"The data is a {type(frame).__name__}. Pass the Dask dataframe of takehome.scan(...).")
    if target not in frame.columns:
        raise TakehomeError(
            f"There is no column {target!r} to predict. There is: {', '.join(map(str, frame.columns))}."
        )
    unknown = [str(name) for name in frame.columns if frame[name].dtype == "category" and not frame[name].cat.known]
    if unknown:
        raise TakehomeError(f"Column {unknown[0]!r}: its categories differ from part to part. Call data.categorize().")
    return frame[[*(name for name in frame.columns if name != target), target]]


def check_target(summary: Summary, target: str) -> None:
    """Refuse a target with missing values.

    Raises
    ------
    TakehomeError
        Some row has none.
    """
    if missing := summary.columns[target].missing:
        raise TakehomeError(
            f"The target {target!r} is missing in {missing:,} rows. Leave them out: data[data[{target!r}].notnull()]"
        )


def _merged(group: list[T], merge: Callable[[T, T], T]) -> T:
    merged, *others = group
    for other in others:
        merged = merge(merged, other)
    return merged


def _marginal(column: pd.Series, counts: np.ndarray | None) -> Marginal:
    if counts is not None:
        here = column.notna().to_numpy()
        return Marginal(column[here], counts[here], int(counts[~here].sum()))
    found = column.value_counts(sort=False)
    return Marginal(pd.Series(found.index.array, name=column.name), found.to_numpy("int64"), int(column.isna().sum()))


def _joined(one: Marginal, other: Marginal) -> Marginal:
    present = pd.concat([one.present, other.present], ignore_index=True)
    counts = np.concatenate([one.counts, other.counts])
    return Marginal(present, counts, one.missing + other.missing, one.others + other.others)


def _condensed(column: Marginal) -> Marginal:
    """List each distinct value once, in order; of too many the most frequent texts, or quantiles of numbers."""
    found = column.frequencies()
    total, text = int(found.sum()), pd.api.types.is_string_dtype(found.index.dtype)
    if text and len(found) > MOST_TEXTS:
        found = found.nlargest(MOST_TEXTS).sort_index()
    elif not text and len(found) > MOST_NUMBERS:
        ranks = np.linspace(0, total - 1, MOST_NUMBERS // 2).round().astype("int64")
        starts = np.unique(np.searchsorted(np.cumsum(found.to_numpy()), ranks, side="right"))  # the ends stay
        found = pd.Series(np.add.reduceat(found.to_numpy(), starts), found.index[starts])
    present = pd.Series(found.index.array, name=column.present.name)
    return Marginal(present, found.to_numpy(), column.missing, column.others + total - int(found.sum()))
