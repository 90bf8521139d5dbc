"""HTTP as uvicorn speaks it, with bounds for the head of a request: without them one client could send it for ever."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.settings import settings

MOST_HEAD_BYTES = 64 << 10
WHOLE = "takehome.whole"  # in the scope of a request that has come to its end: nothing needs to be waited for


class Protocol(HttpToolsProtocol):
    """Closes a connection whose next head is too large, or was begun and not ended in time."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None

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
        super().data_received(data)
        if self.scope is not None and "path" in self.scope:
            self._stop_waiting()
            return
        self._head_bytes += len(data)
        if self._head_bytes > MOST_HEAD_BYTES:
            self.send_400_response("The head of the request is too large.")
        self._wait()

    def on_message_complete(self) -> None:
        """Tell that the body is there."""
        super().on_message_complete()
        self.cycle.scope[WHOLE] = True  # type: ignore[literal-required]

    def _wait(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(settings.body_seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline, self._head_bytes = None, 0
