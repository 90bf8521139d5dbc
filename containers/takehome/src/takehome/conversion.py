"""Rewriting a file as the reading rule wants it: UTF-8, with commas."""

import re
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from takehome.dialect import SEPARATORS, Dialect, find_encoding, find_separator
from takehome.errors import TakehomeError
from takehome.reading import read_fields

_DECIMAL_COMMA = r"^-?[0-9]+(,[0-9]+)?$"


def convert(path: str | Path, encoding: str | None = None) -> str:
    """Rewrite a CSV file in place; the file as it came stays beside it under the ending `.original`.

    Parameters
    ----------
    encoding : by Python's name; by default what is found.

    Returns
    -------
    A sentence that says what was found and done.

    Raises
    ------
    TakehomeError
        The file can't be read, follows the rule already, or its original is there already.
    """
    path = Path(path)
    original = path.with_name(f"{path.name}.original")
    if not path.is_file():
        raise TakehomeError(f"{path}: there is no such file. Name the one to convert.")
    if original.exists():
        raise TakehomeError(f"{original} is there already, and is left as it is. Move it away, then convert again.")
    try:
        found = encoding or find_encoding(path)
        dialect = Dialect(found, find_separator(path, found))
    except (LookupError, OSError, EOFError) as error:
        raise TakehomeError(f"{path} can't be read: {error}. Is it whole, and is the encoding's name right?") from error
    if dialect == Dialect():
        raise TakehomeError(f"{path}: it is UTF-8 with commas already. Nothing was changed.")
    fields = read_fields(path, dialect)
    points = fields if dialect.separator == "," else _with_points(fields)
    _replace(path, original, points)
    commas = "" if points is fields else " Decimal commas became points."
    words = f"{path}: from {dialect.encoding} with {SEPARATORS[dialect.separator]} to UTF-8 with commas, "
    return f"{words}{fields.num_rows:,} rows.{commas} The file as it came is {original.name}."


def _with_points(fields: pa.Table) -> pa.Table:
    """Return the table with points in each column of numbers that have decimal commas; itself, where there is none."""
    new = {name: _pointed(fields[name].unify_dictionaries()) for name in fields.column_names}
    return pa.table(new) if any(new[name] is not None for name in new) and not _same(fields, new) else fields


def _same(fields: pa.Table, new: dict[str, pa.ChunkedArray]) -> bool:
    return all(new[name].equals(fields[name].unify_dictionaries()) for name in new)


def _pointed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    distinct = column.chunk(0).dictionary if column.num_chunks else pa.array([], pa.string())
    if not len(distinct) or not pc.all(pc.match_substring_regex(distinct, _DECIMAL_COMMA)).as_py():
        return column
    points = pc.replace_substring(distinct, ",", ".")
    return pa.chunked_array([pa.DictionaryArray.from_arrays(chunk.indices, points) for chunk in column.chunks])


def _replace(path: Path, original: Path, table: pa.Table) -> None:
    new = path.with_name(f".{path.name}.new")
    packed = "gzip" if re.search(r"\.gz$", path.name, re.IGNORECASE) else None
    try:
        with pa.output_stream(str(new), compression=packed) as sink:
            pa.csv.write_csv(pa.table({n: table[n].cast(pa.string()) for n in table.column_names}), sink)
        path.rename(original)  # no hard link: folders that Docker shares may not know them, nor allow them to strangers
        new.rename(path)
    except OSError as error:
        raise TakehomeError(f"{path} can't be replaced: {error.strerror}. In Docker: make convert DATA=…") from error
    finally:
        with suppress(OSError):  # where nothing can be written, nothing can be removed
            new.unlink(missing_ok=True)
