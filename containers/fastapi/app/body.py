"""The body of a request: bounded in size and time, and JSON without surprises."""

import asyncio
import json
from collections import Counter
from typing import Any, NoReturn

from fastapi import HTTPException
from starlette.types import Receive, Scope
from takehome.rows import RowError

from app.protocol import EXCHANGE
from app.settings import settings

CLOSE = {"Connection": "close"}  # the rest of the body was not read
BUSY = {"Retry-After": "1"}


class Room:
    """How many bytes all bodies may have that are being read, or wait for their answers."""

    def __init__(self) -> None:
        self._taken = 0

    def take(self, size: int) -> None:
        """Take room for more bytes.

        Raises
        ------
        HTTPException
            503: there is no room until other requests are answered.
        """
        if self._taken + size > settings.most_waiting_bytes:
            raise HTTPException(503, "Too many rows are waiting for the model. Try again.", BUSY | CLOSE)
        self._taken += size

    def leave(self, size: int) -> None:
        """Give back what was taken."""
        self._taken -= size


async def read(scope: Scope, receive: Receive, room: Room) -> bytes:
    """Return the body; its bytes have taken room then, which the caller gives back.

    Raises
    ------
    HTTPException
        413 too large, 415 no JSON by its content type, 408 too slow, 503 no room.
    """
    headers = dict(scope["headers"])
    if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != b"application/json":
        raise HTTPException(415, "Send JSON, with the header Content-Type: application/json.", CLOSE)
    if (length := headers.get(b"content-length", b"0")).isdigit() and int(length[:20]) > settings.most_body_bytes:
        raise _too_large()
    exchange = scope.get(EXCHANGE)
    if exchange and (content := exchange.take()) is not None:
        if len(content) > settings.most_body_bytes:
            raise _too_large()
        room.take(len(content))
        return content
    try:
        async with asyncio.timeout(settings.body_seconds):
            return await _read_on(receive, room)
    except TimeoutError:
        raise HTTPException(408, f"The body did not arrive within {settings.body_seconds:g} s.", CLOSE) from None


async def _read_on(receive: Receive, room: Room) -> bytes:
    chunks, taken, more = [], 0, True
    try:
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise HTTPException(400, "The client went away.", CLOSE)
            chunk, more = message.get("body", b""), message.get("more_body", False)
            if taken + len(chunk) > settings.most_body_bytes:
                raise _too_large()
            room.take(len(chunk))
            taken += len(chunk)
            chunks.append(chunk)
    except BaseException:
        room.leave(taken)
        raise
    return b"".join(chunks)


def _too_large() -> HTTPException:
    most = settings.most_body_bytes / 1e6
    return HTTPException(413, f"The body has over {most:g} MB. Send the rows in several requests.", CLOSE)


def decode(content: bytes) -> Any:
    """Decode a body as strictly as can be.

    Raises
    ------
    RowError
        The text is no JSON, is not UTF-8, or holds NaN, a key twice, or half a surrogate pair.
    """
    try:
        text = content.decode()
        decoded = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(decoded, ensure_ascii=False).encode()
    except UnicodeError:
        _refuse("The body is not valid UTF-8 text.", 0)
    except json.JSONDecodeError as error:
        _refuse(f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.", error.pos)
    except RecursionError:
        _refuse("The body is nested too deeply. A row is an object: one value for each column.", 0)
    except ValueError as error:
        _refuse(f"The body is not JSON: {error}.", 0)
    return decoded


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {twice[:80]!r} is there twice in one object")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number; where a value is missing, send null")


def _refuse(message: str, position: int) -> NoReturn:
    raise RowError([{"type": "json_invalid", "loc": ["body", position], "msg": message}]) from None
