"""What was answered, as lines that PostgreSQL's COPY takes."""

import re
import secrets
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any

import orjson
from pydantic_core import from_json, to_json
from takehome.rows import Finding
from takehome.schema import Row

from app.texts import Text

COPY = (
    "COPY predictions (at, id, request_id, model_version, row, prediction, probabilities, warnings)"
    " FROM STDIN (NULL '')"
)
Answered = tuple[str, str, list[Row], list[Text], list[list[Finding]] | None]
"""Request id and version, then each row, its answer, and its warnings where there are any."""

_RUN = f"7{secrets.token_hex(2)[:3]}8{secrets.token_hex(4)[:7]}"  # of this process
_NUMBERS = count()
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def lines(at: float, answered: Iterable[Answered]) -> Iterator[bytes | None]:
    """Give a line for each row, without its end, or None for one that no JSON can hold; `at` is in s since 1970.

    The id is made here, ordered by time (UUID version 7 with a counter, RFC 9562, 6.2): a batch whose COMMIT was never
    acknowledged can be sent again, and what is there already is then refused, not doubled.
    """
    begin = f"{datetime.fromtimestamp(at, UTC).isoformat()}\t{int(1000 * at):012x}{_RUN}".encode()
    for request_id, version, rows, answers, warnings in answered:
        request = f"{request_id}\t{version}".encode()  # neither holds what COPY would read otherwise
        for i, row in enumerate(rows):
            start = b"%b%08x\t%b" % (begin, next(_NUMBERS) & 0xFFFFFFFF, request)
            try:
                yield _line(start, row, answers[i], to_json(warnings[i]) if warnings else b"[]")
            except (ValueError, TypeError, RecursionError):
                yield None


def _line(start: bytes, row: Row, answer: Text, warnings: bytes) -> bytes:
    try:
        line = b"\t".join((start, orjson.dumps(row), answer, warnings))
    except TypeError:  # half a surrogate pair, or a whole number of more than 64 bits
        line = rb"\u0000"
    if line.find(b"\\") < 0:  # seven times as fast as `in`
        return line
    if rb"\u0000" in line:
        storable = b"\t".join(part and _stored(part) for part in answer.split(b"\t"))
        line = b"\t".join((start, _json(_storable(row)), storable, _stored(warnings)))
    return line.replace(b"\\", rb"\\")  # COPY wants them twice


def _stored(text: bytes) -> bytes:
    return _json(_storable(from_json(text)))


def _json(value: Any) -> bytes:
    return to_json(value, inf_nan_mode="strings", fallback=str)


def _storable(value: Any) -> Any:
    """Put U+FFFD where a text has what PostgreSQL can't hold: NUL, or half a surrogate pair."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    return [_storable(item) for item in value] if isinstance(value, list | tuple) else value
