"""Run a notebook again in a clean place, and hold all that comes out against what is saved."""

import copy
import json
import platform
import time
from collections.abc import Mapping
from pathlib import Path

from nbformat import NotebookNode

from takehome.errors import TakehomeError
from takehome.metadata import Metadata
from takehome.notebook import CellFailure, Runner, code_cells, open_notebook
from takehome.settings import Settings
from takehome.store import Store
from takehome.verification import causes, cells, code, data, environment, model
from takehome.verification.causes import Evidence
from takehome.verification.place import Place, clean_copy
from takehome.verification.report import (
    Cause,
    CellReport,
    EnvironmentReport,
    Kind,
    ModelReport,
    Outcome,
    Report,
    StateOfData,
    Verdict,
)
from takehome.verification.telling import Silence, Telling
from takehome.verification.witness import NOTES

TIMEOUT = 600
RTOL = 1e-6


def verify(  # noqa: PLR0913
    notebook: Path,
    *,
    rtol: float = RTOL,
    timeout: int = TIMEOUT,
    kept: Path | None = None,
    claimed: Mapping[str, str] | None = None,
    telling: Telling | None = None,
) -> Report:
    """Run a notebook again and compare: its cells, its model, the environment and the data.

    The folders are those of `Settings`; nothing in them is changed.

    Parameters
    ----------
    notebook : an `.ipynb` file.
    rtol : relative tolerance of numbers.
    timeout : seconds that a cell may take.
    kept : folder of the model version to compare with; default: the served one, or else the newest, of its name.
    claimed : SHA-256 by name of the files in the static folder, if somebody claims what they were.
    telling : who is told how far it is; default: nobody.

    Returns
    -------
    The report; a notebook that fails is a finding, no error.

    Raises
    ------
    TakehomeError
        The file is no notebook, or there is no room for a clean copy.
    KeyboardInterrupt
        SIGTERM or Ctrl-C came; kernel and copy are gone.
    """
    began, settings = time.monotonic(), Settings()
    saved = open_notebook(notebook.absolute())
    before = data.fingerprints(settings.static_dir)
    with clean_copy(notebook, settings) as place:
        verification = _Verification(saved, place, rtol, telling or Silence())
        verification.run(timeout)
        report = verification.report(notebook, kept, before, claimed)
    report.seconds = round(time.monotonic() - began, 1)
    return report


