"""What a drafted notebook is to contain, decided by looking at the data."""

from dataclasses import dataclass, field

import pandas as pd

from takehome.draft.columns import Column, describe, unordered_dates
from takehome.draft.leaks import find_leaks
from takehome.draft.split import Split, choose_split
from takehome.draft.target import Target, find_target
from takehome.errors import TakehomeError

_FEW_IN_CLASS = 30
_MOSTLY_MISSING = 0.5
_MANY_VALUES = 40  # skrub's `cardinality_threshold`
_SMALL = 2_000  # with fewer rows a single validation set says little, and cross-validation is cheap
_THREADS_PAY = 20_000
_LARGE = 200_000  # with more, a first model learns from a sample
_TASKS = {"binary": "two classes", "multiclass": "several classes", "regression": "regression"}


@dataclass(frozen=True)
class Plan:
    """All that the templates need."""

    rows: int
    columns: int
    target: Target
    split: Split
    drop: dict[str, str]
    """Columns that are no features, and why in a few words."""
    warnings: list[str] = field(default_factory=list)
    long_texts: bool = False
    """Text columns of so many values that `tabular_pipeline` encodes them by chance, which wants a seed."""

    @property
    def small(self) -> bool:
        """Compare models by cross-validation."""
        return self.rows < _SMALL

    @property
    def single_thread(self) -> bool:
        """Fit on one thread: several would only wait for each other."""
        return self.rows < _THREADS_PAY

    @property
    def sample(self) -> int | None:
        """How many rows to learn from, where all are too many for a first model."""
        return _LARGE if self.rows > _LARGE else None

    @property
    def choices(self) -> list[tuple[str, str]]:
        """What was chosen, and why: a line each."""
        target = self.target
        lines = [(f"Task: {_TASKS[target.task]}", target.reason)]
        if target.missing:
            lines.append((f"{target.missing:,} rows left out", f"`{target.name}` is missing, so they teach nothing"))
        if target.rare:
            named = ", ".join(f"`{value}`" for value in target.rare[:5])
            lines.append((f"{len(target.rare)} classes left out ({named})", "fewer than 10 rows: too few to test on"))
        lines += [(f"`{name}` is no feature", reason) for name, reason in self.drop.items()]
        lines.append((f"Split: {self.split.kind}", self.split.reason))
        if self.small:
            lines.append(("Models compared by cross-validation", "few rows: a single validation set would be luck"))
        if self.sample:
            lines.append((f"A sample of {self.sample:,} rows", "a first model in a minute; `ROWS = None` takes all"))
        if target.task == "binary":
            lines.append(("Threshold chosen on the validation rows", "0.5 serves nobody where classes are uneven"))
        return lines


def make_plan(frame: pd.DataFrame, target: str, task: str | None = None) -> Plan:
    """Look at the data and decide.

    Parameters
    ----------
    frame : (n, k) as `read_csv` gives it.
    target : the column to predict.
    task : `classification` or `regression`; by default what the target suggests.

    Raises
    ------
    TakehomeError
        The target can't be predicted, or no column is left to predict it from.
    """
    columns = {column.name: column for column in describe(frame)}
    found = find_target(frame[target], columns.pop(target), task)
    rows = frame.dropna(subset=[target])
    rows = rows[~rows[target].isin(found.rare)] if found.rare else rows
    split = choose_split(rows, list(columns.values()), found)
    drop = {name: reason for name, column in columns.items() if (reason := _no_feature(column))}
    leaks = find_leaks(rows, [column for name, column in columns.items() if name not in drop], found)
    if len(drop) + len(leaks) < len(columns):
        drop |= {
            name: f"alone it tells the target (score {score:.2f}), so it may be known only afterwards"
            for name, score in leaks.items()
        }
    if len(drop) == len(columns):
        raise TakehomeError(
            f"No column is left to predict {target!r} from: identifiers, constants and empty ones tell nothing."
        )
    warnings = _warnings(rows, columns, found, split)
    texts = [name for name, column in columns.items() if column.kind == "text" and name not in drop]
    long_texts = any(columns[name].distinct >= _MANY_VALUES for name in texts)
    return Plan(len(rows), frame.shape[1], found, split, drop, warnings, long_texts)


def _no_feature(column: Column) -> str:
    if column.empty:
        return "all values are missing"
    if column.constant:
        return "a single value"
    if column.identifies:
        return "identifier: each row has its own"
    return "identifier that repeats: the model would know cases by heart" if column.repeats else ""


def _warnings(frame: pd.DataFrame, columns: dict[str, Column], target: Target, split: Split) -> list[str]:
    """Return what usually goes wrong, where this data has it."""
    few = [
        f"`{value}` ({count})"
        for value, count in zip(target.classes, target.counts, strict=True)
        if count < _FEW_IN_CLASS
    ]
    twins = int(frame.duplicated().sum())
    sparse = [
        f"`{c.name}` ({c.missing / c.rows:.0%})" for c in columns.values() if _MOSTLY_MISSING < c.missing / c.rows < 1
    ]
    lines = [
        few and f"**Fewer than 30 rows in a class:** {', '.join(few)}. Their scores are uncertain.",
        twins and f"**Duplicates:** {twins:,} rows repeat another one in every column. Across the split they flatter.",
        sparse and f"**Mostly missing:** {', '.join(sparse)}. Is that a value never asked for, or one that came later?",
    ]
    lines += [
        f"**Dates out of order:** `{first}` is after `{then}` in {after:,} rows, and in no others."
        for first, then, after in unordered_dates(frame, list(columns.values()))
    ]
    date = frame[split.column] if split.kind == "time" else None
    if date is not None and not date.is_monotonic_increasing:
        lines.append(f"**Rows are not in the order of `{split.column}`:** the split goes by the date, not by the file.")
    return [line for line in lines if line]
