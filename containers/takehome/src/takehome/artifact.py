"""Saving a model so that everything after the notebook can be derived from it, and loading it back."""

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.base import is_classifier, is_regressor

from takehome.answers import Answer, Class, Estimator, answer
from takehome.errors import TakehomeError
from takehome.evaluation import Evaluation, evaluated
from takehome.fit import Fit
from takehome.handover import hand_over
from takehome.metadata import Examples, Metadata, installed, read_metadata, sha256
from takehome.profile import histogram, profile
from takehome.proof.proof import compare, prove
from takehome.rows import RowReader
from takehome.sample import Sample
from takehome.schema import RowSchema
from takehome.settings import Settings, open_store
from takehome.store import Store
from takehome.threshold import Threshold, find_threshold

EXAMPLES = 20


@dataclass(frozen=True)
class Model:
    """A model that was proved: the estimator and its `model.json`."""

    estimator: Estimator
    metadata: Metadata

    @cached_property
    def schema(self) -> RowSchema:
        """The row schema."""
        return RowSchema.from_json(self.metadata.row_schema)

    @cached_property
    def reader(self) -> RowReader:
        """What checks rows that somebody sent."""
        return RowReader(self.schema)

    def predict(self, frame: pd.DataFrame) -> list[Answer]:
        """Answer rows of the training dataframe.

        Parameters
        ----------
        frame : (n, k) with the training columns and dtypes.

        Returns
        -------
        n answers: `{"prediction": …, "probabilities": {…}}`, or a number in regression.
        """
        return answer(self.estimator, frame, self.metadata.classes, self.metadata.threshold)


def save_model(  # noqa: PLR0913  # each is something that only the notebook knows
    estimator: Estimator,
    X: pd.DataFrame | Fit,
    y: pd.Series | None = None,
    *,
    name: str,
    labels: Mapping[Any, str] | None = None,
    evaluate: tuple[Any, ...] | None = None,
    threshold: float | str | None = None,
    choose_on: tuple[Any, ...] | None = None,
    models_dir: str | Path | None = None,
) -> str:
    """Save a fitted estimator, prove that a fresh process gives its answers, and serve it.

    Parameters
    ----------
    estimator : fitted; its `predict` (and `predict_proba`) takes the dataframe of features.
    X, y : (n, k) and (n,): *all* rows that the project has seen. Categories, ranges and missing values of the row
        schema come from them; the name of `y` is the target's. In place of both what `fit_counted`, `fit_incremental`
        or `fit_sample` returned, which knows all rows of a scan.
    name : what people call the model.
    labels : what people are shown for each class value, e.g. `{0: "Full-term", 1: "Pre-term"}`.
    evaluate : `(X_test, y_test)` or `(X_test, y_test, weights)`: held-out rows to take metrics and curves from.
    threshold : for two classes: the second is predicted where its probability is at least this. Or the name of the
        score that chooses it: `"balanced_accuracy"` or `"f1"`. Default: the estimator's own `predict` decides.
    choose_on : `(X_valid, y_valid)` or `(X_valid, y_valid, weights)`: the rows on which a rule chooses, never the
        test rows. In place of `X_valid` there may be probabilities of the second class, such as those of
        `cross_val_predict(model, X_train, y_train, method="predict_proba")[:, 1]`.
    models_dir : the models folder, or a URL such as `s3://bucket/models`; default: the variable
        `MODELS_DIR`, else `volumes/models`.

    Returns
    -------
    The version, such as `20261123-194301`.

    Raises
    ------
    TakehomeError
        The data can't be sent as JSON, the estimator can't be saved, or a fresh process can't load it or answers
        otherwise. Nothing is written then, and the model before goes on being served.
    """
    if not isinstance(name, str) or not isinstance(labels, Mapping | None):
        raise TakehomeError(f"name is a text and labels a dictionary, not {name!r} and {labels!r}.")
    fit = Fit.of(X, y)
    schema, classes, some = fit.schema, _classes(estimator, fit.y, labels), _examples(fit.X)
    sample = None if evaluate is None else Sample.read(evaluate, "evaluate")
    answers, decided, judged = _results(estimator, classes, some, sample, threshold, choose_on)
    known = {
        "created": datetime.now(UTC),
        "name": name,
        "task": "regression" if classes is None else "classification",
        "target": str(fit.y.name),
        "classes": classes,
        "row_schema": schema.to_json(name, schema.to_rows(some.iloc[:1])),
        "examples": Examples(rows=schema.to_rows(some), answers=answers),
        "threshold": decided.value,
        "threshold_rule": decided.rule,
        **vars(judged),
        "profile": profile(schema, fit.columns),
        "histogram": histogram(schema, fit.columns),
        "data": fit.data,
        "training": fit.training,
    }
    version = _commit(estimator, known, _store(models_dir))
    print(f"Saved {name!r} as {version}: a fresh process gives the same answers for {len(some)} example rows.")
    return version


