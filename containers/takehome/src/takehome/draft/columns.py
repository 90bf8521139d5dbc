"""The columns of a file nobody has seen: what each holds, and which are no features."""

import re
from dataclasses import dataclass
from itertools import combinations

import pandas as pd
from pandas.api import types

_ID = re.compile(r"(?:^|[\W_])(?:id|uuid|guid|key|index)$|[a-z]I[dD]$|^unnamed: \d+$", re.IGNORECASE)
_BIRTH = re.compile(r"birth|dob|geburt|naissance", re.IGNORECASE)
_REPEATS = 0.05  # an id of fewer groups than this share of the rows is a category, such as a shop
_FEWEST_GROUPS = 20
_FEWEST_DATES = 20


@dataclass(frozen=True)
class Column:
    """One column: its kind (number, integer, boolean, datetime or text) and its counts."""

    name: str
    kind: str
    rows: int
    missing: int
    distinct: int
    identifies: bool
    """Each row has its own value, and the value says nothing by itself."""

    @property
    def empty(self) -> bool:
        """No row has a value."""
        return self.missing == self.rows

    @property
    def constant(self) -> bool:
        """All rows have the same value."""
        return self.distinct == 1 and not self.missing

    @property
    def repeats(self) -> bool:
        """An identifier that stands in several rows: a person, say, who comes again."""
        named = self.kind in ("integer", "text") and not self.missing and bool(_ID.search(self.name))
        return named and max(_FEWEST_GROUPS, _REPEATS * self.rows) <= self.distinct < self.rows

    @property
    def orders(self) -> bool:
        """A date of each row, by which past and future can be told apart."""
        dated = self.kind == "datetime" and not self.missing and self.distinct >= _FEWEST_DATES
        return dated and not _BIRTH.search(self.name)


def describe(frame: pd.DataFrame) -> list[Column]:
    """Describe the columns of a frame that `read_csv` gave, in their order."""
    return [_describe(frame[name]) for name in frame.columns]


def unordered_dates(frame: pd.DataFrame, columns: list[Column]) -> list[tuple[str, str, int]]:
    """Return pairs of dates of which the first is hardly ever after the second, and in how many rows it is."""
    dates = [column.name for column in columns if column.kind == "datetime"]
    pairs = [pair for one, other in combinations(dates, 2) for pair in ((one, other), (other, one))]
    counted = [(first, then, *_after(frame[first], frame[then])) for first, then in pairs]
    return [(first, then, after) for first, then, after, both in counted if 0 < after <= 0.01 * both]


def _after(first: pd.Series, then: pd.Series) -> tuple[int, int]:
    if (first.dt.tz is None) != (then.dt.tz is None):
        return 0, 0
    return int((first > then).sum()), int((first.notna() & then.notna()).sum())


def _describe(series: pd.Series) -> Column:
    kind, distinct, missing = _kind(series), int(series.nunique()), int(series.isna().sum())
    own = distinct == len(series) > 1
    return Column(str(series.name), kind, len(series), missing, distinct, own and _identifies(series, kind))


def _kind(series: pd.Series) -> str:
    known = {
        types.is_bool_dtype: "boolean",
        types.is_integer_dtype: "integer",
        types.is_float_dtype: "number",
        types.is_datetime64_any_dtype: "datetime",
    }
    return next((kind for fits, kind in known.items() if fits(series.dtype)), "text")


def _identifies(series: pd.Series, kind: str) -> bool:
    if kind == "text":
        return not series.str.contains(r"\s").any()
    if kind == "integer":
        return bool(_ID.search(str(series.name))) or series.max() - series.min() + 1 == len(series)
    return False
