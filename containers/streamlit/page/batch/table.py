"""A CSV file that somebody uploaded, under the one reading rule: only an empty field is missing."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

csv.field_size_limit(10_000_000)

SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
FOREIGN = {b"PK": "a spreadsheet or a zip archive", b"\x1f\x8b": "compressed", b"%PDF": "a PDF"}


class TableError(ValueError):
    """The file can't be read; the message says where and what to do."""


@dataclass(frozen=True)
class Table:
    """A file that was read through once: every line has as many fields as the header."""

    name: str
    content: bytes
    header: list[str]
    rows: int

    def lines(self) -> Iterator[tuple[int, list[str]]]:
        """Give the number of each line and its fields as text, the header left out."""
        records = _records(self.name, self.content)
        next(records)
        return records


def read(name: str, content: bytes) -> Table:
    """Read through an uploaded file.

    Parameters
    ----------
    name : of the file, for the messages.
    content : UTF-8 text, separated by commas, with a header line.

    Raises
    ------
    TableError
        It is empty, no text, not UTF-8, separated otherwise, or a line has more or fewer fields than the header.
    """
    for start, what in FOREIGN.items():
        if content.startswith(start):
            raise TableError(f"{name} is {what}. Save it as a CSV file, and upload that.")
    _check_encoding(name, content)
    records = _records(name, content)
    _, header = next(records, (1, []))
    _check_header(name, header)
    rows = 0
    for line, fields in records:
        rows += 1
        if len(fields) != len(header):
            raise TableError(
                f"{name}, line {line}: {len(fields)} fields where the header has {len(header)}. "
                "Quote the field that holds a comma."
            )
    if not rows:
        raise TableError(f"{name} has a header and no rows. It needs at least one.")
    return Table(name, content, header, rows)


def _records(name: str, content: bytes) -> Iterator[tuple[int, list[str]]]:
    """Give each record with the number of the line that it begins on; empty lines are no records."""
    text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline="")
    reader, line, width = csv.reader(text, strict=True), 1, 0
    try:
        for fields in reader:
            width = width or len(fields)
            if fields or width == 1:
                yield line, fields or [""]
            line = reader.line_num + 1
    except csv.Error as error:
        raise TableError(
            f"{name}, line {line}: {error}. A quote that opens a field must close it; inside a field, double it."
        ) from error


def _check_encoding(name: str, content: bytes) -> None:
    try:
        content.decode()
    except UnicodeDecodeError as error:
        likely = "UTF-16" if b"\0" in content[:1000] else "Windows-1252 or Latin-1"
        line = content.count(b"\n", 0, error.start) + 1
        raise TableError(
            f"{name}, line {line}: the text is not UTF-8, but probably {likely}. "
            "Save the file as UTF-8 (in a spreadsheet: 'CSV UTF-8')."
        ) from error


def _check_header(name: str, header: list[str]) -> None:
    if not header or header == [""]:
        raise TableError(f"{name} is empty. It needs a header line and at least one row.")
    for mark, words in SEPARATORS.items():
        if len(header) == 1 and mark in header[0]:
            raise TableError(f"{name}, line 1: the fields are separated by {words}. Save the file with commas.")
    twice = [column for column, count in Counter(header).items() if count > 1]
    if twice:
        raise TableError(f"{name}, line 1: column {twice[0]!r} is there twice. Give each column its own name.")
