"""The servers that are compared: how each is installed, what starts it, and how it wants to be asked."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from takehome.errors import TakehomeError

from bench.workload import Row

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".bench"
_SHARED = ("scikit-learn", "numpy", "pandas", "uvicorn")  # in our versions


def bare(rows: list[Row], *, many: bool) -> Any:
    """One row is an object, many are a list."""
    return rows if many else rows[0]


def listed(rows: list[Row], *, many: bool) -> Any:  # noqa: ARG001
    """Always a list."""
    return rows


def under(key: str) -> Callable[..., Any]:
    """Return what puts the list of rows under a key."""
    return lambda rows, *, many: {key: rows}  # noqa: ARG005


def of_ours(answer: Any) -> Any:
    """Return the probabilities of our API's answer."""
    found = answer if isinstance(answer, list) else [answer]
    return [list(one["probabilities"].values()) for one in found]


@dataclass(frozen=True)
class Contender:
    """A server.

    Attributes
    ----------
    name : what the report calls it.
    command : behind the Python that runs it; `{port}` is filled in.
    packages : what its own virtual environment holds; the first gives its version. Empty: it runs in ours.
    one, many : the paths that take one row and many; no `many`: it takes no list.
    body, read : rows to what it takes, its answer to a list of probabilities.
    constant : its answers are no predictions, and are not checked.
    """

    name: str
    command: tuple[str, ...]
    packages: tuple[str, ...] = ()
    one: str = "/predict"
    many: str = "/predict_many"
    body: Callable[..., Any] = bare
    read: Callable[[Any], Any] = lambda answer: answer
    env: dict[str, str] = field(default_factory=dict)
    constant: bool = False

    @property
    def package(self) -> str:
        """The name of the package that it is compared for."""
        return self.packages[0].partition(">=")[0]

    @property
    def python(self) -> Path:
        """The interpreter of its environment."""
        return FOLDER / self.package / "bin" / "python" if self.packages else Path(sys.executable)

    def install(self) -> None:
        """Make its virtual environment, with our versions of what the figures depend on.

        Raises
        ------
        TakehomeError
            A package can't be had, or doesn't get along with ours.
        """
        if self.python.exists():
            return
        uv, folder = str(Path(sys.executable).with_name("uv")), self.python.parents[1]
        packages = [*self.packages, *(f"{name}=={version(name)}" for name in _SHARED), "uvicorn[standard]"]
        commands = (
            [uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "--quiet", "--python", str(self.python), *packages],
        )
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                shutil.rmtree(folder, ignore_errors=True)
                raise TakehomeError(f"can't be installed: {' '.join(done.stderr.split())[-300:]}")

    def version(self) -> str:
        """Return the version of its package, or of FastAPI where it has none of its own."""
        if not self.packages:
            return f"FastAPI {version('fastapi')}"
        code = f"from importlib.metadata import version; print(version({self.package!r}))"
        found = subprocess.run(
            [str(self.python), "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        return f"{self.package} {found}"


def uvicorn(module: str) -> tuple[str, ...]:
    """Return the command that serves `app` of a file in `servers`."""
    return ("-m", "uvicorn", f"{module}:app", "--port", "{port}", "--no-access-log", "--log-level", "warning")


_API = (str(ROOT / "containers" / "fastapi" / "start.py"),)
OURS = "this project"
PLAIN = Contender("plain endpoint", uvicorn("plain"))
LIMIT = Contender("limit: a constant answer", uvicorn("limit"), many="", constant=True)
PEERS = (
    Contender(
        "vetiver", uvicorn("vetivered"), ("vetiver>=0.2.6",), many="/predict", body=listed, read=lambda a: a["predict"]
    ),
    Contender(
        "MLflow",
        ("mlflowed.py", "{port}"),
        ("mlflow>=3.17",),
        one="/invocations",
        many="/invocations",
        body=under("dataframe_records"),
        read=lambda answer: answer["predictions"],
    ),
    Contender(
        "BentoML, batching",
        ("-m", "bentoml", "serve", "bentoed:Service", "--port", "{port}", "--host", "127.0.0.1"),
        ("bentoml>=1.4",),
        body=under("rows"),
    ),
    Contender("LitServe, batching", ("litserved.py", "{port}"), ("litserve>=0.2.19",), many=""),
    Contender("FastAPI + async-batcher", uvicorn("async_batching"), ("async-batcher>=0.2.2", "fastapi")),
    Contender("FastAPI + batched", uvicorn("batching"), ("batched>=0.1.5", "fastapi")),
)


def ours(name: str = OURS, **env: str) -> Contender:
    """Return our API as local mode starts it, with these settings."""
    return Contender(name, _API, many="/predict", read=of_ours, env={"PREDICTION_LOG": "off", **env})
