"""Known values offered under a text field, for a column that has too many of them for a list."""

from collections.abc import Sequence
from difflib import get_close_matches

import streamlit as st

from page.literal import literal

MOST = 6
# Above this, comparing letter by letter takes longer than a reader waits.
MOST_COMPARED = 3000
state = st.session_state


def offer(typed: str, known: Sequence[str], key: str) -> None:
    """Draw the known values nearest to what was typed; a press puts one into the field with this key."""
    near = nearest(typed, known)
    if not near or near == [typed]:
        return
    pick = f"pick {key}"

    def take() -> None:
        if state[pick] is not None:
            state[key], state[pick] = state[pick], None

    st.pills("Suggestions", near, key=pick, on_change=take, format_func=literal, label_visibility="collapsed")


def nearest(typed: str, known: Sequence[str]) -> list[str]:
    """Give the values that begin with it, then those that hold it, then those that are spelt much like it."""
    if typed in known:
        return [typed]
    word = typed.strip().casefold()
    begin = [value for value in known if value.casefold().startswith(word)]
    hold = [value for value in known if word in value.casefold() and value not in begin[:MOST]] if word else []
    found = list(dict.fromkeys([*begin[:MOST], *hold[:MOST]]))[:MOST]
    return found or get_close_matches(typed, known[:MOST_COMPARED], MOST, 0.5)
