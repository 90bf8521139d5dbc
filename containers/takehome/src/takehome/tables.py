"""A table in PostgreSQL, written from Arrow and read into Arrow with COPY."""

import io
import os
import threading
from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from psycopg2 import extensions, sql
from psycopg2.errors import CharacterNotInRepertoire

from takehome.errors import TakehomeError

LONGEST_NAME = 63  # bytes: PostgreSQL cuts longer ones in silence
_ROWS_A_BATCH = 50_000
_BLOCK = 16 << 20  # the longest row that can be read back
_KINDS = {
    16: pa.bool_(),
    20: pa.int64(),
    21: pa.int64(),
    23: pa.int64(),
    700: pa.float64(),
    701: pa.float64(),
    1700: pa.float64(),
    1082: pa.date32(),
    1114: pa.timestamp("us"),
    1184: pa.timestamp("us", "UTC"),
}


def column_types(table: pa.Table) -> dict[str, str]:
    """Return the PostgreSQL type of each column.

    Raises
    ------
    TakehomeError
        A column has a name or a type that PostgreSQL can't hold.
    """
    for name in table.column_names:
        if not 0 < len(name.encode()) <= LONGEST_NAME:
            raise TakehomeError(
                f"column {name!r}: its name has {len(name.encode())} bytes, PostgreSQL allows 1 to {LONGEST_NAME}. "
                "Rename it in the file."
            )
    return {field.name: _sql_type(field) for field in table.schema}


def write(cursor: extensions.cursor, target: sql.Composable, table: pa.Table, progress: Callable[[int], None]) -> None:
    """Copy all rows into a table that this transaction has made or emptied.

    Parameters
    ----------
    target : the table's quoted name.
    progress : called with the number of rows of each batch.

    Raises
    ------
    TakehomeError
        A value that PostgreSQL can't hold, named by row and column.
    """
    command = sql.SQL("COPY {} FROM STDIN (FORMAT csv, FREEZE, ENCODING 'UTF8')").format(target)
    try:
        cursor.copy_expert(command, _Chunks(_csv(_prepared(table), progress)))
    except CharacterNotInRepertoire as error:
        raise TakehomeError(_name_nul(table)) from error


def read(cursor: extensions.cursor, target: sql.Composable, where: sql.Composable | None = None) -> pa.Table:
    """Return all rows, or those of a condition, in the order in which they lie in the table; NULL is null, '' is ''."""
    cursor.execute("SET LOCAL synchronize_seqscans = off; SET LOCAL max_parallel_workers_per_gather = 0")
    cursor.execute("SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'")
    kinds = types(cursor, target)
    query = sql.SQL("SELECT * FROM {} WHERE {}").format(target, where or sql.SQL("true"))
    command = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv, HEADER, ENCODING 'UTF8')").format(query)
    return _while_copying(cursor, command, lambda stream: _parse(stream, kinds))


def types(cursor: extensions.cursor, target: sql.Composable) -> dict[str, pa.DataType]:
    """Return the type that each column is read as."""
    cursor.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(target))
    return {column.name: _KINDS.get(column.type_code, pa.string()) for column in cursor.description or ()}


def _sql_type(field: pa.Field) -> str:
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if pa.types.is_decimal(kind):
        return f"numeric({kind.precision},{max(kind.scale, 0)})"
    if pa.types.is_timestamp(kind):
        return "timestamp with time zone" if kind.tz else "timestamp without time zone"
    if kind == pa.uint64():
        return "numeric(20,0)"
    known: list[tuple[Callable[[pa.DataType], bool], str]] = [
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_integer, "bigint"),
        (pa.types.is_floating, "double precision"),
        (pa.types.is_date, "date"),
        (_is_text, "text"),
    ]
    for fits, name in known:
        if fits(kind):
            return name
    raise TakehomeError(
        f"column {field.name!r}: type {field.type} has no counterpart in PostgreSQL here. "
        "Write it as text, a number, a date or true/false."
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_null(kind)
    )


def _prepared(table: pa.Table) -> pa.Table:
    """Cast what the CSV writer doesn't take, or would write in a form that PostgreSQL reads otherwise."""
    kinds = [_csv_type(field.type) for field in table.schema]
    try:
        return pa.table([c.cast(kind) for c, kind in zip(table.columns, kinds, strict=True)], names=table.column_names)
    except pa.ArrowInvalid as error:
        raise TakehomeError(f"a value would lose digits in PostgreSQL: {error}. Round it in the file.") from error


def _csv_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz and "UTC")
    if pa.types.is_dictionary(kind) and not _is_text(kind.value_type):
        return _csv_type(kind.value_type)
    other = {pa.float16(): pa.float64(), pa.date64(): pa.date32(), pa.string_view(): pa.string()}
    return other.get(kind, kind)


def _csv(table: pa.Table, progress: Callable[[int], None]) -> Iterator[bytes]:
    # Every valid value is quoted: that alone tells an empty text from a missing one.
    options = pa.csv.WriteOptions(include_header=False, quoting_style="all_valid")
    for batch in table.to_batches(max_chunksize=_ROWS_A_BATCH):
        columns = [c.cast(c.type.value_type) if pa.types.is_dictionary(c.type) else c for c in batch.columns]
        sink = io.BytesIO()
        pa.csv.write_csv(pa.record_batch(columns, names=batch.schema.names), sink, options)
        yield sink.getvalue()
        progress(batch.num_rows)


class _Chunks:
    """What psycopg2 takes for a file: each `read` gives the next chunk, whatever size was asked for."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def read(self, _size: int = -1, /) -> bytes:
        return next(self._chunks, b"")

    readline = read


def _while_copying(
    cursor: extensions.cursor, command: sql.Composable, parse: Callable[[io.BufferedReader], pa.Table]
) -> pa.Table:
    """Parse the output of COPY while it comes, so that it is never held whole."""
    read_end, write_end = os.pipe()
    failed: list[Exception] = []

    def copy() -> None:
        try:
            with os.fdopen(write_end, "wb", buffering=1 << 20) as sink:
                cursor.copy_expert(command, sink)
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=copy, daemon=True)
    thread.start()
    try:
        with os.fdopen(read_end, "rb") as stream:
            outcome: pa.Table | pa.ArrowInvalid = parse(stream)
    except pa.ArrowInvalid as error:
        outcome = error
    thread.join()
    if failed and not isinstance(failed[0], BrokenPipeError):
        raise failed[0]  # also where the half that came could be parsed
    if isinstance(outcome, pa.ArrowInvalid):
        raise outcome
    return outcome


def _parse(stream: io.BufferedReader, kinds: dict[str, pa.DataType]) -> pa.Table:
    return pa.csv.read_csv(
        stream,
        read_options=pa.csv.ReadOptions(block_size=_BLOCK),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=pa.csv.ConvertOptions(
            column_types=kinds,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        ),
    )


def _name_nul(table: pa.Table) -> str:
    for name in table.column_names:
        column = table[name].cast(pa.string()) if pa.types.is_dictionary(table[name].type) else table[name]
        if not _is_text(column.type):
            continue
        row = pc.index(pc.match_substring(column, "\0"), True).as_py()
        if row >= 0:
            return (
                f"row {row + 1}, column {name!r}: a NUL character, which PostgreSQL can't hold. Remove it in the file."
            )
    return "a NUL character, which PostgreSQL can't hold. Remove it in the file."
