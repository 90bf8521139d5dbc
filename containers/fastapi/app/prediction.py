"""`POST /predict`: rows in, answers out, with as little as can be between the socket and the model.

A plain ASGI application: FastAPI's own way in and out costs as much again as all that happens here.
"""

import asyncio
import json
from functools import lru_cache
from typing import Any

from fastapi import HTTPException
from prometheus_client import Counter
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.datastructures import QueryParams
from starlette.types import Message, Receive, Scope, Send
from takehome.rows import Finding, RowError
from takehome.schema import Row

from app.batcher import Batcher
from app.body import BUSY, Room, decode, read
from app.job import Job
from app.log import PredictionLog
from app.registry import Registry
from app.served import Served
from app.settings import settings

ROWS = Counter("takehome_rows_total", "Rows answered.", ["version"])
SEEN = Counter("takehome_rows_seen_before_total", "Rows answered as before, without the model.", ["version"])

SMALL_BODY = 16_000  # bytes that are checked at once; more would keep the event loop from others
PIECE = 64 << 10  # of an answer, that a client has to read in time
WATCH_AFTER = 0.5  # seconds; most requests are answered before it would pay to look whether the client is still there
Headers = list[tuple[bytes, bytes]]


class Options(BaseModel):
    """The query of `/predict`."""

    model_config = ConfigDict(extra="forbid")

    strict: bool = False
    log: bool = True


class Prediction:
    """The application behind `/predict`."""

    path = "/predict"

    def __init__(self, registry: Registry, log: PredictionLog) -> None:
        self._registry = registry
        self._log = log
        self._batcher = Batcher()
        self._room = Room()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            if scope["method"] != "POST":
                raise HTTPException(405, "Method Not Allowed", {"Allow": "POST"})
            content, served = await self._predict(scope, receive)
            status, headers = 200, [(b"x-model-version", served.version.encode())]
        except HTTPException as error:
            status, headers = (
                error.status_code,
                [(k.lower().encode(), v.encode()) for k, v in (error.headers or {}).items()],
            )
            content = json_bytes({"detail": error.detail})
        except RowError as error:
            status, headers, content = 422, [], json_bytes({"detail": error.detail})
        await _send(send, status, headers, content)

    async def _predict(self, scope: Scope, receive: Receive) -> tuple[bytes, Served]:
        options = _options(scope["query_string"])
        content = await read(scope, receive, self._room)
        try:
            served = self._registry.served
            if served is None:
                raise HTTPException(503, self._registry.reason, {"Retry-After": "2"})
            if kept := served.seen(content):
                _count(SEEN, served.version).inc()
                answer, answered = kept
                rows, answers, warnings = served.model.reader.read_usual(content) or [], [answer], None
            else:
                job = await self._job(served, content, options)
                rows, answers, answered = job.rows, job.answers, await self._answered(job, receive)
                warnings = job.warnings
                if not job.many and warnings is None:
                    served.keep(content, (answers[0], answered))
            _count(ROWS, served.version).inc(len(rows))
            if options.log:
                self._log.add((scope["request_id"], served.version, rows, answers, warnings), len(content))
            return answered, served
        finally:
            self._room.leave(len(content))

    async def _job(self, served: Served, content: bytes, options: Options) -> Job:
        """Check the body; what is usual in one step, what has to be explained beside the event loop."""
        reader, small = served.model.reader, len(content) < SMALL_BODY
        rows = reader.read_usual(content) if small else await asyncio.to_thread(reader.read_usual, content)
        if rows is None:
            known, warnings, many = await asyncio.to_thread(_explained, served, content, options)
            return Job(served, known, len(content), many, warnings)
        _check_number(rows)
        return Job(served, rows, len(content), many=content[:1] == b"[")

    async def _answered(self, job: Job, receive: Receive) -> bytes:
        if not job.rows:
            return b"[]"
        self._batcher.put(job)
        watch = asyncio.get_running_loop().call_later(WATCH_AFTER, _watch, job, receive)
        try:
            await job.done
        finally:
            watch.cancel()
        return job.content()


def _explained(served: Served, content: bytes, options: Options) -> tuple[list[Row], list[list[Finding]], bool]:
    body = decode(content)
    many = isinstance(body, list)
    rows = body if many else [body]
    _check_number(rows)
    return *served.model.reader.read(rows, strict=options.strict), many


def _check_number(rows: list[Any]) -> None:
    if len(rows) > settings.most_rows:
        most = f"{settings.most_rows:,}"
        raise HTTPException(
            413, f"The body has {len(rows):,} rows; a request takes {most}. Send them in several requests."
        )


def _watch(job: Job, receive: Receive) -> None:
    """Look after a request that takes long."""
    watching = asyncio.create_task(_leave(job, receive))
    job.done.add_done_callback(lambda _: watching.cancel())


async def _leave(job: Job, receive: Receive) -> None:
    """Give up a job whose client goes away, or that is not answered in time."""
    try:
        async with asyncio.timeout(settings.answer_seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
        job.finish(HTTPException(400, "The client went away."))
    except TimeoutError:
        job.finish(HTTPException(503, f"The model did not answer within {settings.answer_seconds:g} s.", BUSY))


async def _send(send: Send, status: int, headers: Headers, content: bytes) -> None:
    """Send an answer; a client that doesn't read it in time is left, and its connection closed."""
    length = (b"content-length", b"%d" % len(content))
    headers += [(b"content-type", b"application/json"), length]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if len(content) <= PIECE:
        return await send({"type": "http.response.body", "body": content})
    for first in range(0, len(content), PIECE):
        more = first + PIECE < len(content)
        piece: Message = {"type": "http.response.body", "body": content[first : first + PIECE], "more_body": more}
        try:
            async with asyncio.timeout(settings.body_seconds):
                await send(piece)
        except TimeoutError:
            return None
    return None


@lru_cache(256)
def _options(query: bytes) -> Options:
    """Read the query.

    Raises
    ------
    RowError
        It holds a name or a value that is none.
    """
    try:
        return Options.model_validate(dict(QueryParams(query)))
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        raise RowError([{"type": f["type"], "loc": ["query", *f["loc"]], "msg": f["msg"]} for f in found]) from None


@lru_cache(64)
def _count(counter: Counter, version: str) -> Any:
    return counter.labels(version)


def json_bytes(content: Any) -> bytes:
    """Return JSON; NaN and infinity are errors here, half a surrogate pair goes out escaped."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")
