"""The API: every route, derived from the model that the notebook saved."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi_offline import FastAPIOffline
from prometheus_client import CONTENT_TYPE_LATEST, Counter, generate_latest
from pydantic import BaseModel, ConfigDict
from takehome.artifact import Model
from takehome.rows import RowError
from takehome.store import Store

from app import docs
from app.body import read_json
from app.doors import Doors
from app.prediction import predict
from app.registry import Registry
from app.settings import settings

ROWS = Counter("takehome_rows_total", "Rows answered.", ["version"])
registry = Registry(Store(settings.models_dir))


@asynccontextmanager
async def _lifespan(_: Any) -> AsyncIterator[None]:
    watching = asyncio.create_task(registry.watch())
    yield
    watching.cancel()


app = FastAPIOffline(
    title="Take-home model API", version="1.0.0", lifespan=_lifespan, redoc_url=None, responses=docs.FOREIGN
)
app.add_middleware(Doors, registry=registry)
app.openapi = lambda: docs.openapi(app, registry.model)  # type: ignore[method-assign]


class Options(BaseModel):
    """The query of `/predict`."""

    model_config = ConfigDict(extra="forbid")

    strict: bool = False


def served() -> Model:
    """Return the model being served, or answer 503 with the reason why there is none."""
    if registry.model is None:
        raise HTTPException(503, registry.reason, {"Retry-After": "2"})
    return registry.model


def reply(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer with JSON; NaN and infinity are errors here, half a surrogate pair goes out escaped."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(text.encode("utf-8", "backslashreplace"), status, headers, "application/json")


@app.post(
    "/predict",
    summary="Answer one row, or a list of rows",
    responses={
        408: docs.response("The body arrived too slowly.", docs.SENTENCE),
        413: docs.response("The body is too large.", docs.SENTENCE),
        415: docs.response("The body is not declared as JSON.", docs.SENTENCE),
        422: docs.response("What is wrong, by row and column.", docs.FINDINGS),
        **docs.NO_MODEL,
    },
)
async def predict_rows(request: Request, options: Annotated[Options, Query()]) -> Response:
    """Send an object for one row, or a list of objects; the answers come in the same shape and order."""
    body, model = await read_json(request), served()
    rows = body if isinstance(body, list) else [body]
    answers = await asyncio.to_thread(predict, model, rows, strict=options.strict)
    version = model.metadata.version
    ROWS.labels(version).inc(len(rows))
    return reply(answers if isinstance(body, list) else answers[0], headers={"X-Model-Version": version})


@app.get("/health", summary="The process lives", response_model=dict[str, str])
async def health() -> Any:
    """Answer as long as the process lives, whether there is a model or not."""
    return {"status": "ok"}


@app.get(
    "/ready", summary="A model is loaded and proved", response_model=dict[str, str | None], responses=docs.NO_MODEL
)
async def ready() -> Any:
    """Answer 200 once predictions can be had; `refused` says why the model saved last is not the one that answers."""
    return {"status": "ready", "version": served().metadata.version, "refused": registry.passed_over}


@app.get("/schema", summary="JSON Schema of a row", response_model=dict[str, Any], responses=docs.NO_MODEL)
async def schema() -> Any:
    """Return the row schema, columns in training order; `x-` keys hold what was observed in training."""
    return reply(served().metadata.row_schema)


@app.get("/model", summary="What is known of the model", response_model=dict[str, Any], responses=docs.NO_MODEL)
async def model() -> Any:
    """Return metadata, metrics and curves of the model being served, and the last model that was refused."""
    refused = registry.refused and {
        "version": registry.refused.version,
        "reason": registry.refused.reason,
        "at": registry.refused.at.isoformat(),
    }
    if registry.model is None:
        return reply({"detail": registry.reason, "refused": refused}, 503, {"Retry-After": "2"})
    known = registry.model.metadata.model_dump(mode="json", exclude={"row_schema", "examples", "format"})
    return reply(known | {"refused": refused})


@app.get("/metrics", summary="Figures for Prometheus", response_class=Response)
async def metrics() -> Response:
    """Return counts and times in Prometheus' text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@app.get("/", include_in_schema=False)
async def root() -> Response:
    """Show the docs."""
    return RedirectResponse("/docs")


@app.exception_handler(RowError)
async def refuse_rows(_: Request, error: RowError) -> Response:
    """Say what is wrong with the rows."""
    return reply({"detail": error.detail}, 422)


@app.exception_handler(RequestValidationError)
async def refuse_query(_: Request, error: RequestValidationError) -> Response:
    """Say what is wrong with the query, without repeating it."""
    return reply({"detail": [{key: found[key] for key in ("type", "loc", "msg")} for found in error.errors()]}, 422)
