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
    """The row schema; `properties` stand in training order, `examples` are training rows."""

    title: str = "Model"
    properties: dict[str, Column]
    examples: list[dict[str, Any]] = []


class Class(BaseModel):
    """A class: the value that the estimator gives, and what people are shown."""

    value: Any
    label: str


class Importance(BaseModel):
    """How much the score falls when one column is shuffled."""

    column: str
    mean: float
    std: float = 0


class Confusion(BaseModel):
    """How often each class was taken for which: `counts` has true classes as rows, answers as columns."""

    labels: list[str]
    counts: list[list[float]]


class Spread(BaseModel):
    """How the training rows are spread over one column: `shares` of bins or of values, which with `missing` make 1."""

    missing: float = 0
    edges: list[Any] = []
    values: list[Any] = []
    shares: list[float] = []
    other: float = 0


class Data(BaseModel):
    """Fingerprint of the training data."""

    rows: int
    sha256: str
    reading_rule: str = ""


class Refused(BaseModel):
    """The model that the API would not serve, and why."""

    version: str | None = None
    reason: str
    at: datetime | None = None


class Model(BaseModel):
    """What the page shows of the model's card."""

    version: str
    name: str
    created: datetime
    target: str
    task: str = ""
    classes: list[Class] | None = None
    threshold: float | None = None
    threshold_rule: str | None = None
    metrics: dict[str, Any] = {}
    intervals: dict[str, tuple[float, float]] = {}
    curves: dict[str, list[tuple[float, float]]] = {}
    confusion: Confusion | None = None
    operating_point: dict[str, float] | None = None
    importance: list[Importance] = []
    importance_score: str | None = None
    profile: dict[str, Spread] = {}
    histogram: dict[str, Spread] = {}
    data: Data | None = None
    python: str = ""
    packages: dict[str, str] = {}
    sha256: str = ""
    refused: Refused | None = None

    @property
    def positive(self) -> str | None:
        """The label of the second of two classes, which a threshold is about."""
        return self.classes[1].label if self.classes and len(self.classes) == 2 else None


@dataclass(frozen=True)
class Served:
    """A model with the schema of its rows, both of one version."""

    model: Model
    schema: Schema


class Score(BaseModel):
    """The one metric by which models are compared at a glance."""

    name: str
    value: float


class Saved(BaseModel):
    """A model in the folder of models."""

    version: str
    name: str
    created: datetime
    score: Score | None = None
    current: bool = False
    served: bool = False


class Problem(BaseModel):
    """An error or a warning about one column; `loc` ends in its name."""

    msg: str
    loc: list[str | int] = []

    @property
    def column(self) -> str | None:
        """The column's name; None where the message is about the whole request."""
        last = self.loc[-1] if self.loc else None
        return last if isinstance(last, str) and last != "body" else None

    @property
    def row(self) -> int | None:
        """The index of the row in a list that was sent; None where the message is about the whole request."""
        return self.loc[1] if len(self.loc) > 1 and isinstance(self.loc[1], int) else None

    def __str__(self) -> str:
        """Put the column before a message that does not name it itself."""
        named = self.column is None or repr(self.column) in self.msg
        return self.msg if named else f"{self.column}: {self.msg}"


class Answer(BaseModel):
    """A prediction; `probabilities` in the order of the classes, None for regression."""

    prediction: Any
    probabilities: dict[str, float] | None = None
    warnings: list[Problem] = []


class Refusal(BaseModel):
    """What is wrong with the row, column by column."""

    detail: list[Problem]


@dataclass(frozen=True)
class Answers:
    """The answers to many rows, in their order, all from one model."""

    answers: list[Answer]
    version: str


@dataclass(frozen=True)
class Unavailable:
    """No answer, and the reason in a sentence; `wait` seconds are worth a new try, 0 says that it is not."""

    reason: str
    wait: float = 0


@dataclass(frozen=True)
class TooLarge:
    """The request has more bytes than the API takes."""


class Ready(BaseModel):
    """The API serves this version; `refused` and `store` say why it may not be the one that was saved last."""

    version: str
    refused: str | None = None
    store: str | None = None
