"""What was answered, as lines that PostgreSQL's COPY takes."""

import re
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pydantic_core import to_json
from takehome.schema import Row

PREDICTIONS = "predictions (id, at, request_id, model_version, row, prediction, probabilities, warnings)"

_NULL = rb"\N"
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


class Answered(NamedTuple):
    """A request that was answered: `rows` and `answers` are of equal length, `at` is in seconds since 1970."""

    at: float
    request_id: str
    version: str
    rows: list[Row]
    answers: list[dict[str, Any]]


def lines(answered: Answered) -> Iterator[bytes | None]:
    """Give a line for each row, or None for one that no JSON can hold.

    The id is made here, ordered by time (UUID version 7): a batch whose COMMIT was never acknowledged can be sent
    again, and what is there already is then refused, not doubled.
    """
    at = datetime.fromtimestamp(answered.at, UTC).isoformat()
    request = f"{at}\t{_text(answered.request_id)}\t{_text(answered.version)}"
    milliseconds = f"{int(answered.at * 1000):012x}"
    for row, answer in zip(answered.rows, answered.answers, strict=True):
        values = (row, answer["prediction"], answer.get("probabilities"), answer["warnings"])
        try:
            yield _line(f"{_id(milliseconds)}\t{request}".encode(), values)
        except (ValueError, TypeError, RecursionError):
            yield None


def _id(milliseconds: str) -> str:
    noise = secrets.token_hex(9)
    return f"{milliseconds}7{noise[:3]}8{noise[3:]}"


def _line(start: bytes, values: tuple[Any, ...]) -> bytes:
    try:
        line = b"\t".join([start, *map(_json, values)])
    except ValueError:  # half a surrogate pair
        line = b""
    if not line or rb"\u0000" in line:
        line = b"\t".join([start, *(_json(_storable(value)) for value in values)])
    return line + b"\n"


def _json(value: Any) -> bytes:
    return _NULL if value is None else to_json(value, inf_nan_mode="strings", fallback=str).replace(b"\\", rb"\\")


def _text(value: str) -> str:
    return _UNSTORABLE.sub("\ufffd", value).translate(_ESCAPES)


def _storable(value: Any) -> Any:
    """Put U+FFFD where a text has what PostgreSQL can't hold: NUL, or half a surrogate pair."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    return [_storable(item) for item in value] if isinstance(value, list | tuple) else value
