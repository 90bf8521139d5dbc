"""Which rows train, and which rows judge."""

from dataclasses import dataclass

import pandas as pd

from takehome.draft.columns import Column
from takehome.draft.target import Target

_FEWEST_A_PART = 3


@dataclass(frozen=True)
class Split:
    """How rows are dealt into train, validation and test: `time`, `group`, `stratified` or `random`."""

    kind: str
    reason: str
    column: str | None = None


def choose_split(frame: pd.DataFrame, columns: list[Column], target: Target) -> Split:
    """Choose the split under which the test asks what use will ask: time before group before chance.

    Parameters
    ----------
    frame : (n, k) rows with an answer.
    """
    passed_over = ""
    for column in columns:
        if column.orders and column.name != target.name:
            lacking = _lacking(frame, column.name, target)
            if not lacking:
                return Split("time", f"`{column.name}` orders the rows, and a model meets the future", column.name)
            passed_over = f"; by `{column.name}` class `{lacking}` would be missing in a part"
    for column in columns:
        if column.repeats and column.name != target.name:
            return Split("group", f"`{column.name}` repeats, and a model meets those it hasn't seen", column.name)
    if target.task == "regression":
        return Split("random", f"nothing orders or groups the rows{passed_over}")
    return Split("stratified", f"nothing orders or groups the rows; each part gets every class{passed_over}")


def _lacking(frame: pd.DataFrame, date: str, target: Target) -> object | None:
    """Return a class that would have too few rows in a part of a split by time."""
    part = pd.cut(frame[date].rank(pct=True), [0, 0.6, 0.8, 1], labels=False)
    if target.task == "regression":
        return None
    counts = pd.crosstab(part, frame[target.name])
    short = counts.columns[(counts < _FEWEST_A_PART).any()]
    return short[0] if len(short) else None
