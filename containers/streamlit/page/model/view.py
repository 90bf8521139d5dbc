"""The page Model: quality, training data, drift, history."""

import streamlit as st

from page.contract import Served
from page.model import drift, history, quality, training


def show() -> None:
    """Draw all that is known of the model being served."""
    served: Served | None = st.session_state.get("served")
    if served is None:
        st.caption("There is no model yet.")
        return
    st.subheader("Quality on held-out rows", anchor=False)
    quality.show(served.model)
    st.subheader("Drift", anchor=False)
    drift.show(served.model)
    st.subheader("History", anchor=False)
    history.show(served.model)
    st.subheader("Training data", anchor=False)
    training.show_columns(served)
    st.subheader("Versions", anchor=False)
    training.show_versions(served)
