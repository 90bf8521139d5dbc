"""`model.json`: all that can be known of a model without unpickling it."""

import hashlib
import os
import platform
import stat
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from io import BufferedReader
from pathlib import Path
from typing import Any, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from typing_extensions import TypedDict

from takehome.answers import Answer, Class
from takehome.errors import TakehomeError
from takehome.rows import RowReader
from takehome.schema import Row, RowSchema

MOST_BYTES = 64 << 20
RULE = "1: only an empty field is missing"  # raised when `takehome.reading` comes to read otherwise


class Data(BaseModel):
    """Fingerprint of the rows that the schema was taken from."""

    rows: int
    sha256: str
    reading_rule: str


class Examples(BaseModel):
    """Training rows with the answers that they got in the notebook."""

    rows: list[Row] = Field(min_length=1)
    answers: list[Answer] = Field(min_length=1)


class Confusion(TypedDict):
    """How often each class was taken for which: rows are true, columns predicted; a row of weight w counts w times."""

    labels: list[str]
    counts: list[list[int | float]]


class OperatingPoint(TypedDict):
    """What the predicted label of the second of two classes is worth; a precision of no predictions is 0."""

    false_positive_rate: float
    true_positive_rate: float
    precision: float
    recall: float


class Importance(TypedDict):
    """What of the score is lost when a column is shuffled: mean and standard deviation over the shuffles."""

    column: str
    mean: float
    std: float


class Profile(TypedDict):
    """How the values of a column were spread in training, as shares of all rows.

    Numbers and dates have the k + 1 `edges` of k bins, categories and booleans the most frequent `values` and the share
    of all `other` ones, free text neither. Missing, shares and other add up to 1.
    """

    missing: float
    edges: NotRequired[list[int | float | str]]
    values: NotRequired[list[str | int | bool]]
    shares: NotRequired[list[float]]
    other: NotRequired[float]


class Histogram(TypedDict):
    """The shares of the present values of a number in bins of equal width."""

    edges: list[float]
    shares: list[float]


class Training(TypedDict):
    """How a model was fitted to data larger than memory.

    `rows` went into the fit, `held_out` were kept out of it, all drawing by `seed`. Counted rows are `distinct` ones
    with weights, which the steps `weighted` took and the steps `unweighted` did not; incremental is so many `passes`,
    after the steps before the last, if any, were fitted to `preprocessing_rows` drawn rows.
    """

    way: Literal["counted rows", "incremental", "sample"]
    rows: int
    held_out: int
    seed: int
    distinct: NotRequired[int]
    weighted: NotRequired[list[str]]
    unweighted: NotRequired[list[str]]
    passes: NotRequired[int]
    preprocessing_rows: NotRequired[int]


class Metadata(BaseModel):
    """The contents of `model.json`."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    format: Literal[2] = 2
    version: str
    created: datetime
    name: str
    task: Literal["classification", "regression"]
    target: str
    classes: list[Class] | None
    row_schema: dict[str, Any]
    examples: Examples
    threshold: float | None
    threshold_rule: str | None
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    curves: dict[str, list[list[float]]]
    confusion: Confusion | None
    operating_point: OperatingPoint | None
    importance: list[Importance]
    importance_score: str | None
    profile: dict[str, Profile]
    histogram: dict[str, Histogram]
    data: Data
    training: Training | None = None  # None: the notebook fitted it to rows in memory
    python: str
    carried: list[str]
    packages: dict[str, str]
    sha256: str

    def check_packages(self) -> None:
        """Compare the packages that the estimator imports with those that are here.

        Raises
        ------
        TakehomeError
            One is missing, or has another version; or the model carries code of the notebook (`carried` names the
            modules), which is compiled for one version of Python, and here is another.
        """
        if self.carried and self.python.split(".")[:2] != list(platform.python_version_tuple()[:2]):
            raise TakehomeError(
                f"Model {self.version} carries code of its notebook for Python {self.python}; here is "
                f"{platform.python_version()}. Run the notebook again with the Python that serves it."
            )
        for name, saved in self.packages.items():
            here = installed(name)
            if here is None:
                raise TakehomeError(f"Model {self.version} needs {name} {saved}, which is not installed here. {ADD}")
            if here != saved:
                raise TakehomeError(
                    f"Model {self.version} was saved with {name} {saved}; here is {here}. "
                    "Rebuild: docker compose up --build. Or save the model again: run the notebook."
                )


ADD = (
    "Name it in containers/python/environment.yml and in containers/fastapi/environment.yml, "
    "then rebuild: docker compose up --build (or make local)."
)


def installed(package: str) -> str | None:
    """Return the version of a package that is installed here, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def open_regular(path: Path) -> BufferedReader:
    """Open a file that may come from anyone: a pipe or a device, which would be read for ever, is refused.

    Raises
    ------
    TakehomeError
        It is no regular file.
    OSError
        It is not there, or is a link.
    """
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise TakehomeError(f"{path.parent.name}/{path.name} is not a regular file. Save the model again.")
    return file


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file that may come from anyone; raises as `open_regular` does."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_metadata(path: Path) -> Metadata:
    """Read a `model.json`, which may come from anyone.

    Raises
    ------
    TakehomeError
        It is absent, too large, or not what this version of takehome writes.
    """
    try:
        with open_regular(path) as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise TakehomeError(f"{path.parent.name}/model.json has over {MOST_BYTES >> 20} MB. Save the model again.")
        metadata = Metadata.model_validate_json(content)
        RowReader(RowSchema.from_json(metadata.row_schema)).read(metadata.examples.rows)
        metadata.row_schema["title"], metadata.row_schema["examples"][0]
        return metadata
    except OSError as error:
        raise TakehomeError(f"{path.parent.name}/model.json can't be read: {error.strerror}.") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["loc"] == ("format",) and first["input"] == 1:
            raise TakehomeError(
                f"Model {path.parent.name} was saved by an older takehome. Run the notebook again."
            ) from error
        where = ".".join(map(str, first["loc"])) or "the file"
        raise TakehomeError(
            f"{path.parent.name}/model.json is not what takehome writes: {where}: {first['msg']}. Save the model again."
        ) from error
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise TakehomeError(f"{path.parent.name}/model.json has a broken row schema. Save the model again.") from error
