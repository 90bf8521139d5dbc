"""What a verification found; `Report.model_dump_json()` is what `takehome verify --json` prints."""

from enum import StrEnum
from typing import Literal, TypeAlias

from pydantic import BaseModel, Field


class Verdict(StrEnum):
    """The four verdicts, from best to worst."""

    REPRODUCED = "reproduced"
    CLOSE = "reproduced within tolerance"
    DIFFERS = "differs"
    FAILS = "fails"

    @property
    def status(self) -> int:
        """The exit status of the command line."""
        return {Verdict.DIFFERS: 1, Verdict.FAILS: 2}.get(self, 0)


class Outcome(StrEnum):
    """What came of one comparison."""

    SAME = "same"
    CLOSE = "close"  # numbers within the tolerance, pictures that look the same
    DIFFERS = "differs"
    FAILED = "failed"
    SKIPPED = "skipped"  # tagged `nondeterministic`
    NOTHING = "nothing saved"  # nothing to compare with
    NOT_RUN = "not run"  # an earlier cell failed

    @property
    def rank(self) -> int:
        """How bad it is: 0 good, 1 close, 2 differs, 3 failed."""
        return {Outcome.CLOSE: 1, Outcome.DIFFERS: 2, Outcome.FAILED: 3, Outcome.NOT_RUN: 3}.get(self, 0)


class Kind(StrEnum):
    """The usual causes."""

    ORDER = "cells run out of order"
    NAME = "name defined only in a deleted or later cell"
    RANDOM = "unseeded randomness"
    PATH = "absolute path outside the project"
    FILE = "missing file"
    PACKAGE = "package missing from environment.yml"
    CLOCK = "time or host name in a result"
    DATABASE = "state left in PostgreSQL"
    DATA = "data file changed since"
    NETWORK = "needs the network"
    TIMEOUT = "a cell that does not end"
    MEMORY = "the kernel died"
    VERSION = "another version of a package"


class Cause(BaseModel):
    """A named cause: where it is, and what to do about it."""

    kind: Kind
    cell: int | None = Field(description="the number of the code cell, counted from 1; None: the notebook as a whole")
    message: str
    breaks: bool = Field(default=False, description="the run went through here, but can't on another machine")


class CellReport(BaseModel):
    """One code cell: how it ran, and its output against the saved one."""

    number: int = Field(description="counted from 1 over the code cells that hold code, as `takehome train` counts")
    index: int = Field(description="position in the notebook's `cells`")
    id: str | None
    source: str = Field(description="the first line of code")
    compared: list[str] = Field(description="what was compared: text, table, image, data, error")
    outcome: Outcome
    difference: str | None = Field(default=None, description="the first difference, lines beginning with '- ' and '+ '")
    seconds: float = 0


class Figure(BaseModel):
    """A metric as saved and as found."""

    name: str
    saved: float | None
    found: float | None
    outcome: Outcome


class Answers(BaseModel):
    """The new model's answers against the saved model's, on the same rows."""

    rows: int
    identical: bool
    largest_difference: float = Field(description="of any number: a probability, or a prediction in regression")
    other_labels: int = Field(description="rows that got another class")
    outcome: Outcome


class ModelReport(BaseModel):
    """The model that the run saved, against the one that is kept."""

    outcome: Outcome
    saved: str | None = Field(description="version of the kept model")
    found: str | None = Field(description="version of the new one; None: the run saved none")
    metrics: list[Figure] = []
    examples: Answers | None = None
    training: Answers | None = Field(default=None, description="up to 10,000 rows of those that the run trained on")
    message: str = Field(default="", description="why something could not be compared")


StateOfData: TypeAlias = Literal["read-only", "not read-only, and unchanged", "changed by the notebook"]


class Package(BaseModel):
    """A package whose version is not the expected one."""

    name: str
    expected: str
    here: str | None
    by: Literal["lock", "model"]


class EnvironmentReport(BaseModel):
    """Where the run took place."""

    python: str
    network: Literal["cut off", "not cut off"]
    data: StateOfData
    checked: int = Field(description="packages that were compared with the lock")
    packages: list[Package]


class DataFile(BaseModel):
    """A file of the static folder."""

    name: str
    sha256: str
    expected: str | None = Field(default=None, description="SHA-256 that a submission claims")


class DataReport(BaseModel):
    """The data that the run read."""

    outcome: Outcome
    files: list[DataFile]
    saved: str | None = Field(description="fingerprint of the rows in the kept model's `model.json`")
    found: str | None = Field(description="the same of the new model")
    rows: tuple[int | None, int | None] = Field(description="rows of the saved and of the new model")


class Report(BaseModel):
    """The whole verification."""

    notebook: str
    verdict: Verdict
    summary: str = Field(description="one sentence for a person")
    rtol: float
    seconds: float
    cells: list[CellReport]
    model: ModelReport
    environment: EnvironmentReport
    data: DataReport
    causes: list[Cause]
