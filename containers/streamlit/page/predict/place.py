"""Where a row lies in the training data: one line a column, with a drawing and words."""

from html import escape
from typing import Any

import streamlit as st

from page.contract import Column, Served, Spread
from page.figures import number, percent
from page.moment import seconds
from page.predict import histogram

MOST_OPEN = 12


def show(row: dict[str, Any], served: Served) -> None:
    """Draw the columns that the model knows the spread of, the most important ones in the open."""
    names = [name for name in _by_importance(served) if _drawable(served.model.profile.get(name))]
    if not names:
        return
    st.subheader("Where this row lies in the training data", anchor=False)
    st.html(_grid(names[:MOST_OPEN], row, served))
    if names[MOST_OPEN:]:
        with st.expander(f"The other {len(names) - MOST_OPEN} columns"):
            st.html(_grid(names[MOST_OPEN:], row, served))


def _by_importance(served: Served) -> list[str]:
    known = [item.column for item in served.model.importance]
    return list(
        dict.fromkeys([*(name for name in known if name in served.schema.properties), *served.schema.properties])
    )


def _drawable(spread: Spread | None) -> bool:
    return spread is not None and bool(spread.edges or spread.values)


def _grid(names: list[str], row: dict[str, Any], served: Served) -> str:
    return f'<div class="places">{"".join(_line(name, row.get(name), served) for name in names)}</div>'


def _line(name: str, held: Any, served: Served) -> str:
    column, spread = served.schema.properties[name], served.model.profile[name]
    drawn = served.model.histogram.get(name, spread)
    picture = histogram.strip(name, spread, held) if spread.values else histogram.drawing(name, drawn, held, height=14)
    shown = "empty" if held is None else _shown(held)
    return (
        f'<div class="place"><span class="name" title="{escape(name)}">{escape(name)}</span> <b>{escape(shown)}</b>'
        f"{picture}<small>{escape(words(column, spread, held))}</small></div>"
    )


def _shown(held: Any) -> str:
    if isinstance(held, bool):
        return str(held).lower()
    return number(held) if isinstance(held, float) else str(held)


def words(column: Column, spread: Spread, held: Any) -> str:
    """Say in a few words how usual a value is."""
    if held is None:
        return f"empty in {percent(spread.missing)} of the training rows"
    if spread.values:
        return _how_frequent(spread, held)
    low, here, high = map(seconds, (column.minimum, held, column.maximum))
    if here < low or here > high:
        return f"{'below' if here < low else 'above'} all training rows"
    if low < high and here in (low, high):
        return f"the {'smallest' if here == low else 'greatest'} of the training rows"
    return f"above {percent(below(spread, held))} of the training rows"


def _how_frequent(spread: Spread, held: Any) -> str:
    shares = dict(zip(spread.values, spread.shares, strict=False))
    if held in shares:
        return f"{percent(shares[held])} of the training rows"
    return f"not among the {len(spread.values)} most frequent values"


def below(spread: Spread, held: Any) -> float:
    """Give the share of the present training values below this one, linear within a bin; in [0, 1]."""
    edges, value = [seconds(edge) for edge in spread.edges], seconds(held)
    lower = 0.0
    for start, end, share in zip(edges, edges[1:], spread.shares, strict=False):
        within = (value - start) / (end - start) if end > start else float(value > start)
        lower += share * min(max(within, 0.0), 1.0)
    return lower / (sum(spread.shares) or 1.0)
