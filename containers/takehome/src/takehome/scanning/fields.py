"""Which types the fields of a column fit, found part by part."""

from dataclasses import dataclass
from typing import Self

import pyarrow as pa

from takehome.reading import TYPES, distinct, is_whole_as, matches


@dataclass(frozen=True)
class Fields:
    """What is known of a column of text fields so far.

    Attributes
    ----------
    fitting : positions in `TYPES` whose pattern every field matches.
    broken : those of them that some field can't be in full.
    values, gaps : whether any field holds something, and whether any is empty.
    """

    fitting: frozenset[int] = frozenset(range(len(TYPES)))
    broken: frozenset[int] = frozenset()
    values: bool = False
    gaps: bool = False

    def take(self, column: pa.ChunkedArray) -> Self:
        """Return what is known after one more part, as text with a dictionary."""
        found = distinct(column.unify_dictionaries())
        fitting = frozenset(i for i in self.fitting if matches(found, TYPES[i][0]))
        broken = frozenset(i for i in fitting if i in self.broken or not is_whole_as(found, TYPES[i][1]))
        return type(self)(fitting, broken, self.values or len(found) > 0, self.gaps or column.null_count > 0)

    def merge(self, other: "Fields") -> "Fields":
        """Return what is known of both."""
        fitting = self.fitting & other.fitting
        broken = (self.broken | other.broken) & fitting
        return Fields(fitting, broken, self.values or other.values, self.gaps or other.gaps)

    @property
    def type(self) -> pa.DataType:
        """The narrowest type that all fields fit; text, where that type can't hold one of them."""
        if not self.values:
            return pa.float64()
        narrowest = min(self.fitting, default=None)
        return pa.string() if narrowest is None or narrowest in self.broken else TYPES[narrowest][1]
