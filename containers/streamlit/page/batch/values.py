"""From the text fields of a file to the values that the API takes, by the row schema."""

import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from page.batch.table import Table, TableError
from page.contract import Column, Schema

_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)", re.ASCII)
_NUMBER = re.compile(r"-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)

_MIDNIGHT = re.compile(r"[T ]00:00(:00(\.0+)?)?")


class Rows:
    """Makes rows for the API of the fields of a file; columns that are no features are left out."""

    def __init__(self, table: Table, schema: Schema) -> None:
        _check_columns(table, schema)
        self._columns = [
            (name, table.header.index(name), _reader(column)) for name, column in schema.properties.items()
        ]

    def row(self, fields: list[str]) -> dict[str, Any]:
        """Give one row: None where the field is empty, text where it isn't what the column takes."""
        return {name: read(fields[place]) if fields[place] else None for name, place, read in self._columns}


def _check_columns(table: Table, schema: Schema) -> None:
    absent = [name for name in schema.properties if name not in table.header]
    spare = [name for name in table.header if name not in schema.properties]
    if not absent:
        return
    words = [_did_you_mean(name, spare) for name in absent[:5]]
    if len(absent) > 5:
        words.append(f"and {len(absent) - 5} more")
    raise TableError(f"{table.name}, line 1: {', '.join(words)}. Rename or add what is missing.")


def _did_you_mean(name: str, spare: list[str]) -> str:
    folded = {column.casefold(): column for column in spare}
    near = get_close_matches(name.casefold(), list(folded), 1, 0.6)
    return f"column {name!r} is missing" + (f" (is it called {folded[near[0]]!r} there?)" if near else "")


def _reader(column: Column) -> Callable[[str], Any]:
    """Return what reads a field of this column; what can't be read stays text, and the API says what is wrong."""
    if column.kind == "date":
        return _day
    types = [column.type] if isinstance(column.type, str) else column.type
    known = {"integer": _whole, "number": _number, "boolean": _boolean}
    return next((known[name] for name in types if name in known), str)


def _day(text: str) -> str:
    """Give the date alone where its time is midnight: that is how tables of dates are often written."""
    return text[:10] if _MIDNIGHT.fullmatch(text[10:]) else text


def _whole(text: str) -> int | float | str:
    return int(text) if _WHOLE.fullmatch(text) and len(text) < 20 else _number(text)


def _number(text: str) -> float | str:
    return float(text) if _NUMBER.fullmatch(text) and abs(float(text)) < float("inf") else text


def _boolean(text: str) -> bool | str:
    return {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}.get(text, text)
