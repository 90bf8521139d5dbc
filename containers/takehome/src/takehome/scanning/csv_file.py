"""CSV files in parts: cut where a row ends, typed by what all rows of all files hold."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa

from takehome import reading
from takehome.errors import TakehomeError
from takehome.memory import available
from takehome.scanning import places
from takehome.scanning.cuts import cut, end_of_first
from takehome.scanning.fields import Fields
from takehome.scanning.scheme import Scheme, changed

_MEMORY = 2  # a dataframe's size over its text's, with room to spare
_ERRORS = (pa.ArrowInvalid, OSError, UnicodeDecodeError, EOFError, csv.Error, zlib.error)


@dataclass(frozen=True)
class CsvPart:
    """Whole rows of a CSV file: the bytes from `start` to `stop`; of a packed file all rows."""

    path: str
    names: tuple[str, ...]
    start: int
    stop: int | None

    def read(self, scheme: Scheme, columns: list[str]) -> pa.Table:
        """Return the rows with the types of the whole scan."""
        with places.opened(self.path) as file:
            try:
                parts = [self._typed(block, scheme, columns) for block in self._blocks(file)]
            except _ERRORS as error:
                raise TakehomeError(changed(self.path, str(error).splitlines()[0])) from error
        return pa.concat_tables(parts)

    def _blocks(self, file: IO[bytes]) -> Iterator[bytes]:
        if self.stop is None:
            yield from (block for _, block in cut(self.path, _unpacked(self.path, file)))
            return
        file.seek(self.start)
        block = file.read(self.stop - self.start)
        if len(block) < self.stop - self.start:
            raise EOFError("it is shorter")
        yield block

    def _typed(self, block: bytes, scheme: Scheme, columns: list[str]) -> pa.Table:
        fields = _parse(block, list(self.names), self.path, 1)
        return pa.table({name: reading.typed(fields[name], scheme.types[name]) for name in columns})


@dataclass(frozen=True)
class CsvSurvey:
    """What one pass over a file tells: its columns, what fits them, and its parts."""

    path: str
    fields: dict[str, Fields]
    parts: list[CsvPart]


def survey(path: str) -> CsvSurvey:
    """Read a file once, in bounded memory.

    Raises
    ------
    TakehomeError
        As for `read_csv`; or a quote inside a field without quotes keeps it from being cut.
    """
    names = _names(path)
    known, parts, line = dict.fromkeys(names, Fields()), [], 2
    with places.opened(path) as file:
        try:
            for start, block in cut(path, _unpacked(path, file)):
                fields = _parse(block, names, path, line)
                known = {name: known[name].take(fields[name]) for name in names}
                parts.append(CsvPart(path, tuple(names), start, start + len(block)))
                line += block.count(b"\n")
        except _ERRORS as error:
            raise TakehomeError(_explain(path, error)) from error
    if _packed(path) and parts:
        _check_fits(path, parts[-1].stop or 0)
        parts = [CsvPart(path, tuple(names), 0, None)]
    return CsvSurvey(path, known, parts)


def _parse(block: bytes, names: list[str], path: str, line: int) -> pa.Table:
    """Return the fields of whole rows as text; `line` is the number of the first."""
    wrong: list[pa.csv.InvalidRow] = []

    def note(row: pa.csv.InvalidRow) -> str:
        wrong.append(row)
        return "error"

    if block.count(b'"') % 2:
        raise TakehomeError(f"{path}: a quote opens after line {line} and is never closed. Close it, or double it.")
    try:
        return reading.parse_fields(pa.BufferReader(block), names, note, header=False)
    except pa.ArrowInvalid as error:
        if not block.strip():  # empty lines alone
            return pa.table({name: pa.array([], pa.dictionary(pa.int32(), pa.string())) for name in names})
        if not wrong:
            raise
        rows = csv.reader(io.StringIO(block.decode(), newline=""))
        at = line - 1 + next((rows.line_num for row in rows if row and len(row) != len(names)), 0)
        raise TakehomeError(
            f"{path}, line {at}: {wrong[0].actual_columns} fields where the header has {len(names)}. "
            "Quote the field that holds a comma; inside quotes it separates nothing."
        ) from error


def _check_fits(path: str, size: int) -> None:
    if size * _MEMORY > available():
        raise TakehomeError(
            f"{path}: unpacked it has {size / 1e9:.1f} GB, and a packed file can't be read in parts. "
            "Unpack it, pack it in several files, or write Parquet."
        )


def _names(path: str) -> list[str]:
    try:
        if "://" not in path:
            return reading.header(Path(path))
        with places.opened(path) as file:
            start = _unpacked(path, file).read(1 << 20)
    except _ERRORS as error:
        raise TakehomeError(_explain(path, error)) from error
    text = start[: end_of_first(start)].decode("utf-8-sig")
    return reading.named(next(csv.reader([text]), []), path)


def _explain(path: str, error: Exception) -> str:
    if "://" in path or isinstance(error, FileNotFoundError):
        return places.explain(path, error)
    return reading.explain(Path(path), error)


def _unpacked(path: str, file: IO[bytes]) -> IO[bytes]:
    return gzip.GzipFile(fileobj=file) if _packed(path) else file  # type: ignore[return-value]


def _packed(path: str) -> bool:
    return path.lower().endswith(".gz")
