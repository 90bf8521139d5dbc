"""The file with its answers: written while they come in."""

import csv
import io
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from page.batch.scoring import Outcome
from page.batch.table import Table
from page.contract import Answer, Model
from page.figures import is_number

MOST_NOTES = 1000
MOST_SHOWN = 50
FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Note:
    """What the API said about one row, found by the line that it begins on."""

    line: int
    column: str
    what: str
    message: str


@dataclass
class Result:
    """The scored file as CSV, and what is told of it; the file's own columns stay as they came."""

    table: Table
    version: str
    classes: list[str]
    header: list[str]
    answered: int = 0
    warned: int = 0
    refused: int = 0
    formulas: int = 0
    stopped: str | None = None
    notes: list[Note] = field(default_factory=list)
    shown: list[list[Any]] = field(default_factory=list)
    predictions: Counter = field(default_factory=Counter)
    text: io.BytesIO = field(default_factory=io.BytesIO)

    @property
    def done(self) -> int:
        """How many rows the API has answered or refused."""
        return self.answered + self.refused

    def add(self, lines: list[tuple[int, list[str]]], outcomes: list[Outcome]) -> None:
        """Write rows with their answers; a refused row keeps its place, its answer empty and the reason at its end."""
        part = io.StringIO()
        writer = csv.writer(part, lineterminator="\n")
        for (line, fields), outcome in zip(lines, outcomes, strict=True):
            row = [*fields, *self._added(line, outcome)]
            writer.writerow(row)
            if len(self.shown) < MOST_SHOWN:
                self.shown.append(row)
            self.formulas += any(_is_formula(text) for text in fields)
        self.text.write(part.getvalue().encode())

    def _added(self, line: int, outcome: Outcome) -> list[Any]:
        if not isinstance(outcome, Answer):
            self.refused += 1
            self._note(line, outcome, "error")
            return ["", *[""] * len(self.classes), "", inert("; ".join(map(str, outcome)))]
        self.answered += 1
        self.warned += bool(outcome.warnings)
        self._note(line, outcome.warnings, "warning")
        self.predictions[outcome.prediction] += 1
        shares = [(outcome.probabilities or {}).get(label, "") for label in self.classes]
        value = outcome.prediction if is_number(outcome.prediction) else inert(str(outcome.prediction))
        return [value, *shares, inert("; ".join(map(str, outcome.warnings))), ""]

    def _note(self, line: int, problems: list[Any], what: str) -> None:
        room = MOST_NOTES - len(self.notes)
        self.notes += [Note(line, problem.column or "", what, problem.msg) for problem in problems[:room]]


def begin(table: Table, model: Model, labels: list[str]) -> Result:
    """Open the result of a file with its header line; new columns never take the name of one that is there."""
    names = ["prediction", *(f"probability: {label}" for label in labels), "warnings", "error"]
    taken, header = set(table.header), list(table.header)
    for name in names:
        free = next(n for n in (name, *(f"{name} ({i})" for i in range(2, 1000))) if n not in taken)
        taken.add(free)
        header.append(free)
    result = Result(table, model.version, labels, header)
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(header)
    result.text.write(line.getvalue().encode())
    return result


def inert(text: str) -> str:
    """Put an apostrophe before what a spreadsheet would run; numbers stay."""
    return f"'{text}" if _is_formula(text) else text


def _is_formula(text: str) -> bool:
    if not text.startswith(FORMULA):
        return False
    try:
        float(text)
    except ValueError:
        return True
    return False
