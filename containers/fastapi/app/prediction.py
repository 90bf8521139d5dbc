"""Rows in, answers out: what runs beside the event loop for each request."""

from typing import Any

from takehome.answers import Answer
from takehome.artifact import Model
from takehome.rows import Finding, RowError
from takehome.schema import Row


def predict(model: Model, rows: list[Any], *, strict: bool) -> list[dict[str, Any]]:
    """Answer rows.

    Parameters
    ----------
    model : that was proved.
    rows : n decoded JSON values.
    strict : refuse what would be a warning.

    Returns
    -------
    n answers, each with its list of `warnings`.

    Raises
    ------
    RowError
        A row doesn't fit the row schema, or the estimator can't answer it.
    """
    known, warnings = model.reader.read(rows, strict=strict)
    try:
        answers = _answer(model, known)
    except Exception as error:  # whatever an estimator raises, it is the row that it can't answer
        raise RowError([_unanswerable(model, known, error)]) from error
    return [{**answer, "warnings": found} for answer, found in zip(answers, warnings, strict=True)]


def _answer(model: Model, rows: list[Row]) -> list[Answer]:
    return model.predict(model.schema.to_frame(rows))


def _unanswerable(model: Model, rows: list[Row], error: Exception) -> Finding:
    """Find the first row that the estimator fails on, by halves."""
    first, last = 0, len(rows)
    while last - first > 1:
        middle = (first + last) // 2
        try:
            _answer(model, rows[first:middle])
            first = middle
        except Exception as found:  # see above
            last, error = middle, found
    reason = str(error).partition("\n")[0][:200]
    return {"type": "model_error", "loc": ["body", first], "msg": f"The model can't answer this row: {reason}"}
