"""All that came out of a run against what is saved; no code of the notebook is needed for it, nor trusted."""

import platform
from collections.abc import Mapping

from nbformat import NotebookNode, from_dict

from takehome.metadata import Metadata
from takehome.notebook import CellFailure, code_cells
from takehome.verification import causes, cells, code, data, environment
from takehome.verification.causes import Evidence
from takehome.verification.place import Place
from takehome.verification.report import (
    Cause,
    CellReport,
    EnvironmentReport,
    Kind,
    ModelReport,
    Outcome,
    Report,
    Verdict,
)
from takehome.verification.run import Failure, Output, Ran
from takehome.verification.telling import Silence, Telling

RTOL = 1e-6


class Comparison:
    """Told of each cell, while a notebook runs or afterwards, and then of the rest.

    Parameters
    ----------
    saved : the notebook as it stands in the file.
    place : a clean copy of it, in which it has not run yet.
    rtol : relative tolerance of numbers.
    telling : who is told of each cell; default: nobody.
    """

    def __init__(self, saved: NotebookNode, place: Place, rtol: float = RTOL, telling: Telling | None = None) -> None:
        self._saved, self._place, self._rtol, self._telling = saved, place, rtol, telling or Silence()
        self._code = code.read(saved)
        self._foreign = causes.foreign_paths(self._code, place)
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

    def begin(self, number: int) -> None:
        """Take note that a cell runs."""
        self._telling.begin(self._cells[number - 1], len(self._cells))

    def end(self, number: int, outputs: list[Output], seconds: float) -> None:
        """Compare what a cell has shown."""
        report = self._cells[number - 1]
        compared = cells.compare(self._saved.cells[report.index], from_dict({"outputs": outputs}), self._rtol)
        report.seconds = seconds
        report.compared, report.outcome, report.difference = compared
        self._telling.end(report, len(self._cells))

    def fail(self, failure: Failure, seconds: float) -> None:
        """Take note of the cell that ended the run."""
        report = self._cells[failure.cell - 1]
        last = (failure.text.strip().splitlines() or [""])[-1]
        report.seconds, report.outcome, report.compared = seconds, Outcome.FAILED, ["error"]
        report.difference = f"+ {failure.name or failure.why}: {last}" if failure.name else f"+ {failure.why}"
        self._telling.end(report, len(self._cells))

    def replay(self, ran: Ran) -> None:
        """Compare the cells of a run that is over."""
        for number, outputs in enumerate(ran.outputs, 1):
            self.end(number, outputs, ran.seconds[number - 1])
        if ran.failure:
            self.fail(ran.failure, ran.seconds[-1])

    def report(  # noqa: PLR0913
        self,
        ran: Ran,
        models: ModelReport,
        *,
        old: Metadata | None,
        new: Metadata | None,
        files: dict[str, str],
        claimed: Mapping[str, str] | None = None,
    ) -> Report:
        """Compare the rest, name the causes, and judge.

        Parameters
        ----------
        ran : what the run gave; its cells have been compared.
        models : how the two models compare.
        old, new : what is known of the saved model, and of the run's.
        files : SHA-256 by name of the data, as it was before the run.
        claimed : the same, if somebody claims what it was.
        """
        place = self._place
        lock = environment.find_lock(place.project)
        packages = environment.other_versions(lock, old)
        compared = data.compare(files, claimed, old, new)
        named = causes.find(
            Evidence(
                saved=self._saved,
                cells=self._code,
                place=place,
                differing=self._differing(models),
                failed=self._failure(ran),
                used=ran.used,
                data=compared,
                packages=packages,
                lock=lock,
                saved_at=old.created.timestamp() if old else place.saved_at,
                foreign=self._foreign,
            )
        )
        verdict = _judge([*(cell.outcome for cell in self._cells), models.outcome, compared.outcome], named)
        return Report(
            notebook=place.notebook.name,
            verdict=verdict,
            summary=_summary(verdict, self._cells, models, named),
            rtol=self._rtol,
            seconds=0,
            cells=self._cells,
            model=models,
            environment=EnvironmentReport(
                python=platform.python_version(),
                network=ran.network,
                data=ran.data,
                checked=len(lock),
                packages=packages,
            ),
            data=compared,
            causes=named,
        )

    def _differing(self, models: ModelReport) -> list[int]:
        """Return the cells whose output is another one; the saving cell stands for the model."""
        differing = [cell.number for cell in self._cells if cell.outcome == Outcome.DIFFERS]
        saving = [cell.number for cell in self._code if any(name.endswith("save_model") for name, _ in cell.calls)]
        return differing + (saving[-1:] if models.outcome == Outcome.DIFFERS else [])

    def _failure(self, ran: Ran) -> CellFailure | None:
        """Return the failure as if it had been in this place."""
        if ran.failure is None:
            return None
        text = ran.failure.text.replace(ran.folder, str(self._place.folder)) if ran.folder else ran.failure.text
        return CellFailure(ran.failure.cell, ran.failure.why, ran.failure.name, text)


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
