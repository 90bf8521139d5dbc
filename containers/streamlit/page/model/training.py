"""The training data: how each column was spread, and what the model was made with."""

from html import escape

import streamlit as st

from page.contract import Column, Served, Spread
from page.figures import count, number, percent
from page.listing import listing
from page.predict import histogram

MOST_OPEN = 40


def show_columns(served: Served) -> None:
    """Draw the spread of each column, in training order."""
    columns, model = served.schema.properties, served.model
    if model.data:
        st.caption(f"{count(model.data.rows, 'row')}, {count(len(columns), 'column')}.")
    names = list(columns)
    st.html(_grid(names[:MOST_OPEN], served))
    if names[MOST_OPEN:]:
        with st.expander(f"The other {len(names) - MOST_OPEN} columns"):
            st.html(_grid(names[MOST_OPEN:], served))


def show_versions(served: Served) -> None:
    """List what the model was made with."""
    model = served.model
    facts = [("Model", model.version), ("Saved", f"{model.created:%Y-%m-%d %H:%M} UTC"), ("Python", model.python)]
    facts += [(name, version) for name, version in model.packages.items()]
    if model.data:
        facts += [("Data, SHA-256", model.data.sha256), ("Reading rule", model.data.reading_rule)]
    facts.append(("model.joblib, SHA-256", model.sha256))
    st.html(listing(("What", "Version or fingerprint"), facts, "Versions"))


def _grid(names: list[str], served: Served) -> str:
    lines = (_line(name, served.schema.properties[name], served) for name in names)
    return f'<div class="places">{"".join(lines)}</div>'


def _line(name: str, column: Column, served: Served) -> str:
    spread = served.model.profile.get(name, Spread())
    picture = ""
    if spread.values:
        picture = histogram.strip(name, spread, None)
    elif spread.edges:
        picture = histogram.drawing(name, served.model.histogram.get(name, spread), None)
    return (
        f'<div class="place"><span class="name" title="{escape(name)}">{escape(name)}</span> '
        f"<span>{escape(column.kind)}</span>{picture}<small>{escape(_words(column, spread))}</small></div>"
    )


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _words(column: Column, spread: Spread) -> str:
    empty = f"; empty in {percent(spread.missing)}" if spread.missing else ""
    if spread.values:
        common = ", ".join(
            f"{_word(value)} {percent(share)}" for value, share in zip(spread.values[:3], spread.shares, strict=False)
        )
        rest = len(column.categories) - 3
        return f"{common}{f', {rest:,} more' if rest > 0 else ''}{empty}"
    if column.minimum is None:
        return f"{'free text' if column.kind == 'text' else 'no value'}{empty}"
    low, high = (edge if isinstance(edge, str) else number(edge) for edge in (column.minimum, column.maximum))
    return f"{low} to {high}{empty}"
