"""The page Batch: upload, score, look, download."""

import csv
import io
from itertools import islice

import altair as alt
import pandas as pd
import streamlit as st

from page.batch.result import MOST_NOTES, Result, begin
from page.batch.scoring import Scorer, StoppedError
from page.batch.table import Table, TableError, read
from page.batch.values import Rows
from page.contract import Schema, Served
from page.figures import count, is_number
from page.literal import literal
from page.watch import api

# A chunk of the file: what is asked at once, within the API's ten million bytes.
MOST_ROWS = 2000
MOST_CELLS = 100_000
MOST_BARS = 20
state = st.session_state


def show() -> None:
    """Draw the upload, and the file that was scored last."""
    served: Served | None = state.get("served")
    st.subheader("Score a CSV file", anchor=False)
    if served is None:
        st.caption("There is no model to score with yet.")
        return
    st.caption(
        "One line a row, commas between fields, UTF-8, with the model's columns in any order. Only an empty field is "
        "missing. Columns that the model doesn't know, such as an identifier, are carried through untouched."
    )
    st.download_button(
        "Example file", _example(served.schema), "example.csv", "text/csv", icon=":material/description:"
    )
    file = st.file_uploader("CSV file", type=["csv"])
    if file is not None and st.button("Score", type="primary", width="stretch"):
        state.scored = _score(file.name, file.getvalue(), served)
    if state.get("scored"):
        _show_result(state.scored)


def _example(schema: Schema) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(schema.properties), lineterminator="\n")
    writer.writeheader()
    writer.writerows(schema.examples)
    return text.getvalue().encode()


def _score(name: str, content: bytes, served: Served) -> Result | None:
    try:
        table = read(name, content)
        rows = Rows(table, served.schema)
    except TableError as error:
        st.error(literal(error), title="This file can't be scored", icon=":material/block:")
        return None
    labels = [item.label for item in served.model.classes or []]
    result = begin(table, served.model, labels)
    bar = st.progress(0.0, f"0 of {count(table.rows, 'row')}")
    try:
        for lines in _chunks(table, len(served.schema.properties)):
            result.add(lines, Scorer(api(), result.version).score([rows.row(fields) for _, fields in lines]))
            bar.progress(result.done / table.rows, f"{result.done:,} of {count(table.rows, 'row')}")
    except StoppedError as error:
        result.stopped = str(error)
    bar.empty()
    return result


def _chunks(table: Table, columns: int) -> list[list[tuple[int, list[str]]]]:
    lines, size = table.lines(), max(1, min(MOST_ROWS, MOST_CELLS // columns))
    return iter(lambda: list(islice(lines, size)), [])


def _show_result(result: Result) -> None:
    st.subheader(f"Answers for {literal(result.table.name)}", anchor=False)
    if result.stopped:
        words = f"Stopped after {count(result.done, 'row')} of {result.table.rows:,}: {result.stopped}"
        st.error(literal(words), title="Not all rows were answered", icon=":material/cloud_off:")
    with st.container(horizontal=True):
        st.metric("Answered", f"{result.answered:,}", border=True, width="content")
        st.metric("With warnings", f"{result.warned:,}", border=True, width="content")
        st.metric("Refused", f"{result.refused:,}", border=True, width="content")
    stem = result.table.name.removesuffix(".csv")
    data = result.text.getvalue()
    st.download_button("Download scored file", data, f"{stem}-scored.csv", "text/csv", icon=":material/download:")
    if result.formulas:
        st.caption(
            f"A spreadsheet would run text in {count(result.formulas, 'row')} of this file as a formula. Its own "
            "fields are written back as they came; the columns added here never hold a formula."
        )
    if result.notes:
        _show_notes(result)
    if result.predictions:
        st.markdown("#### Predictions")
        _chart(result)
    st.markdown("#### First rows")
    st.dataframe(pd.DataFrame(result.shown, columns=result.header).astype(str), hide_index=True, alt="First rows")


def _show_notes(result: Result) -> None:
    st.markdown("#### Errors and warnings")
    if len(result.notes) == MOST_NOTES:
        st.caption(f"The first {MOST_NOTES:,}; the file has them all.")
    notes = pd.DataFrame(result.notes)
    st.dataframe(notes, hide_index=True, alt=f"{count(len(notes), 'message')}: line, column, error or warning, words")


def _chart(result: Result) -> None:
    """Draw how often each answer was given: bars of classes, bins of numbers."""
    if all(map(is_number, result.predictions)):
        numbers = pd.DataFrame(result.predictions.items(), columns=["x", "n"])
        bins = pd.cut(numbers["x"], min(30, len(numbers)))
        counted = numbers.groupby(bins, observed=True)["n"].sum()
        frame = pd.DataFrame({"x": [b.left for b in counted.index], "x2": [b.right for b in counted.index]})
        frame["rows"] = counted.to_numpy()
        x = alt.X("x:Q", title=None, bin="binned")
        chart = alt.Chart(frame, height=200).mark_bar().encode(x=x, x2="x2:Q", y="rows:Q")
    else:
        common = result.predictions.most_common(MOST_BARS)
        frame = pd.DataFrame([(str(name), rows) for name, rows in common], columns=["answer", "rows"])
        y = alt.Y("answer:N", sort=None, title=None, axis=alt.Axis(labelLimit=180))
        x = alt.X("rows:Q", title="rows", axis=alt.Axis(tickCount=5))
        chart = alt.Chart(frame, height=alt.Step(28)).mark_bar().encode(x=x, y=y)
    words = ", ".join(f"{name}: {rows:,}" for name, rows in result.predictions.most_common(5))
    st.altair_chart(chart, width="stretch", alt=f"Rows by answer. {words}")
