"""Why this answer: what-if curves, and where the row lies in the training data."""

from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from page.contract import Answer, Model, Unavailable
from page.figures import number, percent
from page.ink import ink
from page.literal import literal
from page.predict.whatif import Curve, shown_class

HEIGHT = 170
SLANTED = 45  # what long names below a chart take of its height


def show(curves: list[Curve] | Unavailable, row: dict[str, Any], answer: Answer, model: Model) -> None:
    """Draw one chart a curve, three side by side, all with the same scale."""
    st.subheader("What if one field were different?", anchor=False)
    if isinstance(curves, Unavailable):
        st.caption(f"No curves: {literal(curves.reason)}")
        return
    if not curves:
        st.caption("There is no field to vary: all of them are text, or hold a single value.")
        return
    st.caption(_explained(answer, model))
    heights = [height for curve in curves for height in curve.heights]
    domain = _padded(min(heights), max(heights), share=answer.probabilities is not None)
    for first in range(0, len(curves), 3):
        for place, curve in zip(st.columns(3), curves[first : first + 3], strict=False):
            chart = _chart(curve, row[curve.column], domain, model)
            with place:
                st.markdown(f"**{literal(curve.column)}**")
                st.altair_chart(chart, width="stretch", alt=_words(curve, row[curve.column]))


def _explained(answer: Answer, model: Model) -> str:
    of = "most important to the model" if any(i.mean > 0 for i in model.importance) else "that move the answer most"
    what = literal(model.target) if answer.probabilities is None else f"probability of “{literal(shown_class(answer))}”"
    line = " Dashed: the threshold." if model.threshold is not None else ""
    return f"Each curve changes one field and leaves the others as they are: {what}, for the fields {of}.{line}"


def _padded(low: float, high: float, *, share: bool) -> list[float]:
    margin = 0.06 * (high - low) or (0.01 if share else abs(high) * 0.01 or 1.0)
    low, high = low - margin, high + margin
    return [max(low, 0.0), min(high, 1.0)] if share else [low, high]


def _chart(curve: Curve, held: Any, domain: list[float], model: Model) -> alt.LayerChart:
    shares = model.task == "classification"
    frame = pd.DataFrame({"x": curve.values, "y": curve.labels or curve.heights})
    frame["here"] = [value == held for value in curve.values]
    frame["shown"] = curve.labels or [percent(y) if shares else number(y) for y in curve.heights]
    scale = alt.Scale(domain=domain, zero=False, nice=False)
    form = (".1%" if domain[1] - domain[0] < 0.1 else ".0%") if shares else ",.6~g"
    axis = alt.Axis(format=form, tickCount=4, minExtent=38)
    tips = [alt.Tooltip("x:N", title=" "), alt.Tooltip("shown:N", title="answer")]
    y = alt.Y("y:N", title=None) if curve.labels else alt.Y("y:Q", title=None, scale=scale, axis=axis)
    height = HEIGHT + SLANTED * _slanted(curve)
    layers = _marks(curve, alt.Chart(frame, height=height).encode(y=y, tooltip=tips))
    if model.threshold is not None and domain[0] <= model.threshold <= domain[1] and not curve.labels:
        line = alt.Chart(pd.DataFrame({"y": [model.threshold]})).mark_rule(strokeDash=[4, 3], color=ink().warm)
        layers.append(line.encode(y="y:Q"))
    return alt.layer(*layers)


def _marks(curve: Curve, base: alt.Chart) -> list[alt.Chart]:
    """Draw a line along numbers and times, dots for categories; the value of the form is filled."""
    fill = alt.condition("datum.here", alt.value(ink().warm), alt.value(ink().accent))
    if curve.kind in ("category", "boolean"):
        axis = alt.Axis(labelAngle=-35 if _slanted(curve) else 0, labelLimit=90, labelOverlap=False)
        base = base.encode(x=alt.X("x:N", title=None, sort=None, axis=axis))
        return [base.mark_point(filled=True, size=90, opacity=1).encode(color=fill)]
    times = curve.kind in ("date", "datetime")
    scale = alt.Scale(type="utc") if times else alt.Scale(zero=False, nice=False)
    axis = alt.Axis(tickCount=4) if times else alt.Axis(tickCount=5, format=",.4~g")
    base = base.encode(x=alt.X("x:T" if times else "x:Q", title=None, scale=scale, axis=axis))
    line = base.mark_line(interpolate="linear") if not curve.labels else base.mark_point(filled=True)
    dot = base.transform_filter("datum.here").mark_point(filled=True, size=110, opacity=1, color=ink().warm)
    return [line, dot]


def _slanted(curve: Curve) -> bool:
    return curve.kind in ("category", "boolean") and sum(len(str(value)) for value in curve.values) >= 30


def _words(curve: Curve, held: Any) -> str:
    """Say for those who can't see the chart what it shows."""
    if curve.labels:
        return "; ".join(f"{value}: {label}" for value, label in zip(curve.values, curve.labels, strict=True))
    low = min(range(len(curve.heights)), key=curve.heights.__getitem__)
    high = max(range(len(curve.heights)), key=curve.heights.__getitem__)
    ends = f"lowest {curve.heights[low]:.4g} at {curve.values[low]}, highest {curve.heights[high]:.4g}"
    return f"Answer along {curve.column}: {ends} at {curve.values[high]}; the form holds {held}."
