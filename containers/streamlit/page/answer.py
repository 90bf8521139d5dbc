"""The answer as the reader sees it."""

from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from page.contract import Answer, Model, Problem, Refusal, Unavailable
from page.literal import literal

MOST_BARS = 20


@dataclass(frozen=True)
class Outcome:
    """What one press of the button gave, for which model and which row."""

    model: Model
    row: dict[str, Any]
    result: Answer | Refusal | Unavailable


def show(outcome: Outcome, row: dict[str, Any]) -> None:
    """Draw the answer, or why there is none; `row` is what the form holds by now."""
    match outcome.result:
        case Answer() as answer:
            _show_answer(answer, outcome.model)
        case Refusal(detail=problems):
            st.error(_listed(problems), title="The API refuses this row", icon=":material/block:")
        case Unavailable(reason=reason):
            st.error(literal(reason), title="No answer", icon=":material/cloud_off:")
    if row != outcome.row:
        st.caption("The form has changed since. Submit again.")


def percent(share: float) -> str:
    """Give the share in percent; only 0 and 1 are shown as 0 % and 100 %."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    if 0.9995 <= share < 1:
        return "> 99.9 %"
    return f"{100 * share:.1f} %"


def number(value: float) -> str:
    """Give a prediction with six digits, more only before the point."""
    return f"{value:,.0f}" if abs(value) >= 1e6 else f"{value:,.6g}"


def _show_answer(answer: Answer, model: Model) -> None:
    with st.container(border=True):
        if answer.probabilities is None:
            value = answer.prediction
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            st.metric(literal(model.target), number(value) if is_number else str(value))
        else:
            st.metric(literal(model.target), str(answer.prediction))
            _bars(answer.probabilities)
    if answer.warnings:
        st.warning(_listed(answer.warnings), title="Read this answer with care", icon=":material/warning:")


def _bars(probabilities: dict[str, float]) -> None:
    """One bar a class, in the order of the classes; of very many, the likeliest."""
    likeliest = sorted(probabilities, key=probabilities.__getitem__, reverse=True)[:MOST_BARS]
    shown = {name: share for name, share in probabilities.items() if name in likeliest}
    words = ", ".join(f"{name}: {percent(share)}" for name, share in shown.items())
    st.altair_chart(_chart(shown), width="stretch", alt=words)
    if len(shown) < len(probabilities):
        st.caption(f"The {MOST_BARS} likeliest of {len(probabilities):,} classes.")


def _chart(shares: dict[str, float]) -> alt.LayerChart:
    frame = pd.DataFrame({"name": list(shares), "share": list(shares.values())})
    frame["percent"] = frame["share"].map(percent)
    # The theme of Streamlit's charts leaves text marks black, also on black.
    ink = "#edebe8" if st.context.theme.type == "dark" else "#2f2d2b"
    words = {"labelFontSize": 13, "labelColor": ink, "labelLimit": 220, "ticks": False, "domain": False}
    base = alt.Chart(frame, height=alt.Step(34)).encode(
        y=alt.Y("name:N", sort=None, title=None, axis=alt.Axis(**words)),
        # Room on the right for the figure beside a full bar.
        x=alt.X("share:Q", scale=alt.Scale(domain=[0, 1.18]), axis=None),
        tooltip=[alt.Tooltip("name:N", title=" "), alt.Tooltip("percent:N", title="probability")],
    )
    figures = base.mark_text(align="left", dx=6, fontSize=13, color=ink).encode(text="percent:N")
    return base.mark_bar(cornerRadiusEnd=3, height=20) + figures


def _listed(problems: list[Problem]) -> str:
    return "\n".join(f"- {_named(problem)}" for problem in problems)


def _named(problem: Problem) -> str:
    """Put the column before a message that does not name it itself."""
    message = literal(problem.msg)
    named = problem.column is None or repr(problem.column) in problem.msg
    return message if named else f"**{literal(problem.column)}**: {message}"
