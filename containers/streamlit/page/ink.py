"""The colours that charts and drawings take from the page's theme."""

from dataclasses import dataclass

import streamlit as st


@dataclass(frozen=True)
class Ink:
    """Colours as CSS has them."""

    text: str
    faint: str
    bar: str
    accent: str
    warm: str


LIGHT = Ink(text="#2f2d2b", faint="#6b6865", bar="#b9c9dd", accent="#1f5fa8", warm="#b4500f")
DARK = Ink(text="#edebe8", faint="#a8a5a1", bar="#47586e", accent="#5b9bdf", warm="#f0a35e")


def ink() -> Ink:
    """Give the colours of the theme that the reader's browser shows."""
    return DARK if st.context.theme.type == "dark" else LIGHT
