"""The API: every route, derived from the model that the notebook saved."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel, ConfigDict, ValidationError
from takehome.proof.proof import SECONDS as PROOF_SECONDS
from takehome.rows import RowError
from takehome.settings import open_store

from app import docs
from app.body import Room, decode, read
from app.doors import Doors
from app.figures import figures
from app.log import PredictionLog
from app.prediction import Prediction
from app.registry import Registry
from app.reply import json_bytes
from app.served import Served
from app.settings import settings
from app.verdicts import Verdicts
from app.versions import Version, choose, versions

registry = Registry(open_store(settings.models_dir, settings.models_mirror), Verdicts(settings.workers_dir))
room = Room()
predictions = PredictionLog(on=settings.prediction_log)


@asynccontextmanager
async def _lifespan(_: Any) -> AsyncIterator[None]:
    await predictions.start()
    registry.on_swap = lambda served: predictions.describe(served.model.metadata)
    watching = asyncio.create_task(registry.watch())
    if settings.web_concurrency > 1:  # until it has looked for a model, the other workers answer
        with suppress(TimeoutError):
            await asyncio.wait_for(registry.looked.wait(), PROOF_SECONDS)
    yield
    watching.cancel()
    await predictions.stop()


api = FastAPIOffline(
    title="Take-home model API", version="1.0.0", lifespan=_lifespan, redoc_url=None, responses=docs.FOREIGN
)
api.openapi = lambda: docs.openapi(api, registry.served.model if registry.served else None)  # type: ignore[method-assign]
app = Doors(api, Prediction(registry, predictions), registry)


class Choice(BaseModel):
    """The body of `PUT /models/current`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: str


def served() -> Served:
    """Return the model being served, or answer 503 with the reason why there is none."""
    if registry.served is None:
        raise HTTPException(503, registry.reason, {"Retry-After": "2"})
    return registry.served


def reply(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer with JSON."""
    return Response(json_bytes(content), status, headers, "application/json")


@api.get("/health", summary="The process lives", response_model=dict[str, str])
async def health() -> Any:
    """Answer as long as the process lives, whether there is a model or not."""
    return {"status": "ok"}


@api.get(
    "/ready", summary="A model is loaded and proved", response_model=dict[str, str | None], responses=docs.NO_MODEL
)
async def ready() -> Any:
    """Answer 200 once predictions can be had.

    `refused` says why the model saved last is not the one that answers, `store` what is wrong with the object store.
    """
    known = {"refused": registry.passed_over, "store": registry.store_trouble}
    return {"status": "ready", "version": served().version, **known}


@api.get("/schema", summary="JSON Schema of a row", response_model=dict[str, Any], responses=docs.NO_MODEL)
async def schema() -> Any:
    """Return the row schema, columns in training order; `x-` keys hold what was observed in training."""
    return reply(served().model.metadata.row_schema)


@api.get("/model", summary="What is known of the model", response_model=dict[str, Any], responses=docs.NO_MODEL)
async def model() -> Any:
    """Return metadata, metrics and curves of the model being served, and the last model that was refused."""
    refused = registry.refused and {
        "version": registry.refused.version,
        "reason": registry.refused.reason,
        "at": registry.refused.at.isoformat(),
    }
    status = {"refused": refused, "store": registry.store_trouble}
    if registry.served is None:
        return reply({"detail": registry.reason, **status}, 503, {"Retry-After": "2"})
    known = registry.served.model.metadata.model_dump(mode="json", exclude={"row_schema", "examples", "format"})
    return reply(known | status | {"batched": registry.served.batched})


@api.get("/models", summary="The versions that are kept", response_model=list[Version])
async def models() -> Any:
    """Return every version that can be served, newest first."""
    known = await asyncio.to_thread(versions, registry.store, registry.version)
    return reply([version.model_dump(mode="json") for version in known])


@api.put(
    "/models/current",
    summary="Serve another version",
    response_model=Choice,
    openapi_extra={"requestBody": docs.request_body(Choice.model_json_schema())},
    responses={
        404: docs.response("There is no such version.", docs.SENTENCE),
        503: docs.response("The models can't be written to.", docs.SENTENCE),
        **docs.BODY,
    },
)
async def use(request: Request) -> Any:
    """Make a version current; it is proved and swapped in within seconds, or refused: `/ready` and `/model` tell."""
    content = await read(request.scope, request.receive, room)
    room.leave(len(content))
    try:
        choice = Choice.model_validate(await asyncio.to_thread(decode, content))
    except ValidationError as error:
        raise RequestValidationError([{**found, "loc": ("body", *found["loc"])} for found in error.errors()]) from None
    await asyncio.to_thread(choose, registry.store, choice.version)
    return reply({"version": choice.version})


@api.get("/metrics", summary="Figures for Prometheus", response_class=Response)
async def metrics() -> Response:
    """Return counts and times in Prometheus' text format."""
    return figures()


@api.get("/", include_in_schema=False)
async def root() -> Response:
    """Show the docs."""
    return RedirectResponse(f"{settings.root_path}/docs")


@api.exception_handler(RowError)
async def refuse_rows(_: Request, error: RowError) -> Response:
    """Say what is wrong with the rows."""
    return reply({"detail": error.detail}, 422)


@api.exception_handler(RequestValidationError)
async def refuse_query(_: Request, error: RequestValidationError) -> Response:
    """Say what is wrong with the query, without repeating it."""
    return reply({"detail": [{key: found[key] for key in ("type", "loc", "msg")} for found in error.errors()]}, 422)
