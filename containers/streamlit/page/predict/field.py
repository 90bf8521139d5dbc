"""One column as a widget."""

import time
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import streamlit as st

from page.contract import Column, Spread
from page.literal import literal
from page.predict import histogram, suggestions

MOST_OPTIONS = 100
# Beyond this a browser rounds whole numbers.
SAFE_INTEGER = 2**53 - 1
YEARS = (1900, 2100)
ECHO_SECONDS = 5
state = st.session_state


def value(name: str, column: Column, spread: Spread | None, *, slide: bool) -> Any:
    """Draw the widget for a column and give the value it holds, None where it is empty.

    The key is made of widget and name alone, so that what is typed outlives a new model. A widget whose own start is
    None can be emptied; the default then reaches it by way of the key.

    Parameters
    ----------
    name : the column's, which is also the label of the widget.
    column : its property in the row schema.
    spread : its histogram over the training data, drawn between number and slider.
    slide : whether a number gets a slider.
    """
    widget, key = _widget(column), key_of(name, column)
    default = None if column.default is None else PARSE.get(widget, _itself)(column.default)
    state.setdefault(key, default)
    start = None if column.nullable else default
    common = {"key": key, "help": _help(column), "persist_state": "session"}
    held = DRAW[widget](literal(name), column, start, common)
    if slide and widget in ("number", "integer") and column.minimum is not None and column.minimum < column.maximum:
        _slider(name, column, spread, key)
    return held


def put(name: str, column: Column, held: Any) -> None:
    """Let the column's widget start from another value; to be called before it is drawn."""
    parse = PARSE.get(_widget(column), _itself)
    state[key_of(name, column)] = None if held is None else parse(held)


def key_of(name: str, column: Column) -> str:
    """Name the column's place in the session."""
    return f"{_widget(column)} {'optional' if column.nullable else 'required'} {name}"


def _widget(column: Column) -> str:
    if column.kind == "category" and len(column.categories) > MOST_OPTIONS:
        return "suggest" if isinstance(column.categories[0], str) else "digits"
    if column.kind == "boolean" and not column.nullable:
        return "checkbox"
    seen = (column.minimum, column.maximum, column.default)
    if column.kind == "integer" and any(abs(bound) > SAFE_INTEGER for bound in seen if bound is not None):
        return "digits"
    return column.kind


def _category(label: str, column: Column, start: Any, common: dict[str, Any]) -> Any:
    index = None if start is None else 0
    return st.selectbox(label, column.categories, index=index, placeholder=_empty(column), **common)


def _suggest(label: str, column: Column, start: str | None, common: dict[str, Any]) -> str | None:
    typed = _text(label, column, start, common)
    suggestions.offer(typed or "", column.categories, common["key"])
    return typed


def _checkbox(label: str, _: Column, __: bool | None, common: dict[str, Any]) -> bool:
    state[common["key"]] = bool(state[common["key"]])
    return st.checkbox(label, **common)


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


def _slider(name: str, column: Column, spread: Spread | None, key: str) -> None:
    """Draw histogram and slider under a number; the number leads, since it alone may be empty or out of range."""
    held, slide = state[key], f"slide {key}"
    kind = int if column.kind == "integer" else float
    low, high = kind(column.minimum), kind(column.maximum)
    if spread:
        st.html(histogram.drawing(name, spread, held))
    shown = min(max(kind(low if held is None else held), low), high)
    if state.get(slide, shown) != shown:
        state[f"before {slide}"] = (state[slide], time.monotonic())
    state[slide] = shown

    def follow() -> None:
        before, moved = state.get(f"before {slide}", (None, 0.0))
        # A browser that has not heard yet of the number just typed still reports the slider where it was.
        if state[slide] != before or time.monotonic() - moved > ECHO_SECONDS:
            state[key] = state[slide]

    step = 1 if kind is int else _step(column)
    look = {"step": step, "format": "%d" if kind is int else "%g", "label_visibility": "collapsed"}
    st.slider(f"Slide {literal(name)}", low, high, key=slide, on_change=follow, **look)


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
    shown = _widget(column) in ("category", "boolean", "checkbox") or column.kind == "text"
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


DRAW: dict[str, Callable[[str, Column, Any, dict[str, Any]], Any]] = {
    "category": _category,
    "suggest": _suggest,
    "checkbox": _checkbox,
    "boolean": _boolean,
    "number": _number,
    "integer": _integer,
    "date": _date,
    "datetime": _datetime,
    "text": _text,
    "digits": _digits,
}
# From the schema's default to what the widget takes.
PARSE: dict[str, Callable[[Any], Any]] = {
    "number": float,
    "integer": int,
    "date": date.fromisoformat,
    "datetime": _moment,
    "text": str,
    "suggest": str,
    "digits": str,
}
