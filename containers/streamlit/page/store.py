"""The one database of all readers."""

import streamlit as st

from page.database import Database
from page.settings import Settings


@st.cache_resource(show_spinner=False)
def database() -> Database:
    """Name the database once; each question has a connection of its own."""
    return Database(Settings())
