"""How good the model is on held-out rows: metrics with their uncertainty, curves, confusion, importance."""

import altair as alt
import pandas as pd
import streamlit as st

from page.contract import Confusion, Model
from page.figures import figure, is_number, metric
from page.ink import ink
from page.listing import listing
from page.literal import literal
from page.model import curves

MOST_LABELS = 12
MOST_COLUMNS = 20


def show(model: Model) -> None:
    """Draw what `save_model` measured; without held-out rows there is nothing to draw."""
    numbers = {name: value for name, value in model.metrics.items() if is_number(value)}
    if not numbers:
        st.caption("Nothing was measured: `save_model` got no held-out rows (`evaluate=(X_test, y_test)`).")
        return
    st.html(listing(("Metric", "Value", "95 % interval"), _metrics(model, numbers), "Metrics on held-out rows"))
    if model.threshold is not None:
        st.caption(
            f"Answers “{literal(model.positive)}” from a probability of {model.threshold:.3g} on. {_rule(model)}"
        )
    curves.show(model)
    if model.confusion:
        _confusion(model.confusion)
    if model.importance:
        _importance(model)


def _rule(model: Model) -> str:
    return literal(model.threshold_rule) if model.threshold_rule else ""


def _metrics(model: Model, numbers: dict[str, float]) -> list[tuple[str, str, str]]:
    rows = []
    for name, value in numbers.items():
        low_high = model.intervals.get(name)
        interval = f"{figure(low_high[0])} to {figure(low_high[1])}" if low_high else ""
        rows.append((metric(name), figure(value), interval))
    return rows


def _confusion(confusion: Confusion) -> None:
    st.markdown("#### Confusion: what the true classes were taken for")
    labels, counts = confusion.labels, confusion.counts
    if len(labels) <= MOST_LABELS:
        rows = [(label, *(f"{n:,.6g}" for n in row)) for label, row in zip(labels, counts, strict=True)]
        st.html(listing(("true \\ predicted", *labels), rows, "Rows by true class and predicted class"))
        return
    cells = [(t, p, counts[i][j]) for i, t in enumerate(labels) for j, p in enumerate(labels) if counts[i][j]]
    frame = pd.DataFrame(cells, columns=["true", "predicted", "rows"])
    chart = alt.Chart(frame, height=480).mark_rect()
    axis = alt.Axis(labelLimit=130)
    chart = chart.encode(
        x=alt.X("predicted:N", sort=labels, axis=axis),
        y=alt.Y("true:N", sort=labels, axis=axis),
        color=alt.Color("rows:Q", legend=None),
        tooltip=["true:N", "predicted:N", "rows:Q"],
    )
    right = sum(counts[i][i] for i in range(len(labels))) / (sum(map(sum, counts)) or 1)
    st.altair_chart(chart, width="stretch", alt=f"{len(labels)} classes; {right:.1%} of the rows on the diagonal")


def _importance(model: Model) -> None:
    st.markdown("#### Importance: what is lost when a column is shuffled")
    score = literal(metric(model.importance_score or "the score"))
    st.caption(f"Fall of {score} on held-out rows; the line is a standard deviation to either side.")
    shown = model.importance[:MOST_COLUMNS]
    frame = pd.DataFrame([(i.column, i.mean, i.mean - i.std, i.mean + i.std) for i in shown])
    frame.columns = ["column", "mean", "low", "high"]
    words = {"labelLimit": 150, "labelColor": ink().text, "labelFontSize": 12}
    y = alt.Y("column:N", sort=None, title=None, axis=alt.Axis(**words))
    base = alt.Chart(frame, height=alt.Step(24)).encode(y=y)
    bars = base.mark_bar(height=14).encode(
        x=alt.X("mean:Q", title=None, axis=alt.Axis(tickCount=5)), tooltip=["column:N", "mean:Q"]
    )
    lines = base.mark_rule(color=ink().text).encode(x="low:Q", x2="high:Q")
    alt_text = ", ".join(f"{item.column} {item.mean:.3g}" for item in shown[:8])
    st.altair_chart(bars + lines, width="stretch", alt=f"Importance: {alt_text}")
    if len(model.importance) > MOST_COLUMNS:
        st.caption(f"The first {MOST_COLUMNS} of {len(model.importance)} columns.")
