"""The target: which kind of task it makes, and which rows can teach it."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from takehome.draft.columns import Column
from takehome.errors import TakehomeError

MOST_CLASSES = 100
FEWEST_ROWS = 20
FEWEST_IN_CLASS = 10
_MOST_NUMBERED = 20  # beyond that many distinct whole numbers, they are amounts


@dataclass(frozen=True)
class Target:
    """What is to be predicted."""

    name: str
    task: str
    """binary, multiclass or regression."""
    reason: str
    dtype: str | None
    """What to cast to, where missing values made the column nullable."""
    classes: list[Any]
    counts: list[int]
    missing: int
    rare: list[Any]
    """Classes left out, since they have too few rows to learn from and to test on."""


def find_target(series: pd.Series, column: Column, task: str | None = None) -> Target:
    """Decide what kind of task a column makes.

    Parameters
    ----------
    series : (n,) the column, missing values included.
    task : `classification` or `regression`; by default what its values suggest.

    Raises
    ------
    TakehomeError
        It can't be a target: nothing but missing values, dates, a single class, a text of its own in each row, or
        too few rows.
    """
    present = series.dropna()
    if column.empty:
        raise _refusal(column.name, "all its values are missing", "Choose a column that has answers")
    if column.kind == "datetime":
        raise _refusal(
            column.name, "it holds dates", "Add a column with what is to be known: a number of days, yes or no"
        )
    if len(present) < FEWEST_ROWS:
        raise _refusal(
            column.name, f"{len(present)} {_rows(len(present))} with an answer", f"At least {FEWEST_ROWS} are needed"
        )
    classes, reason = _decide(present, column, task)
    dtype = (
        str(present.dtype).lower().replace("boolean", "bool") if str(present.dtype) in ("Int64", "boolean") else None
    )
    if not classes:
        return Target(column.name, "regression", reason, dtype, [], [], column.missing, [])
    counts = present.value_counts().sort_index()
    rare = [value for value, count in counts.items() if count < FEWEST_IN_CLASS]
    kept = counts.drop(rare)
    if len(kept) < 2:
        raise _too_few(column.name, counts)
    if len(kept) > MOST_CLASSES:
        raise _refusal(column.name, f"{len(kept)} classes", f"Put them into at most {MOST_CLASSES} groups")
    name = "binary" if len(kept) == 2 else "multiclass"
    return Target(column.name, name, reason, dtype, kept.index.tolist(), kept.tolist(), column.missing, rare)


def _decide(present: pd.Series, column: Column, task: str | None) -> tuple[bool, str]:
    """Return whether the values are classes, and why."""
    if column.kind == "text" and column.distinct > len(present) / 2:
        raise _refusal(
            column.name,
            f"{column.distinct:,} different texts in {len(present):,} rows",
            "Name a column of classes or numbers",
        )
    if task == "regression" and column.kind in ("text", "boolean"):
        raise _refusal(column.name, "it holds no numbers", "Leave --task away")
    if task:
        return task == "classification", "--task said so"
    if column.kind in ("text", "boolean"):
        return True, f"its {column.distinct} values are no amounts"
    whole = column.kind == "integer" or bool((present == present.round()).all())
    if column.distinct <= 2 or (whole and column.distinct <= min(_MOST_NUMBERED, len(present) / FEWEST_IN_CLASS)):
        return True, f"it has {column.distinct} distinct numbers only (if they are amounts: --task regression)"
    return False, f"its {column.distinct:,} distinct numbers are amounts"


def _too_few(name: str, counts: pd.Series) -> TakehomeError:
    if len(counts) == 1:
        return _refusal(name, f"a single class, {counts.index[0]!r}", "There is nothing to tell apart")
    smallest = counts.idxmin()
    return _refusal(
        name,
        f"{counts.min()} {_rows(counts.min())} of {smallest!r}",
        f"A class needs {FEWEST_IN_CLASS} to learn from and to test on: collect more, or join classes",
    )


def _rows(count: int) -> str:
    return "row" if count == 1 else "rows"


def _refusal(name: str, found: str, remedy: str) -> TakehomeError:
    return TakehomeError(f"{name!r} can't be predicted from this file: {found}. {remedy}.")