def load_model(version: str | None = None, *, models_dir: str | Path | None = None) -> Model:
    """Load a model that `save_model` wrote, after checking that it is whole and gives the answers that it gave.

    Parameters
    ----------
    version : default: the one being served.
    models_dir : the models folder, or a URL such as `s3://bucket/models`; default: the variable
        `MODELS_DIR`, else `volumes/models`.

    Raises
    ------
    TakehomeError
        There is no such model, its file was changed, a package is missing or has another version, or it answers its
        example rows otherwise than in the notebook.
    """
    store = _store(models_dir)
    store.sync()
    version = version or store.current()
    if version is None:
        raise TakehomeError(f"{store.folder}: no model was saved yet. Run the notebook to its end.")
    metadata = checked(store, version)
    model = Model(joblib.load(store.path(version) / "model.joblib"), metadata)
    compare(metadata, model.predict(model.schema.to_frame(metadata.examples.rows)))
    return model


def checked(store: Store, version: str) -> Metadata:
    """Return the metadata of a version whose file is whole and whose packages are here; nothing is unpickled.

    Raises
    ------
    TakehomeError
        As `load_model` does.
    """
    metadata = store.metadata(version)
    if metadata.version != version:
        raise TakehomeError(f"Model {version} says that it is {metadata.version}. Save the model again.")
    try:
        same = sha256(store.path(version) / "model.joblib") == metadata.sha256
    except OSError as error:
        raise TakehomeError(f"{version}/model.joblib can't be read: {error.strerror}. Save the model again.") from error
    if not same:
        raise TakehomeError(f"{version}/model.joblib was changed or cut since it was saved. Save the model again.")
    metadata.check_packages()
    return metadata


def _examples(X: pd.DataFrame) -> pd.DataFrame:
    """Return rows from all over the frame, and for each column that has missing values one where it is missing."""
    spread = np.linspace(0, len(X) - 1, EXAMPLES).astype(int)
    missing = [int(X[name].isna().to_numpy().argmax()) for name in X.columns if X[name].isna().any()]
    return X.iloc[np.unique([*spread, *missing])]


def _classes(estimator: Estimator, y: pd.Series, labels: Mapping[Any, str] | None) -> list[Class] | None:
    """Return the classes in the order of the estimator's probabilities, or None for regression."""
    if not hasattr(estimator, "predict"):
        raise TakehomeError(f"{type(estimator).__name__} has no `predict`. Save a fitted scikit-learn estimator.")
    numeric = pd.api.types.is_numeric_dtype(y) and not pd.api.types.is_bool_dtype(y)
    classifies = labels is not None or hasattr(estimator, "classes_") or hasattr(estimator, "predict_proba")
    if not (classifies or _has_tag(estimator, is_classifier)) and (_has_tag(estimator, is_regressor) or numeric):
        return None
    values = np.asarray(getattr(estimator, "classes_", np.unique(y))).tolist()
    names = {value: str((labels or {}).get(value, value)) for value in values}
    unknown = [value for value in labels or {} if value not in names]
    if unknown or len(set(names.values())) < len(values):
        raise TakehomeError(f"labels={dict(labels or {})!r} doesn't fit the classes {values}: give each one its own.")
    return [{"value": value, "label": label} for value, label in names.items()]


def _has_tag(estimator: Estimator, check: Callable[[Any], bool]) -> bool:
    try:
        return check(estimator)
    except AttributeError:  # an estimator of nobody's library has no tags
        return False


def _results(  # noqa: PLR0913, PLR0917  # what is asked of the estimator, under one `try`
    estimator: Estimator,
    classes: list[Class] | None,
    some: pd.DataFrame,
    sample: Sample | None,
    threshold: float | str | None,
    choose_on: tuple[Any, ...] | None,
) -> tuple[list[Answer], Threshold, Evaluation]:
    """Return the answers for the example rows, the threshold, and how good the model is on the held-out rows."""
    try:
        decided = find_threshold(estimator, classes, threshold, choose_on, sample)
        answers = answer(estimator, some, classes, decided.value)
        judged = Evaluation() if sample is None else evaluated(estimator, sample, classes, decided.value)
    except TakehomeError:
        raise
    except Exception as error:  # whatever an estimator raises
        raise TakehomeError(
            f"The estimator can't answer the rows: {type(error).__name__}: {error}. Pass it fitted, X with the "
            "columns that it was fitted on, in their order, and held-out rows of the same kind."
        ) from error
    return answers, decided, judged


def _store(models_dir: str | Path | None) -> Store:
    settings = Settings()
    return open_store(models_dir or settings.models_dir, settings.models_mirror)


def _commit(estimator: Estimator, known: dict[str, Any], store: Store) -> str:
    """Write a model aside and serve it once it is proved; whatever goes wrong leaves nothing behind."""
    version, staged = store.stage()
    try:
        _write(estimator, staged, known | {"version": version})
        store.commit(staged, version)
    except BaseException:
        store.discard(staged, version)
        raise
    return version


def _write(estimator: Estimator, folder: Path, known: dict[str, Any]) -> None:
    """Write both files, and let a fresh process prove what was written."""
    pickled, described = folder / "model.joblib", folder / "model.json"
    carried = hand_over(estimator, pickled)
    metadata = Metadata(**known, python=platform.python_version(), carried=carried, packages={}, sha256=sha256(pickled))
    described.write_text(metadata.model_dump_json(indent=1), encoding="utf-8")
    needed = prove(folder, read_metadata(described))
    metadata.packages = {package: installed(package) or "" for package in needed}
    described.write_text(metadata.model_dump_json(indent=1), encoding="utf-8")
