"""The OpenAPI document: the model's own columns, categories and a real row."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from takehome.artifact import Model

from app.settings import settings

ABOUT = """Answers come from the model that the notebook saved last. `POST /predict` takes one row of the training
dataframe, or a list of rows. What was never seen in training is answered with a warning; `?strict=true` refuses it."""

_LOC = {"type": "array", "items": {"type": ["string", "integer"]}}
_FINDING = {
    "type": "object",
    "properties": {"type": {"type": "string"}, "loc": _LOC, "msg": {"type": "string"}},
    "required": ["type", "loc", "msg"],
}
SENTENCE = {"type": "object", "properties": {"detail": {"type": "string"}}, "required": ["detail"]}
FINDINGS = {
    "type": "object",
    "properties": {"detail": {"type": "array", "items": _FINDING}},
    "required": ["detail"],
}


def response(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Describe a JSON response."""
    return {"description": description, "content": {"application/json": {"schema": schema}}}


Responses = dict[int | str, dict[str, Any]]
NO_MODEL: Responses = {503: response("No model is served yet; `detail` says why.", SENTENCE)}
FOREIGN: Responses = {403: response("A foreign `Host` or `Origin`.", SENTENCE)}


BODY: Responses = {
    408: response("The body arrived too slowly.", SENTENCE),
    413: response("The body is too large, or has too many rows.", SENTENCE),
    415: response("The body is not declared as JSON.", SENTENCE),
    422: response("What is wrong, by row and column.", FINDINGS),
}


def request_body(schema: dict[str, Any]) -> dict[str, Any]:
    """Describe a JSON body."""
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def openapi(app: FastAPI, model: Model | None) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document for the model being served; `/predict`, which is no route of FastAPI's, too."""
    document = get_openapi(title=app.title, version=app.version, description=ABOUT, routes=app.routes)
    row: dict[str, Any] = dict(model.metadata.row_schema) if model else {"type": "object", "examples": []}
    row.pop("$schema", None)
    document.setdefault("components", {}).setdefault("schemas", {}).update({"Row": row, "Answer": _answer(model)})
    if settings.api_keys_file:
        document["components"]["securitySchemes"] = {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}
        document["security"] = [{"key": []}]
    document["paths"] = {"/predict": {"post": _predict(row["examples"])}} | document["paths"]
    return document


def _predict(examples: list[Any]) -> dict[str, Any]:
    described: Responses = {
        200: {"description": "An answer, or a list of them.", "content": {"application/json": _either("Answer", [])}},
        **FOREIGN,
        **BODY,
        503: response("No model is served yet, or too many requests are waiting; `detail` says why.", SENTENCE),
    }
    return {
        "summary": "Answer one row, or a list of rows",
        "description": "Send an object for one row, or a list of them; the answers come in the same shape and order.",
        "operationId": "predict",
        "parameters": [
            _switch("strict", "Refuse what was never seen in training, instead of warning.", default=False),
            _switch("log", "Write rows and answers to the prediction log.", default=True),
        ],
        "requestBody": {"required": True, "content": {"application/json": _either("Row", examples)}},
        "responses": {str(status): found for status, found in described.items()},
    }


def _switch(name: str, description: str, *, default: bool) -> dict[str, Any]:
    schema = {"type": "boolean", "default": default, "description": description}
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _either(name: str, examples: list[Any]) -> dict[str, Any]:
    """Describe one of a kind, or a list of them."""
    one = {"$ref": f"#/components/schemas/{name}"}
    content: dict[str, Any] = {"schema": {"anyOf": [one, {"type": "array", "items": one}]}}
    return content | ({"example": examples[0]} if examples else {})


def _answer(model: Model | None) -> dict[str, Any]:
    classes = model and model.metadata.classes
    labels = [item["label"] for item in classes or []]
    prediction = {"type": "string", "enum": labels} if labels else {"type": ["number", "string"]}
    share = {"type": "number", "minimum": 0, "maximum": 1}
    return {
        "type": "object",
        "properties": {
            "prediction": prediction,
            "probabilities": {"type": "object", "properties": dict.fromkeys(labels, share)},
            "warnings": {"type": "array", "items": _FINDING},
        },
        "required": ["prediction", "warnings"],
    }
