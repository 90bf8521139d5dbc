"""One column as a widget."""

from datetime import date, datetime
from typing import Any

import streamlit as st

from page.contract import Column
from page.literal import literal

MOST_OPTIONS = 100
# Beyond this a browser rounds whole numbers.
SAFE_INTEGER = 2**53 - 1
YEARS = (1900, 2100)


def value(name: str, column: Column) -> Any:
    """Draw the widget for a column and give the value it holds, None where it is empty.

    The key is made of widget and name alone, so that what is typed outlives a new model. A widget whose own start is
    None can be emptied; the default then reaches it by way of the key.
    """
    widget = _widget(column)
    key = f"{widget} {'optional' if column.nullable else 'required'} {name}"
    default = None if column.default is None else PARSE.get(widget, _itself)(column.default)
    st.session_state.setdefault(key, default)
    start = None if column.nullable else default
    return DRAW[widget](literal(name), column, start, {"key": key, "help": _help(column)})


def _widget(column: Column) -> str:
    if column.kind == "category" and len(column.categories) > MOST_OPTIONS:
        return "text" if isinstance(column.categories[0], str) else "digits"
    seen = (column.minimum, column.maximum, column.default)
    if column.kind == "integer" and any(abs(bound) > SAFE_INTEGER for bound in seen if bound is not None):
        return "digits"
    return column.kind


def _category(label: str, column: Column, start: Any, common: dict[str, Any]) -> Any:
    index = None if start is None else 0
    return st.selectbox(label, column.categories, index=index, placeholder=_empty(column), **common)


def _boolean(label: str, column: Column, start: bool | None, common: dict[str, Any]) -> bool | None:
    words = {True: "true", False: "false"}
    index = None if start is None else 0
    return st.selectbox(label, list(words), index=index, format_func=words.get, placeholder=_empty(column), **common)


def _number(label: str, column: Column, start: float | None, common: dict[str, Any]) -> float | None:
    look = {"step": _step(column), "format": "%g", "placeholder": _empty(column)}
    return st.number_input(label, value=start, **look, **common)


def _integer(label: str, column: Column, start: int | None, common: dict[str, Any]) -> int | None:
    look = {"step": 1, "format": "%d", "placeholder": _empty(column)}
    return st.number_input(label, value=start, **look, **common)


def _date(label: str, column: Column, start: date | None, common: dict[str, Any]) -> str | None:
    first, last = _years(column)
    span = {"min_value": date(first, 1, 1), "max_value": date(last, 12, 31), "format": "YYYY-MM-DD"}
    chosen = st.date_input(label, value=start, **span, **common)
    return chosen and chosen.isoformat()


def _datetime(label: str, column: Column, start: datetime | None, common: dict[str, Any]) -> str | None:
    first, last = _years(column)
    span = {"min_value": datetime(first, 1, 1), "max_value": datetime(last, 12, 31, 23, 59), "format": "YYYY-MM-DD"}
    chosen = st.datetime_input(label, value=start, step=60, **span, **common)
    return chosen and chosen.isoformat()


def _text(label: str, column: Column, start: str | None, common: dict[str, Any]) -> str | None:
    typed = st.text_input(label, value=start, placeholder=_empty(column), **common)
    return typed or (None if column.nullable else "")


def _digits(label: str, column: Column, start: str | None, common: dict[str, Any]) -> str | int | None:
    """Give the number; what is none goes to the API as it is, which says what is wrong with it."""
    typed = _text(label, column, start, common)
    try:
        return typed and int(typed)
    except ValueError:
        return typed


def _help(column: Column) -> str | None:
    """Say what the widget does not show by itself."""
    shown = _widget(column) in ("category", "boolean") or column.kind == "text"
    words = ["" if shown else f"{column.description}.", "May be left empty." if column.nullable else ""]
    return literal(" ".join(filter(None, words))) or None


def _empty(column: Column) -> str:
    return "Empty" if column.nullable else "Choose or type"


def _step(column: Column) -> float:
    """About a hundredth of the observed range, as a power of ten."""
    width = float(column.maximum or 0) - float(column.minimum or 0)
    return float(f"1e{f'{width / 100:e}'.split('e')[1]}") if width > 0 else 1.0


def _years(column: Column) -> tuple[int, int]:
    seen = [int(bound[:4]) for bound in (column.minimum, column.maximum) if bound]
    return min([YEARS[0], *seen]), max([YEARS[1], *seen])


def _itself(default: Any) -> Any:
    return default


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=None)


DRAW = {
    "category": _category,
    "boolean": _boolean,
    "number": _number,
    "integer": _integer,
    "date": _date,
    "datetime": _datetime,
    "text": _text,
    "digits": _digits,
}
# From the schema's default to what the widget takes.
PARSE = {
    "number": float,
    "integer": int,
    "date": date.fromisoformat,
    "datetime": _moment,
    "text": str,
    "digits": str,
}
