"""The versions in the models folder, and which of them is current."""

from datetime import datetime
from typing import Any, Literal

from fastapi import HTTPException
from pydantic import BaseModel
from takehome.errors import TakehomeError
from takehome.metadata import Metadata
from takehome.store import Store

HEADLINES = ("roc_auc", "r2", "balanced_accuracy")


class Score(BaseModel):
    """The metric that a model of its kind is usually judged by."""

    name: str
    value: float


class Version(BaseModel):
    """What is told of a version: `current` is the one that was chosen, `served` the one that answers."""

    version: str
    name: str
    created: datetime
    task: Literal["classification", "regression"]
    score: Score | None
    current: bool
    served: bool


def versions(store: Store, served: str | None) -> list[Version]:
    """Return the versions whose metadata can be read, newest first."""
    try:
        current = store.current()
    except TakehomeError:  # said by /ready
        current = None
    known = [_metadata(store, version) for version in reversed(store.versions())]
    return [
        Version(**_known(metadata), current=metadata.version == current, served=metadata.version == served)
        for metadata in known
        if metadata
    ]


def choose(store: Store, version: str) -> None:
    """Make a version current.

    Raises
    ------
    HTTPException
        404: there is no such version. 503: the folder can't be written to.
    """
    known = store.versions()
    if version not in known:
        raise HTTPException(404, f"There is no model {version[:80]!r}. Versions here: {', '.join(known) or 'none'}.")
    try:
        store.use(version)
    except TakehomeError as error:  # gone since, or the object store is away
        raise HTTPException(503, str(error), {"Retry-After": "10"}) from error
    except OSError as error:
        told = f"The models folder can't be written to: {error.strerror}. Check its owner and the disk."
        raise HTTPException(503, told, {"Retry-After": "10"}) from error


def _metadata(store: Store, version: str) -> Metadata | None:
    try:
        return store.metadata(version)
    except TakehomeError:
        return None


def _known(metadata: Metadata) -> dict[str, Any]:
    name = next((name for name in HEADLINES if name in metadata.metrics), None)
    known = metadata.model_dump(include={"version", "name", "created", "task"})
    return known | {"score": {"name": name, "value": metadata.metrics[name]} if name else None}
