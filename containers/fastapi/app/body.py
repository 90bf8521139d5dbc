"""The body of a request: bounded in size and time, and JSON without surprises."""

import asyncio
import json
from collections import Counter
from typing import Any, NoReturn

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect
from takehome.rows import RowError

from app.settings import settings

CLOSE = {"Connection": "close"}  # the rest of the body was not read


async def read_json(request: Request) -> Any:
    """Return the decoded body.

    Raises
    ------
    HTTPException
        413 too large, 415 no JSON by its content type, 408 too slow.
    RowError
        The text is no JSON, is not UTF-8, or holds NaN, a key twice, or half a surrogate pair.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise HTTPException(415, "Send JSON, with the header Content-Type: application/json.", CLOSE)
    try:
        async with asyncio.timeout(settings.body_seconds):
            content = await _read(request)
    except TimeoutError:
        raise HTTPException(408, f"The body did not arrive within {settings.body_seconds:g} s.", CLOSE) from None
    except ClientDisconnect:
        raise HTTPException(400, "The client went away.", CLOSE) from None
    return await asyncio.to_thread(_decode, content)


async def _read(request: Request) -> bytes:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > settings.most_body_bytes:
            most = settings.most_body_bytes / 1e6
            raise HTTPException(413, f"The body has over {most:g} MB. Send the rows in several requests.", CLOSE)
    return bytes(content)


def _decode(content: bytes) -> Any:
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
