"""Answers as JSON texts, many in one go: to write them one by one would take three times as long."""

from functools import lru_cache
from typing import Any

from pydantic_core import to_json
from takehome.answers import Predictions

Text = bytes
"""The prediction for a row, a tab, and its probabilities if there are any, in the order of the log's columns.

No tuple: each one that is kept would bring the garbage collector's next run nearer.
"""


def texts(predictions: Predictions) -> list[Text]:
    """Return prediction and probabilities of each row."""
    if predictions.probabilities is None:
        return [prediction + b"\t" for prediction in _each(predictions.values)]
    form, numbers = _form(predictions.labels), iter(_each(predictions.probabilities.ravel().tolist()))
    rows = zip(_each(predictions.values), *[numbers] * len(predictions.labels), strict=True)
    return [form % row for row in rows]


def as_object(text: Text, warnings: bytes) -> bytes:
    """Return an answer as a JSON object."""
    prediction, _, probabilities = text.partition(b"\t")
    if not probabilities:
        return b'{"prediction":%b,"warnings":%b}' % (prediction, warnings)
    return b'{"prediction":%b,"probabilities":%b,"warnings":%b}' % (prediction, probabilities, warnings)


def _each(values: list[Any]) -> list[bytes]:
    if values and isinstance(values[0], str):
        known = {label: to_json(label) for label in set(values)}
        return [known[label] for label in values]
    return to_json(values)[1:-1].split(b",") if values else []


@lru_cache(8)
def _form(labels: tuple[str, ...]) -> bytes:
    """Return a prediction and the object of its probabilities, with a place for each."""
    return b"%b\t{" + b",".join(to_json(label).replace(b"%", b"%%") + b":%b" for label in labels) + b"}"
