"""`POST /predict`: rows in, answers out, with as little as can be between the socket and the model.

FastAPI's own way in and out costs as much again as all that happens here.
"""

import asyncio
from functools import lru_cache
from typing import Any

from fastapi import HTTPException
from prometheus_client import Counter
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope
from takehome.rows import Finding, RowError
from takehome.schema import Row

from app.batcher import Batcher
from app.body import BUSY, Room, decode, read
from app.job import Job
from app.log import PredictionLog
from app.registry import Registry
from app.reply import Reply, json_bytes
from app.served import Served
from app.settings import settings
from app.texts import as_object

ROWS = Counter("takehome_rows_total", "Rows answered.", ["version"])
SEEN = Counter("takehome_rows_seen_before_total", "Rows answered as before, without the model.", ["version"])

SMALL_BODY = 16_000  # bytes that are checked at once; more would keep the event loop from others
WATCH_AFTER = 0.5  # seconds; most requests are answered before it would pay to look whether the client is still there


class Options(BaseModel):
    """The query of `/predict`."""

    model_config = ConfigDict(extra="forbid")

    strict: bool = False
    log: bool = True


class Prediction:
    """What is behind `/predict`."""

    def __init__(self, registry: Registry, log: PredictionLog) -> None:
        self._registry = registry
        self._log = log
        self._batcher = Batcher()
        self._room = Room()

    async def reply(self, scope: Scope, receive: Receive) -> Reply:
        """Answer one request."""
        try:
            if scope["method"] != "POST":
                raise HTTPException(405, "Method Not Allowed", {"Allow": "POST"})
            return await self._predict(scope, receive)
        except HTTPException as error:
            headers = [(name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items()]
            return Reply(error.status_code, headers, json_bytes({"detail": error.detail}))
        except RowError as error:
            return Reply(422, [], json_bytes({"detail": error.detail}))

    async def _predict(self, scope: Scope, receive: Receive) -> Reply:
        options = _options(scope["query_string"])
        content = await read(scope, receive, self._room)
        try:
            served = self._registry.served
            if served is None:
                raise HTTPException(503, self._registry.reason, {"Retry-After": "2"})
            if kept := served.seen(content):
                _count(SEEN, served.version).inc()
                rows, answers, warnings = served.model.reader.read_usual(content) or [], [kept], None
                answered = as_object(kept, b"[]")
            else:
                job = await self._job(served, content, options)
                rows, answers, answered = job.rows, job.answers, await self._answered(job, receive)
                warnings = job.warnings
                if not job.many and warnings is None:
                    served.keep(content, answers[0])
            _count(ROWS, served.version).inc(len(rows))
            if options.log:
                self._log.add((scope["request_id"], served.version, rows, answers, warnings), len(content))
            return Reply(200, [(b"x-model-version", served.version.encode())], answered)
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
