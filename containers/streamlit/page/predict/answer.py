"""The answer as the reader sees it."""

import altair as alt
import pandas as pd
import streamlit as st

from page.contract import Answer, Model, Problem, Refusal, Unavailable
from page.figures import is_number, number, percent
from page.ink import ink
from page.literal import literal

MOST_BARS = 20


def show(result: Answer | Refusal | Unavailable, model: Model) -> None:
    """Draw the answer, or why there is none."""
    match result:
        case Answer() as answer:
            _show_answer(answer, model)
        case Refusal(detail=problems):
            st.error(_listed(problems), title="The API refuses this row", icon=":material/block:")
        case Unavailable(reason=reason):
            st.error(literal(reason), title="No answer", icon=":material/cloud_off:")


def _show_answer(answer: Answer, model: Model) -> None:
    with st.container(border=True):
        value = answer.prediction
        plain = answer.probabilities is None and is_number(value)
        st.metric(literal(model.target), number(value) if plain else literal(value))
        if answer.probabilities is not None:
            _bars(answer.probabilities, model)
    if answer.warnings:
        st.warning(_listed(answer.warnings), title="Read this answer with care", icon=":material/warning:")


def _bars(probabilities: dict[str, float], model: Model) -> None:
    """One bar a class, in the order of the classes; of very many, the likeliest."""
    likeliest = sorted(probabilities, key=probabilities.__getitem__, reverse=True)[:MOST_BARS]
    shown = {name: share for name, share in probabilities.items() if name in likeliest}
    words = ", ".join(f"{name}: {percent(share)}" for name, share in shown.items())
    positive = model.positive if model.threshold is not None else None
    st.altair_chart(_chart(shown, positive, model.threshold), width="stretch", alt=words)
    if positive is not None:
        st.caption(f"Answers “{literal(positive)}” from a probability of {percent(model.threshold or 0)} on.")
    if len(shown) < len(probabilities):
        st.caption(f"The {MOST_BARS} likeliest of {len(probabilities):,} classes.")


def _chart(shares: dict[str, float], positive: str | None, threshold: float | None) -> alt.LayerChart:
    frame = pd.DataFrame({"name": list(shares), "share": list(shares.values())})
    frame["percent"] = frame["share"].map(percent)
    frame["threshold"] = [threshold if name == positive else None for name in frame["name"]]
    base = alt.Chart(frame, height=alt.Step(46)).encode(
        y=alt.Y("name:N", sort=None, axis=None),
        # Room on the right for the figure beside a full bar.
        x=alt.X("share:Q", scale=alt.Scale(domain=[0, 1.25]), axis=None),
        tooltip=[alt.Tooltip("name:N", title=" "), alt.Tooltip("percent:N", title="probability")],
    )
    # The theme of Streamlit's charts leaves text marks black, also on black.
    words = base.mark_text(fontSize=13, color=ink().text, align="left", dy=-12, limit=310)
    figures = base.mark_text(fontSize=13, color=ink().text, align="right", dy=9)
    bars = base.mark_bar(cornerRadiusEnd=3, height=18, yOffset=9)
    drawn = bars + words.encode(text="name:N", x=alt.datum(0)) + figures.encode(text="percent:N", x=alt.datum(1.25))
    if positive is None:
        return drawn
    return drawn + base.mark_tick(color=ink().warm, thickness=2, height=26, yOffset=9).encode(x="threshold:Q")


def _listed(problems: list[Problem]) -> str:
    return "\n".join(f"- {_named(problem)}" for problem in problems)


def _named(problem: Problem) -> str:
    """Put the column before a message that does not name it itself."""
    message = literal(problem.msg)
    named = problem.column is None or repr(problem.column) in problem.msg
    return message if named else f"**{literal(problem.column)}**: {message}"
