"""What was answered, as lines that PostgreSQL's COPY takes."""

import re
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from itertools import repeat
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json
from takehome.rows import Finding
from takehome.schema import Row

from app.texts import Text

PREDICTIONS = "predictions (id, at, request_id, model_version, row, prediction, probabilities, warnings)"

_NULL = rb"\N"
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class Answered(NamedTuple):
    """A request that was answered: a text for each row, and its warnings where there are any.

    `at` is in milliseconds since 1970.
    """

    at: int
    request_id: str
    version: str
    rows: list[Row]
    answers: list[Text]
    warnings: list[list[Finding]] | None


def lines(answered: Answered) -> Iterator[bytes | None]:
    """Give a line for each row, or None for one that no JSON can hold.

    The id is made here, ordered by time (UUID version 7): a batch whose COMMIT was never acknowledged can be sent
    again, and what is there already is then refused, not doubled.
    """
    time, milliseconds = _moment(answered.at)
    request = f"{time}\t{answered.request_id}\t{answered.version}"  # neither holds what COPY would read otherwise
    warnings = map(to_json, answered.warnings) if answered.warnings else repeat(b"[]")
    for row, answer, found in zip(answered.rows, answered.answers, warnings, strict=False):
        try:
            yield _line(f"{_id(milliseconds)}\t{request}".encode(), row, (*answer, found))
        except (ValueError, TypeError, RecursionError):
            yield None


@lru_cache(1)
def _moment(at: int) -> tuple[str, str]:
    """Return a time as PostgreSQL reads it, and as an id begins; many requests are answered in one millisecond."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(), f"{at:012x}"


def _id(milliseconds: str) -> str:
    noise = secrets.token_hex(9)
    return f"{milliseconds}7{noise[:3]}8{noise[3:]}"


def _line(start: bytes, row: Row, texts: tuple[bytes | None, ...]) -> bytes:
    try:
        line = _joined(start, (_json(row), *texts))
    except ValueError:  # half a surrogate pair
        line = b""
    if not line or rb"\u0000" in line:
        storable = (None if text is None else _json(_storable(from_json(text))) for text in texts)
        line = _joined(start, (_json(_storable(row)), *storable))
    return line


def _joined(start: bytes, texts: tuple[bytes | None, ...]) -> bytes:
    escaped = (_NULL if text is None else text.replace(b"\\", rb"\\") for text in texts)
    return b"\t".join((start, *escaped)) + b"\n"


def _json(value: Any) -> bytes:
    return to_json(value, inf_nan_mode="strings", fallback=str)


def _storable(value: Any) -> Any:
    """Put U+FFFD where a text has what PostgreSQL can't hold: NUL, or half a surrogate pair."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    return [_storable(item) for item in value] if isinstance(value, list | tuple) else value
