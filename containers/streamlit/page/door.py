"""Who may come in: browsers that were sent here by this page itself, under a name of this machine."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

HOSTS = {"localhost", "127.0.0.1", "::1"}


class Door:
    """Refuses a foreign Host or Origin on every path.

    Streamlit checks them for its websocket only, takes any port of this machine for its own Origin, and at a foreign
    one asks a public service for this machine's external address.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403 (a websocket: close it before it opens)."""
        if scope["type"] == "lifespan" or _is_ours(Headers(scope=scope)):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            words = "This page answers under http://localhost and http://127.0.0.1 only, and to no other page.\n"
            await PlainTextResponse(words, 403)(scope, receive, send)


def _is_ours(headers: Headers) -> bool:
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    return len(hosts) == 1 and _name(hosts[0]) in HOSTS and all(origin == f"http://{hosts[0]}" for origin in origins)


def _name(host: str) -> str | None:
    try:
        parts = urlsplit(f"//{host}")
        return parts.hostname if parts.netloc == host and "@" not in host else None
    except ValueError:
        return None
