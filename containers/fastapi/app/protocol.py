"""HTTP as uvicorn speaks it, with four changes.

What one connection may send has bounds: the head of a request, requests that wait for the answers before theirs, and
what belongs to no request; without them one client could send for ever. A request with a body that asks for
another protocol, too, is refused, since its body would be lost. A request that is here as a whole can be taken, and
answered, in one go. Answers that are ready together go out one right after the other.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from app.settings import settings

MOST_HEAD_BYTES = 64 << 10
EXCHANGE = "takehome.exchange"  # in the scope of a request
CLOSE = (b"connection", b"close")
Headers = list[tuple[bytes, bytes]]


class Outbox:
    """Answers that go out at the end of this turn of the event loop.

    To write to a client that sleeps also wakes it, which takes longer than to write. Of many clients in one process,
    which were answered together, only the first is asleep where their answers come without a break.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[asyncio.Transport, bytes]] = []

    def put(self, transport: asyncio.Transport, content: bytes) -> None:
        """Let an answer wait for those that come with it."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.send)
        self._waiting.append((transport, content))

    def send(self) -> None:
        """Write what waits; whoever writes or closes by himself calls this first."""
        waiting, self._waiting = self._waiting, []
        for transport, content in waiting:
            if not transport.is_closing():
                transport.write(content)


outbox = Outbox()


class Protocol(HttpToolsProtocol):
    """Closes a connection whose next request does not come in time, or has too large a head."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_bytes = 0
        self._ended = False  # a request, in the data received last
        self._deadline: asyncio.TimerHandle | None = None
        self._refusal: str | None = None  # of what came behind requests that are not answered yet

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        super().connection_lost(exc)
        self._stop_waiting()

    def data_received(self, data: bytes) -> None:
        """Go on waiting for a head, or stop."""
        self._ended = False
        super().data_received(data)
        if self.scope is None or "path" not in self.scope:
            self._head_bytes = 0 if self._ended else self._head_bytes + len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self.send_400_response("The head of the request is too large.")
        elif self.cycle is None or not self.cycle.response_complete:
            return self._stop_waiting()
        return self._wait()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a line of the head; those after a body have no meaning here, and no end."""
        if "path" not in self.scope:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body, unless it belongs to what is refused."""
        if self._refusal is None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Know that what comes next is another request."""
        super().on_message_complete()
        self._ended = True

    def on_response_complete(self) -> None:
        """Read no more while requests wait for their turn; uvicorn would, after each answer."""
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self.pipeline or self._refusal:
            self.flow.pause_reading()
        if self._refusal and not self._owes():
            self.send_400_response(self._refusal)

    def send_400_response(self, msg: str) -> None:
        """Say so after the answers to what came before."""
        if self._owes():
            self._refusal = msg
            self.flow.pause_reading()
            return
        outbox.send()
        super().send_400_response(msg)

    def eof_received(self) -> None:
        """Send what is ready. A client that has said all can't be told from one that has gone, and is left."""
        outbox.send()

    def shutdown(self) -> None:
        """Close the connection, after its answer."""
        outbox.send()
        super().shutdown()

    def on_headers_complete(self) -> None:
        """Refuse what the parser would take without its body; give a POST a shorter way than ASGI's."""
        if self._refusal:
            return
        if self.parser.should_upgrade() and _has_body(dict(self.headers)):
            self.send_400_response("Send the request without the header Upgrade: here is HTTP/1.1 only.")
            return
        super().on_headers_complete()
        # Uvicorn's log of each request hangs on ASGI's messages.
        if self.cycle is not None and self.cycle.scope["method"] == "POST" and not self.access_log:
            self.cycle.scope[EXCHANGE] = Exchange(self.cycle)  # type: ignore[literal-required]

    def _wait(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(settings.body_seconds, self._late)

    def _late(self) -> None:
        self._deadline = None
        if self._owes():  # the client may well wait with the rest
            self._wait()
        else:
            self.transport.close()

    def _owes(self) -> bool:
        """Tell whether a request that is here as a whole waits for its answer."""
        return self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline, self._head_bytes = None, 0


def _has_body(headers: dict[bytes, bytes]) -> bool:
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"


class Exchange:
    """A request and its answer without ASGI's messages, each of which costs as much as to read the row."""

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle

    def take(self) -> bytes | None:
        """Return the body, if all of it is here and none was received."""
        cycle = self._cycle
        if cycle.more_body or cycle.waiting_for_100_continue:
            return None
        content, cycle.body = bytes(cycle.body), bytearray()
        return content

    def answer(self, status: int, headers: Headers, content: bytes) -> bool:
        """Send a whole answer at once, or tell that its client has to be waited for."""
        cycle = self._cycle
        if cycle.flow.write_paused or cycle.disconnected:
            return False
        cycle.keep_alive = cycle.keep_alive and CLOSE not in headers
        closing = () if cycle.keep_alive or CLOSE in headers else (CLOSE,)
        head = [b"%b: %b\r\n" % each for each in (*cycle.default_headers, *headers, *closing)]
        cycle.response_started = cycle.response_complete = True
        outbox.put(cycle.transport, b"".join((STATUS_LINE[status], *head, b"\r\n", content)))
        cycle.message_event.set()
        if not cycle.keep_alive:
            outbox.send()
            cycle.transport.close()
        # A circle of references would be left to the garbage collector, which takes 20 ms for some thousand of them.
        del cycle.scope[EXCHANGE]  # type: ignore[misc]
        cycle.on_response()
        return True

    def abandon(self) -> None:
        """Close the connection of a client that does not read, whatever it was not sent."""
        self._cycle.disconnected = True
        self._cycle.transport.abort()
