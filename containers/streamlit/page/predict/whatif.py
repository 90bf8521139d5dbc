"""What the model would answer if one field were different: the rows to ask for, and the curves from the answers."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from page.api import Api, Row
from page.contract import Answer, Answers, Column, Served, Spread, Unavailable
from page.figures import is_number
from page.moment import seconds

MOST_CURVES = 6
MOST_POINTS = 25
MOST_VALUES = 10
# The API takes ten million bytes at once; the reader waits for what is computed.
MOST_BYTES = 4_000_000
MOST_ROWS = 2000


@dataclass(frozen=True)
class Curve:
    """The answers along one column, all other fields as they are; `labels` without probabilities, else None."""

    column: str
    kind: str
    values: list[Any]
    heights: list[float]
    labels: list[str] | None = None

    @property
    def spread(self) -> float:
        """How far the answers lie apart."""
        if self.labels is not None:
            return float(len(set(self.labels)) - 1)
        return max(self.heights) - min(self.heights)


def ask(api: Api, served: Served, row: Row, answer: Answer) -> list[Curve] | Unavailable:
    """Ask for all variations of the row in one call that is not logged; the columns that matter most come first.

    Returns
    -------
    At most `MOST_CURVES` curves: of the columns that are most important to the model where it knows, else of those
    along which the answer moves most. None where there is nothing to vary.
    """
    asked = variations(served, row)
    rows = [row | {name: value} for name, values in asked.items() for value in values]
    if not rows:
        return []
    result = api.predict_many(rows, log=False)
    if not isinstance(result, Answers):
        return result if isinstance(result, Unavailable) else Unavailable("The API refuses the variations of this row.")
    if result.version != served.model.version:
        return Unavailable("The model was replaced meanwhile.")
    curves, place = [], 0
    for name, values in asked.items():
        found = result.answers[place : place + len(values)]
        curves.append(_curve(name, served.schema.properties[name], values, found, answer))
        place += len(values)
    if not any(item.mean > 0 for item in served.model.importance):
        curves.sort(key=lambda curve: curve.spread, reverse=True)
    return curves[:MOST_CURVES]


def variations(served: Served, row: Row) -> dict[str, list[Any]]:
    """Choose the columns to vary and the values to try, the row's own among them; fewer where rows are wide."""
    model, columns = served.model, served.schema.properties
    important = [item.column for item in model.importance if item.mean > 0 and item.column in columns]
    candidates = [name for name in important or columns if columns[name].kind != "text"]
    candidates = candidates[:MOST_CURVES] if important else candidates
    size = len(json.dumps(row)) + 1
    most = max(2, min(MOST_POINTS, min(MOST_ROWS, MOST_BYTES // size) // max(1, len(candidates))))
    tried = {name: _values(columns[name], model.profile.get(name), row[name], most) for name in candidates}
    return {name: values for name, values in tried.items() if len(values) > 1}


def score(answer: Answer, base: Answer) -> float:
    """Give what a curve shows: the prediction of a number, the probability of the class that the form got."""
    if answer.probabilities is None or base.probabilities is None:
        return float(answer.prediction) if is_number(answer.prediction) else 0.0
    return answer.probabilities[shown_class(base)]


def shown_class(base: Answer) -> str:
    """Name the class whose probability is drawn: of two the second, of many the one that was predicted."""
    labels = list(base.probabilities or {})
    return labels[1] if len(labels) == 2 else str(base.prediction)


def _curve(name: str, column: Column, values: list[Any], answers: list[Answer], base: Answer) -> Curve:
    bare = base.probabilities is None and not is_number(base.prediction)
    labels = [str(answer.prediction) for answer in answers] if bare else None
    return Curve(name, column.kind, values, [score(answer, base) for answer in answers], labels)


def _values(column: Column, spread: Spread | None, held: Any, most: int) -> list[Any]:
    """Give values of the training data, in order, with the one that the form holds."""
    if column.kind in ("category", "boolean"):
        all_values = column.categories or [False, True]
        usual = ((spread and spread.values) or all_values)[: min(most, MOST_VALUES)]
        known = [value for value in all_values if value in usual or value == held]
        return known if held is None or held in known else [*known, held]
    if column.minimum is None:
        return []
    line = _line(column, most)
    return sorted({*line, held}, key=seconds) if held is not None else line


def _line(column: Column, most: int) -> list[Any]:
    """Give evenly spaced values from the smallest to the largest observed one."""
    low, high = seconds(column.minimum), seconds(column.maximum)
    points = [low + (high - low) * i / (most - 1) for i in range(most)]
    shaped = {
        "number": lambda point: float(f"{point:.6g}"),
        "integer": round,
        "date": lambda point: datetime.fromtimestamp(point, UTC).date().isoformat(),
        "datetime": lambda point: datetime.fromtimestamp(round(point), UTC).isoformat(),
    }[column.kind]
    inner = [shaped(point) for point in points[1:-1]]
    within = [value for value in inner if low < seconds(value) < high]
    return list(dict.fromkeys([column.minimum, *within, column.maximum]))
