"""What is asked: a fitted pipeline, rows to send, and the answers that scikit-learn itself gives for them."""

import json
import re
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import takehome
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

SEED = 20
ROWS = 10_000
UNIQUE = "1234567890"  # digits that wrk's script replaces by others in each request, so that no row repeats
_BIRTHS = Path(__file__).parents[1] / "volumes" / "static" / "births.csv.gz"
Row = dict[str, Any]


@dataclass(frozen=True)
class Workload:
    """A pipeline and its data.

    Attributes
    ----------
    name : what the report calls it.
    folder : where the servers find `model.joblib` and `dtypes.json`, and our API the folder `models`.
    frame : (n, k) rows of the training dataframe; `rows` are the same as JSON values.
    expected : (n, 2) what `estimator.predict_proba(frame)` says.
    """

    name: str
    folder: Path
    estimator: Pipeline
    frame: pd.DataFrame
    rows: list[Row]
    expected: np.ndarray

    @classmethod
    def prepare(cls, name: str, folder: Path, estimator: Pipeline, X: pd.DataFrame, y: pd.Series) -> "Workload":
        """Fit the pipeline and write what every server reads; our models folder has it twice, to swap between."""
        folder.mkdir(parents=True)
        estimator.fit(X, y)
        joblib.dump(estimator, folder / "model.joblib")
        (folder / "dtypes.json").write_text(json.dumps({name: str(dtype) for name, dtype in X.dtypes.items()}))
        with redirect_stdout(None):
            for _ in range(2):
                takehome.save_model(estimator, X, y, name=name, models_dir=folder / "models")
        frame = X.iloc[:ROWS]
        rows: Any = frame.astype(object).where(frame.notna(), None).to_dict("records")
        return cls(name, folder, estimator, frame, rows, estimator.predict_proba(frame))

    def never_repeating(self, body: str) -> str:
        """Append digits to the number that `load.lua` makes another one in each request, if the rows have it."""
        return re.sub(r'("number_0": -?[0-9.]+)', rf"\g<1>{UNIQUE}", body)


def births(folder: Path) -> Workload:
    """Five categories, most rows there many times: the example data and its logistic regression."""
    data = takehome.read_csv(_BIRTHS).iloc[:100_000]
    estimator = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression(solver="newton-cholesky"))
    return Workload.prepare("births", folder, estimator, data.drop(columns="preterm_indicator"), data.preterm_indicator)


def mixed(folder: Path) -> Workload:
    """Twenty columns of four kinds with gaps, no row twice; generated."""
    random = np.random.default_rng(SEED)
    n = 2 * ROWS
    numbers = {f"number_{i}": random.normal(i, 1 + i, n).round(4) for i in range(10)}
    counts = {f"count_{i}": random.poisson(3 + i, n) for i in range(3)}
    words = {f"word_{i}": random.choice([f"level {j}" for j in range(4 + 3 * i)], n) for i in range(5)}
    flags = {f"flag_{i}": random.random(n) < 0.3 for i in range(2)}
    X = pd.DataFrame(numbers | counts | words | flags)
    for name in [*list(numbers)[1:], *words]:
        X[name] = X[name].mask(random.random(n) < 0.1)
    signal = X["number_1"].fillna(0) / 2 + X["flag_0"] + (X["word_0"] == "level 1") - 1
    y = pd.Series(random.random(n) < 1 / (1 + np.exp(-signal)), name="target").astype(int)
    return Workload.prepare("mixed", folder, _pipeline(), X, y)


def _pipeline() -> Pipeline:
    numeric = make_column_selector(dtype_include=["number", "bool"])
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numeric),
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude=["number", "bool"])),
    )
    return make_pipeline(columns, LogisticRegression(max_iter=1000))
