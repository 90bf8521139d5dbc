"""Cutting CSV text where rows end, a block at a time."""

import csv
import io
from collections.abc import Iterator
from typing import IO

import numpy as np

from takehome.errors import TakehomeError

BLOCK = 32 << 20  # bytes of text read at a time
LONGEST_ROW = 256 << 20
_MARK = b"\xef\xbb\xbf"
_QUOTE = ord('"')
_BESIDE_QUOTES = np.frombuffer(b',\n\r"', "uint8")


def cut(path: str, file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield whole rows, without the header, and the position at which they start.

    A row ends where a line does, unless an odd number of quotes came before.

    Raises
    ------
    TakehomeError
        A quote stands where it makes that wrong, no row ends in `LONGEST_ROW` bytes, or lines end unlike others do.
    """
    rest = file.read(BLOCK)
    start = len(_MARK) if rest.startswith(_MARK) else 0
    rest, header = rest[start:], True
    while rest:
        more = file.read(BLOCK)
        text, end = rest, _last_end(rest) if more else len(rest)
        if more and end:
            _check_quotes(path, text[:end])
        if end:
            first = _end_of_header(path, text) if header else 0
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


def _end_of_header(path: str, text: bytes) -> int:
    """Return where the first row ends.

    Raises
    ------
    TakehomeError
        Lines end with a carriage return alone, where no row can be told from text.
    """
    end = end_of_first(text)
    if len(list(csv.reader(io.StringIO(text[:end].decode(), newline="")))) > 1:
        raise TakehomeError(f"{path}: its lines end with a carriage return alone. Write it with line feeds.")
    return end


def end_of_first(text: bytes) -> int:
    """Return where the first row ends."""
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
