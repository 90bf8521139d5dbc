"""The page Data: the tables in PostgreSQL, and a box for SQL that may only read."""

import csv
import io
from typing import Any

import pandas as pd
import streamlit as st

from page.data import tables
from page.database import SECONDS, Failed, Found, single
from page.figures import count
from page.listing import listing
from page.literal import literal
from page.store import database

MOST_ROWS = 1000
state = st.session_state


def show() -> None:
    """Draw the tables, one of them opened, and the box."""
    st.subheader("Tables in PostgreSQL", anchor=False)
    known = tables.known()
    if isinstance(known, Failed):
        st.info(literal(known.reason), title="The database can't be asked", icon=":material/database_off:")
        return
    if not known:
        st.caption("There is no table yet. Files in volumes/static become tables by `make load`, or at the next start.")
    else:
        lines = [(table.name, table.words, table.columns) for table in known]
        st.html(listing(("Table", "Rows", "Columns"), lines, "Tables"))
        chosen = st.selectbox("Look into", [table.name for table in known], persist_state="session", key="table")
        _preview(next(table for table in known if table.name == chosen))
    _box(known)


def _preview(table: tables.Table) -> None:
    found = tables.preview(table)
    if isinstance(found, Failed):
        st.caption(literal(found.reason))
        return
    st.dataframe(frame(found), hide_index=True, alt=f"The first {len(found.rows)} rows of {table.name}")


def _box(known: list[tables.Table]) -> None:
    st.subheader("Ask in SQL", anchor=False)
    st.caption(f"Read only; the first {MOST_ROWS:,} rows of the answer, {SECONDS} seconds at most.")
    start = f"SELECT count(*) FROM {tables.quoted(known[0])}" if known else "SELECT version()"  # nosec B608
    state.setdefault("sql", start)
    query = st.text_area("SQL", key="sql", persist_state="session")
    if st.button("Run", type="primary"):
        statement = single(query)
        several = Failed("One statement at a time: another one follows after the semicolon.")
        state.found = several if statement is None else database().ask(statement, most=MOST_ROWS)
    match state.get("found"):
        case Failed(reason=reason):
            st.error(literal(reason), title="PostgreSQL did not answer that", icon=":material/block:")
        case Found() as found:
            _answer(found)


def _answer(found: Found) -> None:
    words = f"The first {len(found.rows):,} rows; there are more." if found.more else count(len(found.rows), "row")
    st.caption(words)
    if found.columns:
        st.dataframe(frame(found), hide_index=True, alt=f"Answer: {words}")
        st.download_button("Download answer", as_csv(found), "answer.csv", "text/csv", icon=":material/download:")


def frame(found: Found) -> pd.DataFrame:
    """Give the rows as a dataframe for the eye: what is no number becomes text, columns of one name are told apart."""
    names: list[str] = []
    for name in found.columns:
        names.append(f"{name} ({len(names) + 1})" if name in names else name)
    columns = zip(*found.rows, strict=True) if found.rows else [()] * len(names)
    return pd.DataFrame({name: _column(values) for name, values in zip(names, columns, strict=True)})


def _column(values: Any) -> pd.Series:
    if all(value is None or (isinstance(value, bool | int | float) and abs(value) < 2**53) for value in values):
        return pd.Series(list(values), dtype=object).infer_objects()
    return pd.Series([None if value is None else str(value) for value in values], dtype="str")


def as_csv(found: Found) -> bytes:
    """Give the rows as CSV in which only an empty field is missing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(found.columns)
    writer.writerows(found.rows)
    return text.getvalue().encode()
