"""The curves that the model carries, with its threshold marked."""

from dataclasses import dataclass

import altair as alt
import pandas as pd
import streamlit as st

from page.contract import Model
from page.ink import ink

SIDE = 260


@dataclass(frozen=True)
class Figure:
    """How a curve is drawn: titles, the line of a model that knows nothing (or all), dots or a line."""

    title: str
    x: str
    y: str
    reference: str = ""
    dots: bool = False


FIGURES = {
    "roc": Figure("ROC", "false positive rate", "true positive rate", "diagonal"),
    "precision_recall": Figure("Precision and recall", "recall", "precision"),
    "calibration": Figure("Calibration", "predicted probability", "observed share", "diagonal", dots=True),
    "predicted_against_true": Figure("Predicted against true", "predicted", "true", "diagonal", dots=True),
    "residuals": Figure("Residuals", "predicted", "true - predicted", "zero", dots=True),
}
SHARES = ("roc", "precision_recall", "calibration")


def show(model: Model) -> None:
    """Draw all curves that are there, three side by side."""
    known = [(name, points) for name, points in model.curves.items() if points and name in FIGURES]
    if not known:
        return
    for place, (name, points) in zip(st.columns(3), known, strict=False):
        figure = FIGURES[name]
        chart = _chart(name, figure, points, model)
        with place:
            st.markdown(f"#### {figure.title}")
            words = f"{figure.title}: {figure.y} over {figure.x}, {len(points)} points"
            st.altair_chart(chart, width="stretch", alt=words)
    if model.operating_point:
        st.caption("Orange: where the model's answers stand" + (", at its threshold." if model.threshold else "."))


def _chart(name: str, figure: Figure, points: list[tuple[float, float]], model: Model) -> alt.LayerChart:
    frame = pd.DataFrame(points, columns=["x", "y"])
    scale = alt.Scale(domain=[0, 1]) if name in SHARES else alt.Scale(zero=False)
    x, y = alt.X("x:Q", title=figure.x, scale=scale), alt.Y("y:Q", title=figure.y, scale=scale)
    frame["order"] = range(len(frame))
    base = alt.Chart(frame, height=SIDE).encode(x=x, y=y)
    layers = [*_reference(figure, frame)]
    if not figure.dots or name == "calibration":
        layers.append(base.mark_line().encode(order="order:Q"))
    if figure.dots:
        size = 50 if name == "calibration" else 18
        layers.append(base.mark_point(filled=True, size=size, opacity=0.7).encode(tooltip=["x:Q", "y:Q"]))
    return alt.layer(*layers, *_threshold(name, model))


def _reference(figure: Figure, frame: pd.DataFrame) -> list[alt.Chart]:
    dashed = {"strokeDash": [4, 3], "color": ink().faint, "opacity": 0.8}
    if figure.reference == "zero":
        return [alt.Chart(pd.DataFrame({"y": [0.0]})).mark_rule(**dashed).encode(y="y:Q")]
    if figure.reference != "diagonal":
        return []
    low, high = max(frame["x"].min(), frame["y"].min()), min(frame["x"].max(), frame["y"].max())
    return [alt.Chart(pd.DataFrame({"x": [low, high], "y": [low, high]})).mark_line(**dashed).encode(x="x:Q", y="y:Q")]


def _threshold(name: str, model: Model) -> list[alt.Chart]:
    """Mark the point that the model works at."""
    at, warm = model.operating_point or {}, ink().warm
    axes = {"roc": ("false_positive_rate", "true_positive_rate"), "precision_recall": ("recall", "precision")}
    if name in axes and all(key in at for key in axes[name]):
        here = pd.DataFrame({"x": [at[axes[name][0]]], "y": [at[axes[name][1]]]})
        mark = alt.Chart(here).mark_point(filled=True, size=130, opacity=1, color=warm)
        return [mark.encode(x="x:Q", y="y:Q", tooltip=["x:Q", "y:Q"])]
    if name == "calibration" and model.threshold is not None:
        line = alt.Chart(pd.DataFrame({"x": [model.threshold]})).mark_rule(color=warm, strokeDash=[4, 3])
        return [line.encode(x="x:Q")]
    return []
