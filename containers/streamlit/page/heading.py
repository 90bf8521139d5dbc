"""What is being served, in one line, and how old it is."""

import streamlit as st

from page.contract import Model
from page.figures import age, figure, metric
from page.literal import literal


def show(model: Model) -> None:
    """Draw target, score, version and age of the model."""
    facts = [f"Predicts {literal(model.target)}", f"version {literal(model.version)}", f"saved {age(model.created)}"]
    score = model.importance_score
    if score in model.metrics:
        facts.insert(1, f"{literal(metric(score))} {figure(model.metrics[score])}")
    st.caption(" · ".join(facts))
