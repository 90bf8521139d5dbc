"""The page Predict: form, answer and reasons."""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from page.contract import Answer, Refusal, Served, Unavailable
from page.predict import answer, form, place, whatif, why
from page.predict.whatif import Curve
from page.watch import api

state = st.session_state


@dataclass(frozen=True)
class Outcome:
    """What one press of the button gave, for which model and which row."""

    version: str
    row: dict[str, Any]
    result: Answer | Refusal | Unavailable
    curves: list[Curve] | Unavailable


def show() -> None:
    """Draw the form, and what its row was answered."""
    served: Served | None = state.get("served")
    if served is None:
        return
    left, right = st.columns([3, 2], gap="medium")
    with left:
        form.example_button(served)
        with st.container(border=True):
            row = form.row(served)
    outcome = None
    with right, st.container(key="answer"):
        if st.button("Submit", type="primary", width="stretch"):
            state.outcome = _ask(served, row)
        outcome = state.get("outcome")
        if outcome and outcome.version == served.model.version:
            answer.show(outcome.result, served.model)
            if row != outcome.row:
                st.caption("The form has changed since. Submit again.")
    if outcome and outcome.version == served.model.version and isinstance(outcome.result, Answer):
        why.show(outcome.curves, outcome.row, outcome.result, served.model)
        place.show(outcome.row, served)


def _ask(served: Served, row: dict[str, Any]) -> Outcome:
    result = api().predict(row)
    curves = whatif.ask(api(), served, row, result) if isinstance(result, Answer) else []
    return Outcome(served.model.version, row, result, curves)
