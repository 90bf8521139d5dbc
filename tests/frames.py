"""Frames as nobody would think of them."""

import datetime as dt

import pandas as pd
from hypothesis import strategies as st

ODD_TEXTS = [
    "None",
    "NA",
    "null",
    "nan",
    "NULL",
    "N/A",
    "-",
    "001",
    "1e5x",
    "ünï 🦉",
    'a "b"',
    "x\ny",
    "x\r\ny",
    "\\N",
    "\\.",
    " ",
]
HEADER = "texts,codes,whole,gaps,big,decimal,yes,maybe,day,moment,zoned,empty\n"
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8)
COLUMNS = st.one_of(
    st.just(TEXTS),
    st.just(st.sampled_from(ODD_TEXTS)),
    st.just(st.integers(-(2**63), 2**63 - 1)),
    st.just(st.floats(allow_nan=False, allow_infinity=False)),
    st.just(st.booleans()),
    st.just(st.dates(min_value=dt.date(1, 1, 1))),
    st.just(st.datetimes(min_value=dt.datetime(1, 1, 1))),
)


@st.composite
def frames(draw: st.DrawFn, columns: int = 4, rows: int = 6) -> pd.DataFrame:
    """Draw a frame of up to so many columns and rows, with gaps."""
    names = draw(st.lists(TEXTS.map(lambda s: s[:4]), min_size=1, max_size=columns, unique=True))
    rows = draw(st.integers(1, rows))
    cells = {}
    for name in names:
        cell = draw(COLUMNS)
        cells[name] = draw(
            st.lists(st.one_of(st.none(), cell) if draw(st.booleans()) else cell, min_size=rows, max_size=rows)
        )
    return pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in cells.items()})


def odd_file(ending: str = "\n") -> str:
    """Return a CSV text in which every trap of the reading rule is set."""
    rows = []
    for i, text in enumerate(ODD_TEXTS):
        quoted = '"' + text.replace('"', '""') + '"'
        whole, big, gap = i - 3, 2**53 + 1 + i, "" if i % 3 else i
        maybe = "" if i % 2 else "true"
        rows.append(
            f"{quoted},00{i},{whole},{gap},{big},{i / 7!r},{'true' if i % 2 else 'false'},{maybe},"
            f"2024-02-{i + 1:02d},2024-02-28 23:59:{i:02d}.000001,2024-02-28T23:59:{i:02d}+02:00,"
        )
    rows.append('"",000,0,,0,0.5,true,,,,,')
    rows.append(",000,0,,0,0.5,true,,,,,")
    return HEADER.replace("\n", ending) + ending.join(rows) + ending
