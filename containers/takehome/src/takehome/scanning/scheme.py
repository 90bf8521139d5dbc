"""The columns that all parts of a scan agree on."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd
import pyarrow as pa

from takehome.errors import TakehomeError
from takehome.reading import to_frame


@dataclass(frozen=True)
class Scheme:
    """Names and types of all columns, and which of them have missing values anywhere."""

    types: dict[str, pa.DataType]
    gaps: frozenset[str] = field(default_factory=frozenset)

    def frame(self, table: pa.Table, origin: str) -> pd.DataFrame:
        """Make a part a dataframe with the dtypes that `read_csv` would give it as part of the whole.

        Raises
        ------
        TakehomeError
            It isn't what it was when it was scanned.
        """
        new = [name for name in table.column_names if table[name].null_count and name not in self.gaps]
        if new:
            raise TakehomeError(changed(origin, f"column {new[0]!r} had no missing value"))
        return to_frame(table, self.gaps)

    def empty(self) -> pd.DataFrame:
        """Return the dataframe without rows."""
        return to_frame(pa.table({name: pa.array([], kind) for name, kind in self.types.items()}), self.gaps)


def changed(origin: str, what: str) -> str:
    """Say that a part isn't what it was."""
    return f"{origin}: it has changed since it was scanned ({what}). Scan it again."


def check_names(first: str, expected: Iterable[str], path: str, names: Iterable[str]) -> None:
    """Refuse a file whose columns are others than the first file's; their order is free.

    Raises
    ------
    TakehomeError
        It lacks one, or has one more.
    """
    lacking = [name for name in expected if name not in set(names)]
    more = [name for name in names if name not in set(expected)]
    if lacking or more:
        found = f"column {lacking[0]!r} is not there" if lacking else f"column {more[0]!r} is there"
        raise TakehomeError(
            f"{path}: {found}, unlike in {first}. Files that are scanned together have the same columns: "
            "mend it, or name the files that belong together."
        )
