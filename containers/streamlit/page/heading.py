"""What is being served, in two lines, and how old it is."""

from typing import Any

import streamlit as st

from page.contract import Model
from page.figures import age, figure, is_number
from page.literal import literal


def show(model: Model) -> None:
    """Draw version, age and metrics of the model."""
    facts = [f"Predicts {literal(model.target)}", f"version {literal(model.version)}", f"saved {age(model.created)}"]
    figures = [f"{literal(name.replace('_', ' '))} {figure(value)}" for name, value in scalars(model.metrics)]
    st.caption("  \n".join(" · ".join(line) for line in (facts, figures)))


def scalars(metrics: dict[str, Any]) -> list[tuple[str, float]]:
    """Keep the metrics that are single numbers."""
    return [(name, value) for name, value in metrics.items() if is_number(value)]
