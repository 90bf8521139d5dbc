"""One run of a notebook in a clean place; what came of it is plain data."""

import copy
import json
import time
from pathlib import Path
from typing import Any, Literal, Protocol

from nbformat import NotebookNode
from pydantic import BaseModel, Field

from takehome.notebook import CellFailure, Runner
from takehome.verification.data import fingerprints
from takehome.verification.place import Place
from takehome.verification.report import StateOfData
from takehome.verification.witness import NOTES

TIMEOUT = 600
Output = dict[str, Any]


class Failure(BaseModel):
    """How a cell ended the run; as `CellFailure`."""

    cell: int
    why: Literal["error", "timeout", "died"]
    name: str
    text: str


class Ran(BaseModel):
    """What a run gave: as honest as the notebook, which may show whatever it likes."""

    outputs: list[list[Output]] = Field(description="of each code cell that ran to its end")
    seconds: list[float] = Field(description="of each code cell that began")
    failure: Failure | None
    used: dict[int, list[str]] = Field(description="by code cell, which of the global random generators it used")
    network: Literal["cut off", "not cut off"]
    data: StateOfData
    folder: str = Field(description="the place, which may be part of what is shown")


class Listener(Protocol):
    """Who is told while it runs; cells are numbered from 1."""

    def begin(self, number: int) -> None: ...
    def end(self, number: int, outputs: list[Output], seconds: float) -> None: ...
    def fail(self, failure: Failure, seconds: float) -> None: ...


def run(saved: NotebookNode, place: Place, timeout: int, listener: Listener | None = None) -> Ran:
    """Run the cells of a notebook; one that fails ends the run, and is noted.

    Parameters
    ----------
    saved : the notebook, which stays as it is.
    place : where it runs.
    timeout : seconds that a cell may take.
    listener : who is told of each cell.

    Raises
    ------
    KeyboardInterrupt
        SIGTERM or Ctrl-C came; the kernel is gone.
    """
    before, notebook, failure = fingerprints(place.static), copy.deepcopy(saved), None
    record = _Record(notebook, listener)
    runner = Runner(
        notebook,
        place.notebook.parent,
        environment=place.environment(),
        wrapper=place.wrapper(),
        arguments=["--ext=takehome.verification.witness"],
        timeout=timeout,
    )
    try:
        runner.run(record)
    except CellFailure as error:
        failure = Failure(cell=error.cell, why=error.why, name=error.name, text=error.text)
        record.fail(failure)
    return Ran(
        outputs=record.outputs,
        seconds=record.seconds,
        failure=failure,
        used=_used(place.witness / NOTES),
        network="cut off" if place.closed().get("network") else "not cut off",
        data=_state_of_data(place, before),
        folder=str(place.folder),
    )


class _Record:
    """Keeps what each cell shows, and hands it on."""

    def __init__(self, notebook: NotebookNode, listener: Listener | None) -> None:
        self._notebook, self._listener, self._began = notebook, listener, 0.0
        self.outputs: list[list[Output]] = []
        self.seconds: list[float] = []

    def begin(self, cell: int, index: int) -> None:  # noqa: ARG002
        self._began = time.monotonic()
        if self._listener:
            self._listener.begin(cell)

    def end(self, cell: int, index: int) -> None:
        self._stop()
        self.outputs.append(self._notebook.cells[index].outputs)
        if self._listener:
            self._listener.end(cell, self.outputs[-1], self.seconds[-1])

    def fail(self, failure: Failure) -> None:
        self._stop()
        if self._listener:
            self._listener.fail(failure, self.seconds[-1])

    def _stop(self) -> None:
        self.seconds.append(round(time.monotonic() - self._began, 2))


def _state_of_data(place: Place, before: dict[str, str]) -> StateOfData:
    if place.closed().get("data") or place.is_mounted_read_only():
        return "read-only"
    return "not read-only, and unchanged" if fingerprints(place.static) == before else "changed by the notebook"


def _used(notes: Path) -> dict[int, list[str]]:
    """Return what the witness noted of the random generators, by cell; a notebook may have spoilt it."""
    try:
        lines = notes.read_text(encoding="utf-8").splitlines()
        return {number: list(map(str, json.loads(line)["used"])) for number, line in enumerate(lines, 1)}
    except (OSError, ValueError, TypeError, LookupError):
        return {}
