"""What an estimator answers, as JSON values."""

from typing import Any, NamedTuple, NotRequired, Protocol

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from typing_extensions import TypedDict

# Those of scikit-learn whose `predict` takes the largest probability, or what orders the classes alike.
_MOST_PROBABLE = {
    "DecisionTreeClassifier",
    "ExtraTreesClassifier",
    "GradientBoostingClassifier",
    "HistGradientBoostingClassifier",
    "LogisticRegression",
    "LogisticRegressionCV",
    "RandomForestClassifier",
}


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


class Predictions(NamedTuple):
    """What an estimator says of n rows.

    Attributes
    ----------
    values : n labels, or n numbers in regression.
    probabilities : (n, classes), if it gives any.
    labels : of the classes, in the order of the probabilities.
    """

    values: list[Any]
    probabilities: np.ndarray | None = None
    labels: tuple[str, ...] = ()

    def answers(self) -> list[Answer]:
        """Return them row by row."""
        if self.probabilities is None:
            return [{"prediction": value} for value in self.values]
        return [
            {"prediction": value, "probabilities": dict(zip(self.labels, row, strict=True))}
            for value, row in zip(self.values, self.probabilities.tolist(), strict=True)
        ]


class NotAnAnswerError(ValueError):
    """The estimator gave NaN, infinity or a class of its own making."""


def answer(
    estimator: Estimator, frame: pd.DataFrame, classes: list[Class] | None, threshold: float | None = None
) -> list[Answer]:
    """Predict, and answer row by row; see `predict`."""
    return predict(estimator, frame, classes, threshold).answers()


def predict(
    estimator: Estimator,
    frame: pd.DataFrame,
    classes: list[Class] | None,
    threshold: float | None = None,
    *,
    most_probable: bool = False,
) -> Predictions:
    """Predict.

    Parameters
    ----------
    estimator : fitted.
    frame : (n, k) rows with the training dtypes.
    classes : in the order of the estimator's probabilities; None for regression.
    threshold : the second of two classes is predicted where its probability is at least this; None: the estimator's
        own `predict` decides.
    most_probable : `predict` is known to give the class of the highest probability (see `predicts_most_probable`), so
        that only rows with two classes as good as equal need it.

    Raises
    ------
    NotAnAnswerError
        An answer is not finite, or is none of the classes.
    """
    if not len(frame):
        return Predictions([])
    if classes is None:
        return Predictions(_finite(np.asarray(estimator.predict(frame)).reshape(len(frame))).tolist())
    labels = {item["value"]: item["label"] for item in classes}
    shown = tuple(labels.values())
    if not hasattr(estimator, "predict_proba"):
        return Predictions(_own_labels(estimator, frame, labels))
    probabilities = _finite(np.asarray(estimator.predict_proba(frame)))
    if threshold is not None:
        predicted = [shown[int(positive)] for positive in probabilities[:, 1] >= threshold]
    elif most_probable and not _tied(probabilities):
        predicted = [shown[best] for best in probabilities.argmax(axis=1).tolist()]
    else:
        predicted = _own_labels(estimator, frame, labels)
    return Predictions(predicted, probabilities, shown)


def _own_labels(estimator: Estimator, frame: pd.DataFrame, labels: dict[Any, str]) -> list[str]:
    """Return the label of each class that the estimator itself predicts."""
    predicted = np.asarray(estimator.predict(frame)).reshape(len(frame))
    try:
        return [labels[value] for value in predicted.tolist()]
    except (KeyError, TypeError) as error:
        raise NotAnAnswerError(f"The estimator predicted {error}, which is none of its classes.") from error


def predicts_most_probable(estimator: Estimator) -> bool:
    """Tell whether `predict` is the class of the highest probability by the estimator's source, not by chance."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return type(estimator).__name__ in _MOST_PROBABLE and type(estimator).__module__.startswith("sklearn.")


def _tied(probabilities: np.ndarray) -> bool:
    if probabilities.shape[1] < 2:
        return True
    best = np.partition(probabilities, -2, axis=1)[:, -2:]
    return bool((best[:, 1] - best[:, 0] < 1e-9).any())


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
