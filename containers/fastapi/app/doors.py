"""Who may come in: not a page of another site in the user's browser, and nobody without a key where keys are set."""

import re
import time
import uuid
from functools import lru_cache
from itertools import count
from typing import Any

from fastapi.responses import JSONResponse
from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.keys import keys
from app.prediction import Prediction
from app.registry import Registry
from app.settings import settings

REQUESTS = Counter("takehome_requests_total", "Requests answered.", ["path", "status"])
SECONDS = Histogram("takehome_request_seconds", "Time to answer a request, in seconds.", ["path"])

_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.-]{1,64}")
_REFUSED = "This API answers only to http://localhost and to pages of its own: the {} {!r} is another's."
_NO_KEY = "This needs an API key, in a header: `Authorization: Bearer KEY` or `X-API-Key: KEY`."


class Doors:
    """The outermost application: refuses foreign `Host` and `Origin`, names each request, counts it.

    Parameters
    ----------
    app : whom requests are handed on to.
    prediction : who gets those for its own path, without a router between.
    """

    def __init__(self, app: ASGIApp, prediction: Prediction, registry: Registry) -> None:
        self._app = app
        self._prediction = prediction
        self._registry = registry
        self._run = uuid.uuid4().hex[:16]
        self._number = count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers, started = scope["headers"], time.perf_counter()
        asked = next((value for name, value in headers if name == b"x-request-id"), b"")
        request_id = asked if _REQUEST_ID.fullmatch(asked) else b"%s%016x" % (self._run.encode(), next(self._number))
        scope["request_id"] = request_id.decode()

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered = message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id)]
                served = self._registry.served
                if served and all(name != b"x-model-version" for name, _ in answered):
                    answered.append((b"x-model-version", served.version.encode()))
                path = getattr(app, "path", None) or getattr(scope.get("route"), "path", "other")
                requests, seconds = _figures(path, message["status"])
                requests.inc()
                seconds.observe(time.perf_counter() - started)
            await send(message)

        hosts = tuple(value for name, value in headers if name == b"host")
        refusal = _refusal(hosts, next((value for name, value in headers if name == b"origin"), None))
        asked_for = scope["path"].removeprefix(settings.root_path)
        app: ASGIApp = self._prediction if asked_for == self._prediction.path else self._app
        if refusal:
            app = JSONResponse({"detail": refusal}, 403)
        elif keys and not keys.admit(asked_for, headers):
            app = JSONResponse({"detail": _NO_KEY}, 401, {"WWW-Authenticate": "Bearer"})
        return await app(scope, receive, named)


@lru_cache(1024)
def _figures(path: str, status: int) -> tuple[Any, Any]:
    return REQUESTS.labels(path, status), SECONDS.labels(path)


@lru_cache(1024)
def _refusal(hosts: tuple[bytes, ...], from_page: bytes | None) -> str | None:
    names = [host.decode("latin-1") for host in hosts]
    if len(names) != 1 or settings.allowed_hosts.isdisjoint((_name(names[0]), "*")):
        return _REFUSED.format("Host", ", ".join(names)[:80])
    origin = from_page and from_page.decode("latin-1")
    if origin is not None and origin.lower() != f"http://{names[0].lower()}":
        return _REFUSED.format("Origin", origin[:80])
    return None


def _name(host: str) -> str:
    """Return a Host header without its port."""
    found = re.fullmatch(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(:[0-9]+)?", host.lower())
    return found[1] if found else ""
