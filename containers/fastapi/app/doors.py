"""Who may come in: a page of another site in the user's browser may not."""

import re
import time
import uuid

from fastapi.responses import JSONResponse
from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.registry import Registry
from app.settings import settings

REQUESTS = Counter("takehome_requests_total", "Requests answered.", ["path", "status"])
SECONDS = Histogram("takehome_request_seconds", "Time to answer a request, in seconds.", ["path"])

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_REFUSED = "This API answers only to http://localhost and to pages of its own: the {} {!r} is another's."


class Doors:
    """Middleware: refuses foreign `Host` and `Origin`, names each request, counts it."""

    def __init__(self, app: ASGIApp, registry: Registry) -> None:
        self._app = app
        self._registry = registry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers, started = Headers(scope=scope), time.perf_counter()
        asked = headers.get("x-request-id", "")
        request_id = asked if _REQUEST_ID.fullmatch(asked) else uuid.uuid4().hex

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered = MutableHeaders(scope=message)
                answered["X-Request-ID"] = request_id
                if self._registry.model:
                    answered.setdefault("X-Model-Version", self._registry.model.metadata.version)
                path = getattr(scope.get("route"), "path", "other")
                REQUESTS.labels(path, message["status"]).inc()
                SECONDS.labels(path).observe(time.perf_counter() - started)
            await send(message)

        refusal = _refusal(headers)
        app = JSONResponse({"detail": refusal}, 403) if refusal else self._app
        return await app(scope, receive, named)


def _refusal(headers: Headers) -> str | None:
    hosts = headers.getlist("host")
    if len(hosts) != 1 or _name(hosts[0]) not in settings.allowed_hosts:
        return _REFUSED.format("Host", ", ".join(hosts)[:80])
    origin = headers.get("origin")
    if origin is not None and origin.lower() != f"http://{hosts[0].lower()}":
        return _REFUSED.format("Origin", origin[:80])
    return None


def _name(host: str) -> str:
    """Return a Host header without its port."""
    found = re.fullmatch(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(:[0-9]+)?", host.lower())
    return found[1] if found else ""
