"""What a text file is written in that does not follow the reading rule: found, so that an error can say it."""

import codecs
import csv
import gzip
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from charset_normalizer import from_bytes

from takehome.errors import TakehomeError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_SAMPLE = 1 << 20  # bytes
_LINES = 50
_MARKS = [
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
# One of each script's usual; a longer list would find exotic ones in short texts.
_USUAL = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "shift_jis", "gb18030", "big5", "euc_kr", "euc_jp"]


@dataclass(frozen=True)
class Dialect:
    """Encoding and separator; the reading rule's by default."""

    encoding: str = "utf-8-sig"
    separator: str = ","


def find_encoding(path: Path) -> str:
    """Return the encoding that a file is most likely in, by Python's name.

    Raises
    ------
    TakehomeError
        It is no text.
    """
    sample = _sample(path)
    for mark, encoding in _MARKS:
        if sample.startswith(mark):
            return encoding
    if b"\0" in sample:
        return _find_unmarked(path, sample)
    with suppress(UnicodeDecodeError):
        codecs.getincrementaldecoder("utf-8")().decode(sample)
        return "utf-8-sig"
    lines = b"\n".join(line for line in sample.splitlines() if not line.isascii())  # only these tell encodings apart
    best = from_bytes(lines[:100_000], cp_isolation=_USUAL).best()
    with suppress(UnicodeDecodeError):
        if best is None or lines.decode("cp1252") == lines.decode(best.encoding):  # neighbours share most letters
            return "cp1252"
    return best.encoding if best else "latin-1"


def _find_unmarked(path: Path, sample: bytes) -> str:
    for encoding in ("utf-16-le", "utf-16-be"):
        with suppress(UnicodeDecodeError):
            if "\n" in codecs.getincrementaldecoder(encoding)().decode(sample):  # in the other order it is none
                return encoding
    raise TakehomeError(f"{path}: the file is no text, whatever its ending says. Save the table as CSV.")


def find_separator(path: Path, encoding: str) -> str:
    """Return what separates the fields: the one that gives each of the first lines as many as the header has."""
    text = _sample(path).decode(encoding, errors="replace")
    lines = text.splitlines()[: _LINES + 1]
    whole = lines[:-1] if len(lines) > 1 and len(text) >= _SAMPLE else lines
    for separator in SEPARATORS:
        widths = {len(row) for row in islice(csv.reader(whole, delimiter=separator), _LINES) if row}
        if len(widths) == 1 and widths.pop() > 1:
            return separator
    return ","


def _sample(path: Path) -> bytes:
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        return file.read(_SAMPLE)
