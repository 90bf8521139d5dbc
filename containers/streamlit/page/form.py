"""From the row schema to fields on the page, and from the fields to a row."""

from typing import Any

import streamlit as st

from page import field
from page.contract import Schema


def row(schema: Schema) -> dict[str, Any]:
    """Draw one field a column, two side by side, and give what they hold as the API wants it."""
    names, values = list(schema.properties), {}
    for first in range(0, len(names), 2):
        for place, name in zip(st.columns(2), names[first : first + 2], strict=False):
            with place:
                values[name] = field.value(name, schema.properties[name])
    return values
