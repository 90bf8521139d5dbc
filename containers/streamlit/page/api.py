"""The HTTP client: each call gives a typed result, and none raises."""

from typing import Any, TypeVar

import requests
from pydantic import BaseModel, ValidationError

from page.contract import Answer, Model, Ready, Refusal, Schema, Served, Unavailable

POLL_SECONDS = 2
PREDICT_SECONDS = 60

Body = TypeVar("Body", bound=BaseModel)


class Api:
    """The prediction service at `url`."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        # A proxy set for the internet must not see what is asked of a service on this machine.
        self._session.trust_env = False

    def ready(self) -> Ready | Unavailable:
        """Tell which version is being served, or why none is."""
        response = self._ask("GET", "/ready", POLL_SECONDS)
        if isinstance(response, Unavailable):
            return response
        return _parse(response, Ready) if response.ok else _unavailable(response)

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

    def predict(self, row: dict[str, Any]) -> Answer | Refusal | Unavailable:
        """Ask for the prediction of one row."""
        response = self._ask("POST", "/predict", PREDICT_SECONDS, json=row)
        if isinstance(response, Unavailable):
            return response
        if response.status_code == requests.codes.unprocessable_entity:
            return _parse(response, Refusal)
        return _parse(response, Answer) if response.ok else _unavailable(response)

    def _ask(self, method: str, path: str, seconds: float, **body: Any) -> requests.Response | Unavailable:
        try:
            return self._session.request(method, self._url + path, timeout=seconds, **body)
        except requests.Timeout:
            return Unavailable(f"The API at {self._url} did not answer within {seconds} seconds.")
        except requests.RequestException:
            return Unavailable(f"The API at {self._url} cannot be reached.")


def _unavailable(response: requests.Response) -> Unavailable:
    """Give the API's own sentence; where it has none, its status."""
    try:
        detail = response.json()["detail"]
    except (requests.JSONDecodeError, KeyError, TypeError):
        detail = None
    return Unavailable(detail if isinstance(detail, str) else f"The API answered with status {response.status_code}.")


def _parse(response: requests.Response, kind: type[Body]) -> Body | Unavailable:
    try:
        return kind.model_validate_json(response.content)
    except ValidationError:
        return Unavailable(f"{response.url} gave something else than this page expects. Is API_URL right?")
