"""Telling a person how far a verification is, and what came of it."""

from typing import Protocol

from rich.console import Console
from rich.table import Table
from rich.text import Text

from takehome.verification.report import Answers, CellReport, ModelReport, Outcome, Report

_STYLES = {
    Outcome.SAME: "green",
    Outcome.CLOSE: "green",
    Outcome.DIFFERS: "red",
    Outcome.FAILED: "bold red",
    Outcome.NOT_RUN: "yellow",
}


class Telling(Protocol):
    """Who is told of each cell."""

    def begin(self, cell: CellReport, total: int) -> None: ...
    def end(self, cell: CellReport, total: int) -> None: ...


class Silence:
    """Nobody."""

    def begin(self, cell: CellReport, total: int) -> None:
        """Say nothing."""

    def end(self, cell: CellReport, total: int) -> None:
        """Say nothing."""


class Lines:
    """A line a cell; on a terminal it is there while the cell runs."""

    def __init__(self, console: Console) -> None:
        self._console, self._status = console, console.status("")

    def begin(self, cell: CellReport, total: int) -> None:
        """Show which cell runs."""
        self._status.update(Text(f"cell {cell.number} of {total}: {cell.source[:60]}"))
        if self._console.is_terminal:
            self._status.start()

    def end(self, cell: CellReport, total: int) -> None:
        """Leave a line with the outcome."""
        self._status.stop()
        outcome = Text(cell.outcome.value, style=_STYLES.get(cell.outcome, ""))
        self._console.print(Text.assemble(f"cell {cell.number:>2} of {total}  {cell.seconds:6.1f} s  ", outcome))

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()


def show(report: Report, console: Console) -> None:
    """Print the table, the causes and the verdict."""
    table = Table(title=report.notebook, title_justify="left")
    for column in ("cell", "compared", "verdict"):
        table.add_column(column, no_wrap=True)
    table.add_column("first difference", overflow="fold")
    for cell in report.cells:
        name = Text.assemble(f"{cell.number:>2}  ", (_short(cell.source, 22), "dim"))
        table.add_row(name, ", ".join(cell.compared), _outcome(cell.outcome), _diff(cell.difference))
    table.add_section()
    table.add_row("model", "answers", _outcome(report.model.outcome), Text(_model(report.model)))
    table.add_row("data", "SHA-256", _outcome(report.data.outcome), Text(_data(report)))
    versions = f"{report.environment.checked} versions" if report.environment.checked else "no lock here"
    table.add_row("environment", versions, "", Text(_environment(report)))
    console.print(table)
    for cause in report.causes:
        where = f"cell {cause.cell}: " if cause.cell else ""
        console.print(
            Text.assemble(("● ", "red"), (f"{where}{cause.kind.value}", "bold"), f": {cause.message}."), soft_wrap=True
        )
    style = "bold red" if report.verdict.status else "bold green"
    console.print(
        Text.assemble((report.verdict.value, style), f" in {report.seconds:.0f} s. {report.summary}"), soft_wrap=True
    )


def _outcome(outcome: Outcome) -> Text:
    return Text(outcome.value, style=_STYLES.get(outcome, "dim"))


def _diff(difference: str | None) -> Text:
    shown = Text()
    for line in (difference or "").splitlines():
        shown.append(("\n" if shown else "") + line, style={"-": "red", "+": "green"}.get(line[:1], ""))
    return shown


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _model(model: ModelReport) -> str:
    if model.message:
        return model.message
    lines = [
        f"{figure.name}: {figure.saved} saved, {figure.found} found"
        for figure in model.metrics
        if figure.outcome == Outcome.DIFFERS
    ]
    lines += [
        _answers(name, found) for name, found in (("example", model.examples), ("training", model.training)) if found
    ]
    return "\n".join(lines)


def _answers(name: str, answers: Answers) -> str:
    if answers.identical:
        return f"{answers.rows:,} {name} rows: bit-identical answers"
    other = f", {answers.other_labels:,} with another class" if answers.other_labels else ""
    return f"{answers.rows:,} {name} rows: up to {answers.largest_difference:.3g} apart{other}"


def _data(report: Report) -> str:
    saved, found = report.data.rows
    if report.data.outcome != Outcome.DIFFERS:
        return f"{found:,} rows reached the model" if found else ""
    return (
        f"- {saved or 0:,} rows\n+ {found or 0:,} rows, not the same"
        if saved != found
        else f"{found:,} rows, not the same"
    )


def _environment(report: Report) -> str:
    here = report.environment
    others = [f"{p.name}: {p.here} here, {p.expected} in the {p.by}" for p in here.packages[:5]]
    return "\n".join([f"Python {here.python}; network {here.network}; data {here.data}", *others])
