"""Who may come in: not a page of another site in the user's browser, and nobody without a key where keys are set."""

import re
import time
import uuid
from functools import lru_cache
from itertools import count
from typing import Any, NamedTuple

from fastapi.responses import JSONResponse
from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.keys import keys
from app.prediction import Prediction
from app.protocol import Headers
from app.registry import Registry
from app.reply import Reply, send_reply
from app.settings import settings

REQUESTS = Counter("takehome_requests_total", "Requests answered.", ["path", "status"])
SECONDS = Histogram("takehome_request_seconds", "Time to answer a request, in seconds.", ["path"])

_PREDICT = "/predict"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.-]{1,64}")
_REFUSED = "This API answers only to http://localhost and to pages of its own: the {} {!r} is another's."
_NO_KEY = "This needs an API key that is known here, in a header: `Authorization: Bearer KEY` or `X-API-Key: KEY`."


class Doors:
    """The outermost application: refuses foreign `Host` and `Origin`, names each request, counts it.

    Parameters
    ----------
    app : whom requests are handed on to.
    prediction : who answers those to `/predict`, without a router between.
    """

    def __init__(self, app: ASGIApp, prediction: Prediction, registry: Registry) -> None:
        self._app = app
        self._prediction = prediction
        self._registry = registry
        self._run = uuid.uuid4().hex[:16].encode()
        self._number = count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started, caller = time.perf_counter(), Caller.of(scope["headers"])
        known = _REQUEST_ID.fullmatch(caller.request_id)
        request_id = caller.request_id if known else b"%b%016x" % (self._run, next(self._number))
        scope["request_id"] = request_id.decode()

        def counted(path: str, status: int, headers: Headers) -> Headers:
            served = self._registry.served
            if served and all(name != b"x-model-version" for name, _ in headers):
                headers.append((b"x-model-version", served.version.encode()))
            requests, seconds = _figures(path, status)
            requests.inc()
            seconds.observe(time.perf_counter() - started)
            return [*headers, (b"x-request-id", request_id)]

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                path = getattr(scope.get("route"), "path", "other")
                message["headers"] = counted(path, message["status"], [*message.get("headers", ())])
            await send(message)

        app, path = self._app, scope["path"].removeprefix(settings.root_path)
        if refusal := _refusal(caller.hosts, caller.origin):
            app = JSONResponse({"detail": refusal}, 403)
        elif keys and not keys.admit(path, scope["headers"]):
            app = JSONResponse({"detail": _NO_KEY}, 401, {"WWW-Authenticate": "Bearer"})
        elif path == _PREDICT:
            status, headers, content = await self._prediction.reply(scope, receive)
            return await send_reply(scope, send, Reply(status, counted(path, status, headers), content))
        return await app(scope, receive, named)


class Caller(NamedTuple):
    """What the head of a request says of who sent it: each `Host`, every `Origin`, the first id."""

    hosts: tuple[bytes, ...]
    origin: bytes | None
    request_id: bytes

    @classmethod
    def of(cls, headers: Headers) -> "Caller":
        """Read the head."""
        found: dict[bytes, list[bytes]] = {b"host": [], b"origin": [], b"x-request-id": []}
        for name, value in headers:
            if name in found:
                found[name].append(value)
        hosts, origins, ids = found.values()
        return cls(tuple(hosts), b", ".join(origins) if origins else None, ids[0] if ids else b"")


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
