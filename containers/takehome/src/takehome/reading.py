"""The one reading rule: a CSV file means the same in pandas, in PostgreSQL and in the API.

Only an empty field is missing. A column has the narrowest of the types below that *every* field in it fits,
else it is text, so `None`, `NA`, `null`, `nan` and `001` stay what they are.
"""

import csv
import io
import shlex
from collections import Counter
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from takehome.dialect import SEPARATORS, Dialect, find_encoding, find_separator
from takehome.errors import TakehomeError
from takehome.memory import check_fits

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
_RULE = Dialect()
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
        The file is absent, empty, cut, too large for memory, not UTF-8 (the message names the encoding that it seems
        to have), not separated by commas, or a line has more or fewer fields than the header.
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
        raise TakehomeError(f"{path}: there is no such file. {_hint(path)}")
    check_fits(path)
    if path.suffix.lower() == ".parquet":
        try:
            return pa.parquet.read_table(path)
        except (pa.ArrowInvalid, OSError) as error:
            raise TakehomeError(_explain(path, error)) from error
    fields = read_fields(path)
    return pa.table({name: _typed(fields[name]) for name in fields.column_names})


def read_fields(path: Path, dialect: Dialect = _RULE) -> pa.Table:
    """Return every field of a CSV file as text, missing only where it is empty.

    Raises
    ------
    TakehomeError
        As for `read_csv`.
    """
    try:
        return _read_fields(path, _header(path, dialect), dialect)
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError, EOFError, csv.Error) as error:
        raise TakehomeError(_explain(path, error)) from error


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Convert an Arrow table to the dtypes that `read_csv` promises."""
    return pd.DataFrame({name: _to_series(table[name]) for name in table.column_names})


def _bytes(path: Path) -> pa.NativeFile:
    return pa.input_stream(str(path), compression="gzip" if path.suffix.lower() == ".gz" else None)


def _text(path: Path, dialect: Dialect) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedReader(_bytes(path)), encoding=dialect.encoding, newline="")


def _header(path: Path, dialect: Dialect) -> list[str]:
    with _text(path, dialect) as text:
        names = next(csv.reader(text, delimiter=dialect.separator), [])
    if any("\0" in name for name in names):
        raise TakehomeError(_no_utf8(path))
    if len(names) == 1:
        _check_separator(path, dialect)
    if not names:
        raise TakehomeError(f"{path}: the file is empty. It needs a header line and at least one row.")
    names = [name or f"Unnamed: {i}" for i, name in enumerate(names)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise TakehomeError(f"{path}, line 1: column {twice[0]!r} is there twice. Give each column its own name.")
    return names


def _check_separator(path: Path, dialect: Dialect) -> None:
    found = find_separator(path, dialect.encoding)
    if found not in (",", dialect.separator):
        raise TakehomeError(
            f"{path}, line 1: the fields are separated by {SEPARATORS[found]}, not by commas. "
            f"Rewrite it: make convert DATA={_shown(path)}"
        )


def _read_fields(path: Path, names: list[str], dialect: Dialect) -> pa.Table:
    wrong: list[pa.csv.InvalidRow] = []

    def note(row: pa.csv.InvalidRow) -> str:
        wrong.append(row)
        return "error"

    source = _Counted(_bytes(path) if dialect.encoding == _RULE.encoding else _transcoded(path, dialect))
    try:
        table = pa.csv.read_csv(
            pa.PythonFile(source, mode="r"),
            read_options=pa.csv.ReadOptions(column_names=names, skip_rows_after_names=1, block_size=8 << 20),
            parse_options=pa.csv.ParseOptions(
                newlines_in_values=True,
                ignore_empty_lines=len(names) > 1,
                invalid_row_handler=note,
                delimiter=dialect.separator,
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names, _TEXT), null_values=[""], strings_can_be_null=True
            ),
        )
    except pa.ArrowInvalid as error:
        if not wrong and _ends_after_header(path, dialect):
            return pa.table({name: pa.array([], _TEXT) for name in names})
        if not wrong:
            raise
        _check_separator(path, dialect)
        found, line = wrong[0].actual_columns, _line_of(path, len(names), dialect)
        raise TakehomeError(
            f"{path}, line {line}: {found} fields where the header has {len(names)}. "
            "Quote the field that holds a comma; inside quotes it separates nothing."
        ) from error
    if source.quotes % 2:
        raise TakehomeError(
            f"{path}, line {_unclosed(path, dialect)}: a quote opens there and is never closed. "
            "Close it; inside a field, double it."
        )
    return table


def _transcoded(path: Path, dialect: Dialect) -> pa.NativeFile:
    return pa.PythonFile(io.BytesIO(_text(path, dialect).read().encode()), mode="r")


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


def _ends_after_header(path: Path, dialect: Dialect) -> bool:
    with _text(path, dialect) as text:
        reader = csv.reader(text, delimiter=dialect.separator)
        return next(reader, None) is not None and next(reader, None) is None


def _unclosed(path: Path, dialect: Dialect) -> int:
    line = 1
    with suppress(csv.Error), _text(path, dialect) as text:
        reader = csv.reader(text, strict=True, delimiter=dialect.separator)
        for _ in reader:
            line = reader.line_num + 1
    return line


def _line_of(path: Path, width: int, dialect: Dialect) -> int:
    with _text(path, dialect) as text:
        reader = csv.reader(text, delimiter=dialect.separator)
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
    with path.open("rb") as file:
        start = file.read(4)
    packed = path.suffix.lower() == ".gz"
    if start[:2] == b"\x1f\x8b" and not packed:
        return f"{path}: the file is packed with gzip. Give it the ending .csv.gz"
    if packed and (start[:2] != b"\x1f\x8b" or not isinstance(error, UnicodeDecodeError | pa.ArrowInvalid)):
        return f"{path}: the file is no whole gzip file ({str(error).splitlines()[0]}). Copy or download it again."
    if start == b"PK\x03\x04":
        return (
            f"{path}: the file is a workbook or a zip archive. Save its sheet as CSV (in a spreadsheet: 'CSV UTF-8')."
        )
    if "utf" in str(error).lower():
        return _no_utf8(path)
    return f"{path}: the file can't be read ({str(error).splitlines()[0]}). Is it whole, and is it what its name says?"


def _no_utf8(path: Path) -> str:
    return (
        f"{path}: the text is not UTF-8; it looks like {find_encoding(path)}. "
        f"Rewrite it: make convert DATA={_shown(path)}"
    )


def _shown(path: Path) -> str:
    """Return the path that a person types on the host."""
    return shlex.quote(f"volumes/static/{path.name}" if path.parent.name == "static" else str(path))


def _hint(path: Path) -> str:
    beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    near = get_close_matches(path.name, beside, 1)
    return f"Did you mean {path.parent / near[0]}?" if near else "Check the path; data files belong in volumes/static."
