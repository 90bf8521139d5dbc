"""From the row schema to fields on the page, and from the fields to a row."""

from typing import Any

import streamlit as st

from page.contract import Served
from page.predict import field

# Kinds that a reader takes for one group, in the order in which they are shown.
GROUPS = {
    "Categories": ("category",),
    "Numbers": ("number", "integer"),
    "Yes or no": ("boolean",),
    "Dates": ("date", "datetime"),
    "Text": ("text",),
}
# With more fields than this a browser needs seconds for the sliders.
MOST_SLIDERS = 40
state = st.session_state


def row(served: Served) -> dict[str, Any]:
    """Draw one field a column, grouped by kind, and give what they hold as the API wants it."""
    columns, values = served.schema.properties, {}
    groups = {title: [name for name in columns if columns[name].kind in kinds] for title, kinds in GROUPS.items()}
    for title, names in groups.items():
        if names and len(names) < len(columns):
            st.markdown(f"#### {title}")
        values |= _fields(served, names)
    return {name: values[name] for name in columns}


def example_button(served: Served) -> None:
    """Draw the button that fills the form with the next of the example rows."""
    if served.schema.examples:
        st.button("Fill with an example", on_click=_fill, args=(served,), icon=":material/shuffle:", width="stretch")


def _fields(served: Served, names: list[str]) -> dict[str, Any]:
    values, columns, spreads = {}, served.schema.properties, served.model.histogram
    slide = len(columns) <= MOST_SLIDERS
    for first in range(0, len(names), 2):
        for place, name in zip(st.columns(2), names[first : first + 2], strict=False):
            with place.container(gap="xsmall"):
                values[name] = field.value(name, columns[name], spreads.get(name), slide=slide)
    return values


def _fill(served: Served) -> None:
    """Put an example row into the fields; each press takes the next one."""
    state.example = state.get("example", -1) + 1
    examples = served.schema.examples
    example = examples[state.example % len(examples)]
    for name, column in served.schema.properties.items():
        field.put(name, column, example.get(name))
