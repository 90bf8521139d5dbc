"""The API's words as types: what it serves, and what it may answer."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

Kind = Literal["category", "text", "number", "integer", "boolean", "date", "datetime"]


class Column(BaseModel):
    """One property of the row schema."""

    type: str | list[str]
    kind: Kind = Field(alias="x-kind")
    categories: list[Any] = Field([], alias="x-categories")
    minimum: Any = Field(None, alias="x-minimum")
    maximum: Any = Field(None, alias="x-maximum")
    description: str = ""
    default: Any = None

    @property
    def nullable(self) -> bool:
        """Whether the field may be left empty."""
        return "null" in self.type


class Schema(BaseModel):
    """The row schema; `properties` stand in training order."""

    title: str = "Model"
    properties: dict[str, Column]


class Model(BaseModel):
    """What the page shows of the model's card."""

    version: str
    name: str
    created: datetime
    target: str
    metrics: dict[str, Any] = {}


@dataclass(frozen=True)
class Served:
    """A model with the schema of its rows, both of one version."""

    model: Model
    schema: Schema


class Problem(BaseModel):
    """An error or a warning about one column; `loc` ends in its name."""

    msg: str
    loc: list[str | int] = []

    @property
    def column(self) -> str | None:
        """The column's name; None where the message is about the whole request."""
        last = self.loc[-1] if self.loc else None
        return last if isinstance(last, str) and last != "body" else None


class Answer(BaseModel):
    """A prediction; `probabilities` in the order of the classes, None for regression."""

    prediction: Any
    probabilities: dict[str, float] | None = None
    warnings: list[Problem] = []


class Refusal(BaseModel):
    """What is wrong with the row, column by column."""

    detail: list[Problem]


@dataclass(frozen=True)
class Unavailable:
    """No answer, and the reason in a sentence."""

    reason: str


class Ready(BaseModel):
    """The API serves this version; `refused` says why it is not the one that was saved last."""

    version: str
    refused: str | None = None