class _Verification:
    """One run with what is found on the way; told of each cell by the runner."""

    def __init__(self, saved: NotebookNode, place: Place, rtol: float, telling: Telling) -> None:
        self._saved, self._place, self._rtol, self._telling = saved, place, rtol, telling
        self._found = copy.deepcopy(saved)
        self._code = code.read(saved)
        self._foreign = causes.foreign_paths(self._code, place)
        self._failed: CellFailure | None = None
        self._began = 0.0
        self._cells = [
            CellReport(
                number=number,
                index=index,
                id=saved.cells[index].get("id"),
                source=saved.cells[index].source.strip().splitlines()[0],
                compared=[],
                outcome=Outcome.NOT_RUN,
                difference=None,
            )
            for number, index in enumerate(code_cells(saved), 1)
        ]

    def begin(self, cell: int, index: int) -> None:  # noqa: ARG002
        self._began = time.monotonic()
        self._telling.begin(self._cells[cell - 1], len(self._cells))

    def end(self, cell: int, index: int) -> None:
        report = self._cells[cell - 1]
        report.seconds = round(time.monotonic() - self._began, 2)
        compared = cells.compare(self._saved.cells[index], self._found.cells[index], self._rtol)
        report.compared, report.outcome, report.difference = compared
        self._telling.end(report, len(self._cells))

    def run(self, timeout: int) -> None:
        """Run the cells; one that fails ends the run, and is noted."""
        runner = Runner(
            self._found,
            self._place.notebook.parent,
            environment=self._place.environment(),
            wrapper=self._place.wrapper(),
            arguments=["--ext=takehome.verification.witness"],
            timeout=timeout,
        )
        try:
            runner.run(self)
        except CellFailure as failure:
            self._failed, report = failure, self._cells[failure.cell - 1]
            report.seconds, report.outcome = round(time.monotonic() - self._began, 2), Outcome.FAILED
            last = (failure.text.strip().splitlines() or [""])[-1]
            report.compared = ["error"]
            report.difference = f"+ {failure.name or failure.why}: {last}" if failure.name else f"+ {failure.why}"
            self._telling.end(report, len(self._cells))

    def report(
        self, notebook: Path, kept: Path | None, before: dict[str, str], claimed: Mapping[str, str] | None
    ) -> Report:
        """Compare the rest, name the causes, and judge."""
        place, new = self._place, Store(self._place.new_models)
        found = _current(new)
        metadata = _metadata(found)
        if metadata and kept is None:
            kept = model.find_kept(Store(place.models), metadata.name)
        old = _metadata(kept)
        models = model.compare(kept, found, place.witness, self._rtol)
        lock = environment.find_lock(place.project)
        files = data.compare(before, claimed, old, metadata)
        packages = environment.other_versions(lock, old)
        evidence = Evidence(
            saved=self._saved,
            cells=self._code,
            place=place,
            differing=self._differing(models),
            failed=self._failed,
            used=_used(place.witness / NOTES),
            data=files,
            packages=packages,
            lock=lock,
            saved_at=old.created.timestamp() if old else notebook.stat().st_mtime,
            foreign=self._foreign,
        )
        named = causes.find(evidence)
        outcomes = [*(cell.outcome for cell in self._cells), models.outcome, files.outcome]
        verdict = _judge(outcomes, named)
        return Report(
            notebook=notebook.name,
            verdict=verdict,
            summary=_summary(verdict, self._cells, models, named),
            rtol=self._rtol,
            seconds=0,
            cells=self._cells,
            model=models,
            environment=EnvironmentReport(
                python=platform.python_version(),
                network="cut off" if place.closed().get("network") else "not cut off",
                data=self._state_of_data(before),
                checked=len(lock),
                packages=packages,
            ),
            data=files,
            causes=named,
        )

    def _differing(self, models: ModelReport) -> list[int]:
        """Return the cells whose output is another one; the saving cell stands for the model."""
        differing = [cell.number for cell in self._cells if cell.outcome == Outcome.DIFFERS]
        saving = [cell.number for cell in self._code if any(name.endswith("save_model") for name, _ in cell.calls)]
        return differing + (saving[-1:] if models.outcome == Outcome.DIFFERS else [])

    def _state_of_data(self, before: dict[str, str]) -> StateOfData:
        if self._place.closed().get("data") or self._place.is_mounted_read_only():
            return "read-only"
        same = data.fingerprints(self._place.static) == before
        return "not read-only, and unchanged" if same else "changed by the notebook"


def _current(store: Store) -> Path | None:
    try:
        version = store.current()
    except TakehomeError:
        return None
    return store.path(version) if version else None


def _metadata(folder: Path | None) -> Metadata | None:
    try:
        return Store(folder.parent).metadata(folder.name) if folder else None
    except TakehomeError:
        return None


def _used(notes: Path) -> dict[int, list[str]]:
    """Return what the witness noted of the random generators, by cell; a notebook may have spoilt it."""
    try:
        lines = notes.read_text(encoding="utf-8").splitlines()
        return {number: list(json.loads(line)["used"]) for number, line in enumerate(lines, 1)}
    except (OSError, ValueError, TypeError, LookupError):
        return {}


def _judge(outcomes: list[Outcome], named: list[Cause]) -> Verdict:
    worst = causes.worst(outcomes).rank
    if any(cause.breaks for cause in named):
        worst = Outcome.FAILED.rank
    if any(cause.kind == Kind.ORDER for cause in named):
        worst = max(worst, Outcome.DIFFERS.rank)
    return (Verdict.REPRODUCED, Verdict.CLOSE, Verdict.DIFFERS, Verdict.FAILS)[worst]


def _summary(verdict: Verdict, reports: list[CellReport], models: ModelReport, named: list[Cause]) -> str:
    bad = [cell for cell in reports if cell.outcome in (Outcome.DIFFERS, Outcome.FAILED)]
    compared = sum(cell.outcome in (Outcome.SAME, Outcome.CLOSE) for cell in reports)
    if bad:
        return f"Cell {bad[0].number} {'failed' if bad[0].outcome == Outcome.FAILED else 'gives something else'}."
    if models.outcome in (Outcome.DIFFERS, Outcome.FAILED):
        return "The cells give the same; the model does not."
    if verdict.status:
        return f"The cells give the same here; {named[0].kind.value if named else 'the data does not'}."
    told = ""
    if answers := models.training or models.examples:
        how = "bit-identical" if answers.identical else "equal within the tolerance"
        told = f"; the model's answers on {answers.rows:,} rows are {how}"
    nothing = "" if compared else " The notebook was saved without outputs, so only that it runs was checked."
    return f"{compared} of {len(reports)} cells give the same{told}.{nothing}"
