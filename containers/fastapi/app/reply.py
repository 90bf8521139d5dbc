"""An answer on its way out."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from starlette.types import Message, Scope, Send

from app.protocol import EXCHANGE, Headers
from app.settings import settings

PIECE = 64 << 10  # of an answer, that a client has to read in time


class Reply(NamedTuple):
    """An answer in JSON; its length and type are added when it is sent."""

    status: int
    headers: Headers
    content: bytes


async def send_reply(scope: Scope, send: Send, reply: Reply) -> None:
    """Send an answer; a client that doesn't read it in time is left, and its connection closed."""
    status, headers, content = reply
    headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
    exchange = scope.get(EXCHANGE)
    if exchange and len(content) <= PIECE and exchange.answer(status, headers, content):
        return
    try:
        for message in _messages(reply):
            async with asyncio.timeout(settings.body_seconds):
                await send(message)
    except TimeoutError:
        if exchange:
            exchange.abandon()


def _messages(reply: Reply) -> Iterator[Message]:
    status, headers, content = reply
    yield {"type": "http.response.start", "status": status, "headers": headers}
    for first in range(0, len(content), PIECE):
        more = first + PIECE < len(content)
        yield {"type": "http.response.body", "body": content[first : first + PIECE], "more_body": more}


def json_bytes(content: Any) -> bytes:
    """Return JSON; NaN and infinity are errors here, half a surrogate pair goes out escaped."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")
