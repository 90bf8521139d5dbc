"""What an estimator answers, as JSON values."""

from typing import Any, NotRequired, Protocol

import numpy as np
import pandas as pd
from typing_extensions import TypedDict


class Estimator(Protocol):
    """Anything with a scikit-learn `predict`."""

    def predict(self, X: pd.DataFrame) -> Any: ...


class Class(TypedDict):
    """A class: the value that the estimator gives, and what people are shown."""

    value: str | int | float | bool
    label: str


class Answer(TypedDict):
    """The answer for one row: a label with the probability of each, or a number."""

    prediction: str | float
    probabilities: NotRequired[dict[str, float]]


class NotAnAnswerError(ValueError):
    """The estimator gave NaN, infinity or a class of its own making."""


def answer(estimator: Estimator, frame: pd.DataFrame, classes: list[Class] | None) -> list[Answer]:
    """Predict.

    Parameters
    ----------
    estimator : fitted.
    frame : (n, k) rows with the training dtypes.
    classes : in the order of the estimator's probabilities; None for regression.

    Returns
    -------
    n answers, in the order of the rows.

    Raises
    ------
    NotAnAnswerError
        An answer is not finite, or is none of the classes.
    """
    if not len(frame):
        return []
    predicted = np.asarray(estimator.predict(frame)).reshape(len(frame))
    if classes is None:
        return [{"prediction": number} for number in _finite(predicted).tolist()]
    labels = {item["value"]: item["label"] for item in classes}
    try:
        answers: list[Answer] = [{"prediction": labels[value]} for value in predicted.tolist()]
    except (KeyError, TypeError) as error:
        raise NotAnAnswerError(f"The estimator predicted {error}, which is none of its classes.") from error
    if hasattr(estimator, "predict_proba"):
        probabilities = _finite(np.asarray(estimator.predict_proba(frame)))
        for one, row in zip(answers, probabilities.tolist(), strict=True):
            one["probabilities"] = dict(zip(labels.values(), row, strict=True))
    return answers


def agree(one: Answer, other: Answer) -> bool:
    """Tell whether two answers are the same, but for the last digits that another processor may round otherwise."""
    if isinstance(one["prediction"], str) or isinstance(other["prediction"], str):
        same = one["prediction"] == other["prediction"]
    else:
        same = bool(np.isclose(one["prediction"], other["prediction"], rtol=1e-6, atol=1e-12))
    mine, yours = one.get("probabilities", {}), other.get("probabilities", {})
    return same and mine.keys() == yours.keys() and all(abs(mine[key] - yours[key]) <= 1e-6 for key in mine)


def _finite(numbers: np.ndarray) -> np.ndarray:
    numbers = numbers.astype("float64")
    if not np.isfinite(numbers).all():
        raise NotAnAnswerError("The estimator's answer is not a finite number.")
    return numbers
