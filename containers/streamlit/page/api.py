"""The HTTP client: each call gives a typed result, and none raises."""

from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import requests
from pydantic import TypeAdapter, ValidationError

from page.contract import (
    Answer,
    Answers,
    Model,
    Ready,
    Refusal,
    Saved,
    Schema,
    Served,
    TooLarge,
    Unavailable,
)

POLL_SECONDS = 2
PREDICT_SECONDS = 60

Body = TypeVar("Body")
Row = dict[str, Any]


class Api:
    """The prediction service at `url`; `key_file` has the key that it may want."""

    def __init__(self, url: str, key_file: Path | None = None) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        # A proxy set for the internet must not see what is asked of a service on this machine.
        self._session.trust_env = False
        if key_file:
            self._session.auth = partial(_show_key, key_file)

    def ready(self) -> Ready | Unavailable:
        """Tell which version is being served, or why none is."""
        return self._get("/ready", Ready)

    def served(self) -> Served | Unavailable:
        """Fetch the model and its schema; two versions, met in the middle of a swap, count as unavailable."""
        model, schema = self._ask("GET", "/model", POLL_SECONDS), self._ask("GET", "/schema", POLL_SECONDS)
        for response in (model, schema):
            if isinstance(response, Unavailable):
                return response
            if not response.ok:
                return _unavailable(response)
        if model.headers.get("X-Model-Version") != schema.headers.get("X-Model-Version"):
            return Unavailable("The model is being replaced.")
        card, form = _parse(model, Model), _parse(schema, Schema)
        if isinstance(card, Unavailable):
            return card
        return form if isinstance(form, Unavailable) else Served(card, form)

    def model(self) -> Model | Unavailable:
        """Fetch what is known of the model by now; what was refused may change while the model stays."""
        return self._get("/model", Model)

    def models(self) -> list[Saved] | Unavailable:
        """List the saved models, newest first."""
        return self._get("/models", list[Saved])

    def make_current(self, version: str) -> Unavailable | None:
        """Ask for another saved model to be served."""
        response = self._ask("PUT", "/models/current", POLL_SECONDS, json={"version": version})
        if isinstance(response, Unavailable) or response.ok:
            return response if isinstance(response, Unavailable) else None
        return _unavailable(response)

    def predict(self, row: Row) -> Answer | Refusal | Unavailable:
        """Ask for the prediction of one row."""
        response = self._ask("POST", "/predict", PREDICT_SECONDS, json=row)
        if isinstance(response, Unavailable):
            return response
        if response.status_code == requests.codes.unprocessable_entity:
            return _parse(response, Refusal)
        return _parse(response, Answer) if response.ok else _unavailable(response)

    def predict_many(self, rows: list[Row], *, log: bool = True) -> Answers | Refusal | TooLarge | Unavailable:
        """Ask for the predictions of many rows; with `log=False` they are not kept in the log of predictions."""
        query = {} if log else {"params": {"log": "false"}}
        response = self._ask("POST", "/predict", PREDICT_SECONDS, json=rows, **query)
        if isinstance(response, Unavailable):
            return response
        if response.status_code == requests.codes.unprocessable_entity:
            return _parse(response, Refusal)
        if response.status_code == requests.codes.request_entity_too_large:
            return TooLarge()
        if not response.ok:
            return _unavailable(response)
        answers = _parse(response, list[Answer])
        version = response.headers.get("X-Model-Version", "")
        return answers if isinstance(answers, Unavailable) else Answers(answers, version)

    def _get(self, path: str, kind: type[Body]) -> Body | Unavailable:
        response = self._ask("GET", path, POLL_SECONDS)
        if isinstance(response, Unavailable):
            return response
        return _parse(response, kind) if response.ok else _unavailable(response)

    def _ask(self, method: str, path: str, seconds: float, **body: Any) -> requests.Response | Unavailable:
        try:
            return self._session.request(method, self._url + path, timeout=seconds, **body)
        except requests.Timeout:
            return Unavailable(f"The API at {self._url} did not answer within {seconds} seconds.", wait=1)
        except requests.RequestException:
            return Unavailable(f"The API at {self._url} cannot be reached.", wait=1)


def _show_key(file: Path, request: requests.PreparedRequest) -> requests.PreparedRequest:
    request.headers["X-API-Key"] = file.read_text().strip()
    return request


def _unavailable(response: requests.Response) -> Unavailable:
    """Give the API's own sentence; where it has none, its status."""
    try:
        detail = response.json()["detail"]
    except (requests.JSONDecodeError, KeyError, TypeError):
        detail = None
    wait = response.headers.get("Retry-After", "")
    reason = detail if isinstance(detail, str) else f"The API answered with status {response.status_code}."
    return Unavailable(reason, wait=float(wait) if wait.isdigit() else 0)


def _parse(response: requests.Response, kind: type[Body]) -> Body | Unavailable:
    try:
        return TypeAdapter(kind).validate_json(response.content)
    except ValidationError:
        return Unavailable(f"{response.url} gave something else than this page expects. Is API_URL right?")
