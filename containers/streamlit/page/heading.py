"""What is being served, in two lines, and how old it is."""

from datetime import UTC, datetime
from typing import Any

import streamlit as st

from page.contract import Model
from page.literal import literal

STEPS = ((86400, "day"), (3600, "hour"), (60, "minute"))


def show(model: Model) -> None:
    """Draw version, age and metrics of the model."""
    facts = [f"Predicts {literal(model.target)}", f"version {literal(model.version)}", f"saved {age(model.created)}"]
    figures = [f"{literal(name.replace('_', ' '))} {figure(value)}" for name, value in scalars(model.metrics)]
    st.caption("  \n".join(" · ".join(line) for line in (facts, figures)))


def age(created: datetime) -> str:
    """Say how long ago that was; a time without a zone is UTC."""
    moment = created if created.tzinfo else created.replace(tzinfo=UTC)
    seconds = (datetime.now(UTC) - moment).total_seconds()
    for size, word in STEPS:
        count = int(seconds // size)
        if count > 0:
            return f"{count} {word}{'s' if count > 1 else ''} ago"
    return "just now"


def scalars(metrics: dict[str, Any]) -> list[tuple[str, float]]:
    """Keep the metrics that are single numbers."""
    return [(k, v) for k, v in metrics.items() if isinstance(v, int | float) and not isinstance(v, bool)]


def figure(value: float) -> str:
    """Give three decimals for shares, and no more digits than matter for the rest."""
    return f"{value:.3f}" if abs(value) < 10 and not isinstance(value, int) else f"{value:,.6g}"
