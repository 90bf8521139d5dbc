"""What the model is asked by now, against what it was trained on: from the log of predictions in PostgreSQL."""

import altair as alt
import pandas as pd
import streamlit as st

from page.contract import Model
from page.database import Failed
from page.figures import count
from page.ink import ink
from page.listing import listing
from page.literal import literal
from page.store import database

DRIFT = 'SELECT "column", rows, psi FROM drift WHERE model_version = %s ORDER BY psi DESC NULLS LAST'
DAILY = """SELECT day, sum(predictions)::bigint, sum(with_warnings)::bigint FROM predictions_daily
WHERE model_version = %s GROUP BY day ORDER BY day DESC LIMIT 60"""
MOST_OPEN = 30
FEWEST_ROWS = 200  # drawn from the training data itself, 100 rows in ten bins pass 0.1 in 39 % of draws, 200 in 2 %


def band(psi: float, rows: int) -> str:
    """Name the usual bands of the population stability index."""
    if rows < FEWEST_ROWS:
        return "too few rows"
    if psi < 0.1:
        return "stable"
    return "moderate shift" if psi <= 0.25 else "another population"


def show(model: Model) -> None:
    """Draw drift by column and predictions by day of the model being served."""
    drift, daily = database().ask(DRIFT, [model.version]), database().ask(DAILY, [model.version])
    for result in (drift, daily):
        if isinstance(result, Failed):
            st.caption(f"No log of predictions: {literal(result.reason)}")
            return
    if not drift.rows:
        st.caption("No prediction of this model was logged yet.")
        return
    st.caption(
        "Population stability index of the rows of the last seven days (10,000 at most) against the training data: "
        "below 0.1 stable, to 0.25 a moderate shift, above it another population. "
        f"These are {count(max(rows for _, rows, _ in drift.rows), 'row')}; "
        f"of fewer than {FEWEST_ROWS} it is large by chance."
    )
    lines = [(name, f"{psi:.3f}", band(psi, rows)) for name, rows, psi in drift.rows if psi is not None]
    st.html(listing(("Column", "PSI", "Band"), lines[:MOST_OPEN], "Drift by column"))
    if lines[MOST_OPEN:]:
        with st.expander(f"The other {len(lines) - MOST_OPEN} columns"):
            st.html(listing(("Column", "PSI", "Band"), lines[MOST_OPEN:], "Drift by column"))
    st.markdown("#### Predictions by day")
    st.altair_chart(_days(daily.rows), width="stretch", alt=_words(daily.rows))


def _days(rows: list[tuple]) -> alt.LayerChart:
    frame = pd.DataFrame(rows, columns=["day", "all", "warned"])
    frame["day"] = frame["day"].astype(str)
    base = alt.Chart(frame, height=180).encode(
        x=alt.X("day:O", title=None, axis=alt.Axis(labelAngle=0, labelOverlap=True)),
        tooltip=["day:O", "all:Q", "warned:Q"],
    )
    everything = base.mark_bar().encode(y=alt.Y("all:Q", title="predictions"))
    return everything + base.mark_bar(color=ink().warm).encode(y="warned:Q")


def _words(rows: list[tuple]) -> str:
    days = "; ".join(f"{day}: {total:,}, {warned:,} with warnings" for day, total, warned in rows[:7])
    return f"Predictions by day, in orange those with warnings. {days}"
