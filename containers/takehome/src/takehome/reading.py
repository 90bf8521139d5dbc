"""The one reading rule: a CSV file means the same in pandas, in PostgreSQL and in the API.

Only an empty field is missing. A column has the narrowest of the types below that *every* field in it fits,
else it is text, so `None`, `NA`, `null`, `nan` and `001` stay what they are.
"""

import csv
import io
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from takehome.errors import TakehomeError

csv.field_size_limit(2**31 - 1)  # a long text is no error

_WHOLE = r"-?(0|[1-9][0-9]*)"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
# Narrowest first; the first that every distinct field matches, and casts to, is the column's type.
_TYPES: list[tuple[str, pa.DataType]] = [
    (r"^(true|false|True|False|TRUE|FALSE)$", pa.bool_()),
    (rf"^{_WHOLE}$", pa.int64()),
    (rf"^({_WHOLE}(\.[0-9]*)?|-?\.[0-9]+)([eE][+-]?[0-9]+)?$", pa.float64()),
    (rf"^{_DATE}$", pa.date32()),
    (rf"^{_DATE}{_TIME}$", pa.timestamp("us")),
    (rf"^{_DATE}{_TIME}(Z|[+-][0-9]{{2}}:?[0-9]{{2}})$", pa.timestamp("us", "UTC")),
]
_TEXT = pa.dictionary(pa.int32(), pa.string())


def read_csv(path: str | Path) -> pd.DataFrame:
    """Read a CSV file under the reading rule.

    Parameters
    ----------
    path : a `.csv` or `.csv.gz` file in UTF-8, comma-separated, with a header line.

    Returns
    -------
    (n, k) frame. Text is `str`; whole numbers are `int64`, with gaps `Int64`; decimal numbers are `float64`;
    true/false is `bool`, with gaps `boolean`; ISO dates and times are `datetime64[us]`.

    Raises
    ------
    TakehomeError
        The file is absent, empty, not UTF-8, or a line has more or fewer fields than the header.
    """
    return to_frame(read_arrow(path))


def read_arrow(path: str | Path) -> pa.Table:
    """Read a CSV file under the reading rule, or a Parquet file as it is, into an Arrow table.

    Raises
    ------
    TakehomeError
        As for `read_csv`.
    """
    path = Path(path)
    if not path.is_file():
        raise TakehomeError(f"{path}: there is no such file. Check the path; data files belong in volumes/static.")
    try:
        if path.suffix.lower() == ".parquet":
            return pa.parquet.read_table(path)
        fields = _read_fields(path, _header(path))
        return pa.table({name: _typed(fields[name]) for name in fields.column_names})
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError, EOFError, csv.Error) as error:
        raise TakehomeError(_explain(path, error)) from error


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Convert an Arrow table to the dtypes that `read_csv` promises."""
    return pd.DataFrame({name: _to_series(table[name]) for name in table.column_names})


def _text(path: Path) -> io.TextIOWrapper:
    raw = pa.input_stream(str(path), compression="detect")
    return io.TextIOWrapper(io.BufferedReader(raw), encoding="utf-8-sig", newline="")


def _header(path: Path) -> list[str]:
    with _text(path) as text:
        names = next(csv.reader(text), [])
    if not names:
        raise TakehomeError(f"{path}: the file is empty. It needs a header line and at least one row.")
    names = [name or f"Unnamed: {i}" for i, name in enumerate(names)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise TakehomeError(f"{path}, line 1: column {twice[0]!r} is there twice. Give each column its own name.")
    return names


def _read_fields(path: Path, names: list[str]) -> pa.Table:
    """Return every field as text, missing only where it is empty."""
    wrong: list[pa.csv.InvalidRow] = []

    def note(row: pa.csv.InvalidRow) -> str:
        wrong.append(row)
        return "error"

    source = _Counted(pa.input_stream(str(path), compression="detect"))
    try:
        table = pa.csv.read_csv(
            pa.PythonFile(source, mode="r"),
            read_options=pa.csv.ReadOptions(column_names=names, skip_rows_after_names=1, block_size=8 << 20),
            parse_options=pa.csv.ParseOptions(
                newlines_in_values=True, ignore_empty_lines=len(names) > 1, invalid_row_handler=note
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names, _TEXT), null_values=[""], strings_can_be_null=True
            ),
        )
    except pa.ArrowInvalid as error:
        if not wrong:
            raise
        found, line = wrong[0].actual_columns, _line_of(path, len(names))
        raise TakehomeError(
            f"{path}, line {line}: {found} fields where the header has {len(names)}. "
            "Quote the field that holds a comma, or save the file with commas as separators."
        ) from error
    if source.quotes % 2:
        raise TakehomeError(
            f"{path}, line {_unclosed(path)}: a quote opens there and is never closed. "
            "Close it; inside a field, double it."
        )
    return table


class _Counted(io.RawIOBase):
    """A file that counts the quotes read from it: Arrow takes all that follows an unclosed one for one field."""

    def __init__(self, raw: pa.NativeFile) -> None:
        super().__init__()
        self.quotes, self._raw = 0, raw

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        block: bytes = self._raw.read(size if size >= 0 else None)
        self.quotes += block.count(b'"')
        return block


def _unclosed(path: Path) -> int:
    line = 1
    with suppress(csv.Error), _text(path) as text:
        reader = csv.reader(text, strict=True)
        for _ in reader:
            line = reader.line_num + 1
    return line


def _line_of(path: Path, width: int) -> int:
    with _text(path) as text:
        reader = csv.reader(text)
        return next((reader.line_num for row in reader if row and len(row) != width), 0)


def _typed(fields: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give a column of text fields the type that all of them fit."""
    column = fields.unify_dictionaries()
    distinct = column.chunk(0).dictionary if column.num_chunks else pa.array([], pa.string())
    if not len(distinct):
        return pa.chunked_array([pa.nulls(len(column), pa.float64())])
    values = _cast(distinct)
    return pa.chunked_array([values.take(chunk.indices) for chunk in column.chunks])


def _cast(distinct: pa.Array) -> pa.Array:
    for pattern, kind in _TYPES:
        if pc.all(pc.match_substring_regex(distinct, pattern)).as_py():
            try:
                values = distinct.cast(kind)
            except pa.ArrowInvalid:  # 2024-02-30, or a number beyond 64 bits: only text keeps it whole
                return distinct
            finite = not pa.types.is_floating(kind) or pc.all(pc.is_finite(values)).as_py()
            return values if finite else distinct
    return distinct


def _to_series(column: pa.ChunkedArray) -> pd.Series:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    elif pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us", getattr(kind, "tz", None)))
    elif pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    elif pa.types.is_integer(kind) and kind != pa.uint64():
        column = column.cast(pa.int64())
    known = {pa.bool_(): pd.BooleanDtype(), pa.int64(): pd.Int64Dtype(), pa.uint64(): pd.UInt64Dtype()}
    nullable = known if column.null_count else {}
    return column.to_pandas(types_mapper=nullable.get)


def _explain(path: Path, error: Exception) -> str:
    if "utf" in str(error).lower():
        return f"{path}: the text is not UTF-8. Save the file as UTF-8 (in a spreadsheet: 'CSV UTF-8')."
    return f"{path}: the file can't be read ({str(error).splitlines()[0]}). Is it whole, and is it what its name says?"
