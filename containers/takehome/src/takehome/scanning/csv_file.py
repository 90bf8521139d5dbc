"""CSV files in parts: cut where a row ends, typed by what all rows of all files hold."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa

from takehome import reading
from takehome.errors import TakehomeError
from takehome.memory import available
from takehome.scanning import places
from takehome.scanning.fields import Fields
from takehome.scanning.scheme import Scheme, changed

BLOCK = 32 << 20  # bytes of text in a part
LONGEST_ROW = 256 << 20
_MEMORY = 2  # a dataframe's size over its text's, with room to spare
_MARK = b"\xef\xbb\xbf"
_QUOTE = ord('"')
_BESIDE_QUOTES = np.frombuffer(b',\n\r"', "uint8")
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
            yield from (block for _, block in rows_in_blocks(self.path, file))
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
            for start, block in rows_in_blocks(path, file):
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


def rows_in_blocks(path: str, file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield whole rows, without the header, and the position at which they start in the (unpacked) file.

    A row ends where a line does, unless an odd number of quotes came before.
    """
    stream = gzip.GzipFile(fileobj=file) if _packed(path) else file
    rest = stream.read(BLOCK)
    start = len(_MARK) if rest.startswith(_MARK) else 0
    rest, header = rest[start:], True
    while rest:
        more = stream.read(BLOCK)
        text, end = rest, _last_end(rest) if more else len(rest)
        if more and end:
            _check_quotes(path, text[:end])
        if end:
            first = _header_end(path, text) if header else 0
            if end > first:
                yield start + first, text[first:end]
            header = False
        elif len(text) > LONGEST_ROW:
            raise TakehomeError(
                f"{path}: no row ends in {LONGEST_ROW >> 20} MB after byte {start:,}. Is a quote never closed there?"
            )
        start, rest = start + end, text[end:] + more


def _last_end(text: bytes) -> int:
    """Return where the last whole row ends, 0 where none does."""
    quotes, stop = text.count(b'"'), len(text)
    while (at := text.rfind(b"\n", 0, stop)) >= 0:
        quotes -= text.count(b'"', at, stop)
        if quotes % 2 == 0:
            return at + 1
        stop = at
    return 0


def _header_end(path: str, text: bytes) -> int:
    """Return where the first row ends.

    Raises
    ------
    TakehomeError
        Lines end with a carriage return alone, where no row can be told from text.
    """
    end = _first_end(text)
    if len(list(csv.reader(io.StringIO(text[:end].decode(), newline="")))) > 1:
        raise TakehomeError(f"{path}: its lines end with a carriage return alone. Write it with line feeds.")
    return end


def _first_end(text: bytes) -> int:
    quotes = start = 0
    while (at := text.find(b"\n", start)) >= 0:
        quotes += text.count(b'"', start, at)
        start = at + 1
        if quotes % 2 == 0:
            return start
    return len(text)


def _check_quotes(path: str, text: bytes) -> None:
    """Refuse a text in which counting quotes would not tell where rows end."""
    if b'"' not in text:
        return
    signs = np.frombuffer(b"\n" + text + b"\n", "uint8")
    quotes = np.flatnonzero(signs == _QUOTE)
    odd = ~np.isin(signs[quotes[::2] - 1], _BESIDE_QUOTES), ~np.isin(signs[quotes[1::2] + 1], _BESIDE_QUOTES)
    if odd[0].any() or odd[1].any():
        raise TakehomeError(
            f"{path}: a field without quotes holds a quote, so that the file can't be cut into parts. "
            'Write it with each such field quoted and the quote doubled ("5"" pipe"), or as Parquet.'
        )


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
            stream = gzip.GzipFile(fileobj=file) if _packed(path) else file
            start = stream.read(1 << 20)
    except _ERRORS as error:
        raise TakehomeError(_explain(path, error)) from error
    text = start[: _first_end(start)].decode("utf-8-sig")
    return reading.named(next(csv.reader([text]), []), path)


def _explain(path: str, error: Exception) -> str:
    if "://" in path or isinstance(error, FileNotFoundError):
        return places.explain(path, error)
    return reading.explain(Path(path), error)


def _packed(path: str) -> bool:
    return path.lower().endswith(".gz")
