"""The artifact: what `save_model` writes, proves and keeps whole, and what `load_model` refuses."""

import hashlib
import json
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import takehome
from lightgbm import LGBMClassifier
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skrub import tabular_pipeline
from takehome.store import Store

ROWS = 60


@pytest.fixture
def frame() -> pd.DataFrame:
    """Give a frame with a column of each kind, with and without missing values, and names that nobody likes."""
    r, n = np.random.default_rng(0), ROWS
    return pd.DataFrame(
        {
            "a number": r.normal(size=n),
            "whole": r.integers(0, 9, n),
            "gaps": pd.array([None if i % 7 == 0 else i for i in range(n)], dtype="Int64"),
            "yes.no": r.random(n) > 0.5,
            "maybe": pd.array([None if i % 5 == 0 else bool(i % 2) for i in range(n)], dtype="boolean"),
            "größe 大小": pd.Categorical(r.choice(list("abc"), n)),
            "codes": pd.Categorical(r.choice([1, 2, 3], n)),
            "'quoted\"": pd.Series(
                [None if i % 9 == 0 else ["None", "NA", "001"][i % 3] for i in range(n)], dtype="str"
            ),
            "day": pd.date_range("2024-01-01", periods=n),
            "time": pd.date_range("2024-01-01 03:04", periods=n, freq="h"),
            "zoned": pd.date_range("2024-01-01 03:04", periods=n, freq="h", tz="UTC"),
            "float32": r.normal(size=n).astype("float32"),
            "free text": [f"remark {i}" for i in range(n)],
            "never": [np.nan] * n,
        }
    )


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Save a small classifier; give the models folder."""
    save_iris(tmp_path)
    return tmp_path


def save_iris(folder: Path, *, evaluate: bool = False, **fit: float) -> str:
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = LogisticRegression(max_iter=1000, **fit).fit(X, y)
    held_out = (X, y) if evaluate else None
    return takehome.save_model(model, X, y, name="Iris", evaluate=held_out, models_dir=folder)


def test_every_kind_of_column_comes_back_as_it_was(frame: pd.DataFrame, tmp_path: Path) -> None:
    y = pd.Series(np.arange(ROWS, dtype=float), name="price")
    takehome.save_model(tabular_pipeline("regressor").fit(frame, y), frame, y, name="all kinds", models_dir=tmp_path)
    model = takehome.load_model(models_dir=tmp_path)
    rows = json.loads(json.dumps(model.schema.to_rows(frame)))
    known, warnings = model.reader.read(rows)
    pd.testing.assert_frame_equal(model.schema.to_frame(known), frame)
    assert not any(warnings)
    kinds = {name: column["x-kind"] for name, column in model.metadata.row_schema["properties"].items()}
    assert list(kinds) == list(frame.columns)
    assert list(kinds.values()) == [
        *("number", "integer", "integer", "boolean", "boolean", "category", "category", "category"),
        *("date", "datetime", "datetime", "number", "text", "number"),
    ]
    nullable = [n for n, c in model.metadata.row_schema["properties"].items() if isinstance(c["type"], list)]
    assert nullable == ["gaps", "maybe", "'quoted\"", "never"]


@pytest.mark.parametrize("labels", [None, {True: "ja", False: "nein"}])
def test_binary_task(tmp_path: Path, labels: dict | None) -> None:
    X, y = load_iris(return_X_y=True, as_frame=True)
    y = (y == 1).rename("is_versicolor")
    estimator = LogisticRegression(max_iter=1000).fit(X, y)
    takehome.save_model(estimator, X, y, name="b", labels=labels, evaluate=(X, y), models_dir=tmp_path)
    model = takehome.load_model(models_dir=tmp_path)
    shown = [item["label"] for item in model.metadata.classes or []]
    assert shown == (["nein", "ja"] if labels else ["False", "True"])
    for answer, expected in zip(model.predict(X), estimator.predict_proba(X), strict=True):
        assert answer["probabilities"] == dict(zip(shown, expected.tolist(), strict=True))
        assert answer["prediction"] == shown[int(expected[1] > 0.5)]
    assert {"roc_auc", "average_precision", "brier_score", "log_loss"} <= set(model.metadata.metrics)
    assert set(model.metadata.curves) == {"roc", "precision_recall", "calibration"}


def test_multiclass_task(tmp_path: Path) -> None:
    save_iris(tmp_path, evaluate=True)
    model = takehome.load_model(models_dir=tmp_path)
    X, _ = load_iris(return_X_y=True, as_frame=True)
    assert set(model.predict(X)[0]["probabilities"]) == {"0", "1", "2"}
    assert model.metadata.metrics["accuracy"] > 0.9


def test_regression_task(tmp_path: Path) -> None:
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    estimator = HistGradientBoostingRegressor(max_iter=5).fit(X, y)
    takehome.save_model(estimator, X, y, name="d", evaluate=(X, y), models_dir=tmp_path)
    model = takehome.load_model(models_dir=tmp_path)
    assert [answer["prediction"] for answer in model.predict(X)] == estimator.predict(X).tolist()
    assert "probabilities" not in model.predict(X)[0]
    assert model.metadata.metrics["r2"] > 0


def test_metadata_tells_all_without_unpickling(saved: Path) -> None:
    version = Store(saved).current()
    stored = json.loads((saved / str(version) / "model.json").read_text())
    assert stored["version"] == version
    assert stored["data"]["rows"] == 150
    assert stored["python"] == sys.version.split()[0]
    assert {"scikit-learn", "numpy", "pandas", "joblib"} <= set(stored["packages"])
    assert len(stored["examples"]["rows"]) == len(stored["examples"]["answers"]) == 20


BESIDE = """
import sister
from sklearn.base import BaseEstimator, TransformerMixin

class Add(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return sister.shift(X)
"""
OF_THE_NOTEBOOK = """
import math
import numpy as np
import sqlite3
import takehome
from features import Add
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

class Mine(LogisticRegression):
    def predict_proba(self, X):
        return np.sqrt(super().predict_proba(X) ** 2)

def scaled(X):
    return X * SCALE

SCALE, connection = math.tau, sqlite3.connect(":memory:")
X, y = load_iris(return_X_y=True, as_frame=True)
model = make_pipeline(Add(), FunctionTransformer(lambda X: X + 1), FunctionTransformer(scaled), Mine(max_iter=9999))
takehome.save_model(model.fit(X, y), X, y, name="own", evaluate=(X, y))
print(model.predict_proba(X)[0].tolist())
"""
IN_VAIN = """
def asking(X):
    connection.execute("SELECT 1")
    return X

def importing(X):
    import sister
    return X

for step in (asking, importing):
    try:
        takehome.save_model(make_pipeline(FunctionTransformer(step), model).fit(X, y), X, y, name="own")
    except takehome.TakehomeError as error:
        print(error)
"""


def run_notebook(folder: Path, models: str, code: str) -> list[str]:
    """Run the code as a notebook does: in `__main__`, with its folder to import from; give what it printed."""
    (folder / "notebook.py").write_text(code)
    environment = os.environ | {"MODELS_DIR": str(folder / models)}
    command = [sys.executable, "notebook.py"]
    return subprocess.run(
        command, check=True, cwd=folder, env=environment, capture_output=True, text=True
    ).stdout.splitlines()


@pytest.fixture(scope="module")
def own_code(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    folder = tmp_path_factory.mktemp("own")
    (folder / "features.py").write_text(BESIDE)
    (folder / "sister.py").write_text("BY = 2\n\ndef shift(X):\n    return X + BY\n")
    return run_notebook(folder, "models", OF_THE_NOTEBOOK + IN_VAIN), folder


def test_classes_functions_and_modules_of_the_notebook_go_with_the_model(own_code: tuple[list[str], Path]) -> None:
    printed, folder = own_code
    model = takehome.load_model(models_dir=folder / "models")
    X, _ = load_iris(return_X_y=True, as_frame=True)
    assert list(model.predict(X)[0]["probabilities"].values()) == json.loads(printed[1])
    assert model.metadata.carried == ["__main__", "features", "sister"]
    assert {"cloudpickle", "numpy", "scikit-learn"} <= set(model.metadata.packages)
    assert "sister" not in sys.modules


def test_what_lives_only_in_the_notebooks_process_is_named(own_code: tuple[list[str], Path]) -> None:
    _, _, connection, importing = own_code[0]
    assert "Its function 'asking' uses the variable 'connection'" in connection
    assert "needs the package 'sister'" in importing
    assert "import it at the top of a cell" in importing


def test_the_same_notebook_writes_the_same_model(own_code: tuple[list[str], Path]) -> None:
    first = takehome.load_model(models_dir=own_code[1] / "models").metadata
    run_notebook(own_code[1], "again", OF_THE_NOTEBOOK)
    again = takehome.load_model(models_dir=own_code[1] / "again").metadata
    assert again.model_dump(exclude={"version", "created"}) == first.model_dump(exclude={"version", "created"})


def test_code_of_the_notebook_needs_its_python(own_code: tuple[list[str], Path], tmp_path: Path) -> None:
    models = shutil.copytree(own_code[1] / "models", tmp_path / "models")
    edit(models / str(Store(models).current()), python="3.4.1")
    with pytest.raises(takehome.TakehomeError, match=r"code of its notebook for Python 3\.4\.1; here is"):
        takehome.load_model(models_dir=models)


def test_package_that_is_no_dependency_works_once_it_is_installed(tmp_path: Path) -> None:
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = LGBMClassifier(n_estimators=5, verbose=-1).fit(X, y)
    takehome.save_model(model, X, y, name="l", models_dir=tmp_path)
    loaded = takehome.load_model(models_dir=tmp_path)
    assert "lightgbm" in loaded.metadata.packages
    assert list(loaded.predict(X)[0]["probabilities"].values()) == model.predict_proba(X)[0].tolist()


def test_answers_that_change_are_refused(saved: Path) -> None:
    X, y = load_iris(return_X_y=True, as_frame=True)
    noisy = make_pipeline(FunctionTransformer(np.random.default_rng().permuted), LogisticRegression(max_iter=1000))
    with pytest.raises(takehome.TakehomeError, match="where the notebook got"):
        takehome.save_model(noisy.fit(X, y), X, y, name="n", models_dir=saved)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda X: X.to_numpy(), "Pass the pandas DataFrame"),
        (lambda X: X.iloc[:0], "0 rows"),
        (lambda X: X.set_axis([1, 2, 3, 4], axis=1), "text name of its own"),
        (lambda X: X.set_axis(list("abca"), axis=1), "text name of its own"),
        (lambda X: X.assign(odd=[{1}] * len(X)), "'odd'.*can't be sent as JSON"),
        (lambda X: X.assign(odd=pd.to_timedelta(range(len(X)), "h")), "'odd'.*can't be sent as JSON"),
        (lambda X: X.assign(odd=pd.Series(["a", None] * 75, dtype=object)), "'odd' of X holds None"),
        (lambda X: X.assign(odd=[np.inf, 1, 2] * 50), "'odd' of X holds infinity"),
        (lambda X: X.assign(odd=pd.array([1, 2, 3] * 50, dtype="int64[pyarrow]")), "'odd'.*can't be sent as JSON"),
        (lambda X: X[X.columns[::-1]], "can't answer the rows: ValueError"),
        (lambda X: X.iloc[:9], "9 rows and y has 150"),
    ],
)
def test_frame_that_is_no_row_schema_is_refused(tmp_path: Path, change: object, says: str) -> None:
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = LogisticRegression(max_iter=1000).fit(X, y)
    with pytest.raises(takehome.TakehomeError, match=says):
        takehome.save_model(model, change(X), y, name="n", models_dir=tmp_path / "models")  # type: ignore[operator]
    assert not (tmp_path / "models").exists(), "nothing is written"


@pytest.mark.slow
def test_killed_save_leaves_the_old_model(saved: Path) -> None:
    dice, server = random.Random(0), multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["lightgbm", "pytest", "skrub", "takehome.artifact"])

    def save(delay: float | None) -> bool:
        process = server.Process(target=save_iris, args=(saved,))
        process.start()
        process.join(delay)
        process.kill()
        process.join()
        return any(saved.glob(".*.partial"))

    save(None)
    started = time.perf_counter()
    save(None)
    whole = time.perf_counter() - started

    with ThreadPoolExecutor(2) as pool:  # saves that race each other are killed, too
        for _ in pool.map(save, [dice.uniform(0, 1.1 * whole) for _ in range(100)]):
            takehome.load_model(models_dir=saved)
    assert any(save(dice.uniform(0, 1.1 * whole)) for _ in range(50)), "some are killed in the middle"


def test_concurrent_saves_and_readers_never_meet_half_a_model(saved: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        saving = [pool.submit(save_iris, saved, C=c) for c in (0.1, 1.0, 10.0)]
        reads = 0
        while not all(task.done() for task in saving):
            takehome.load_model(models_dir=saved)
            reads += 1
        versions = [task.result() for task in saving]
    assert reads > 10
    assert len(set(versions)) == 3


def test_concurrent_choices_are_one_of_them(saved: Path) -> None:
    versions = [*Store(saved).versions(), save_iris(saved)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(Store(saved).use, versions * 50))
    assert Store(saved).current() in versions
    assert not list(saved.glob(".*.partial"))


def test_what_was_abandoned_is_removed_a_day_later(saved: Path) -> None:
    ages = {".20200101-000000.partial": 25, ".20200101-000001.partial": 23, ".current.ab.partial": 25}
    for name, hours in ages.items():
        left = saved / name
        left.mkdir() if name.startswith(".2") else left.write_text("20200101-000000")
        then = time.time() - hours * 3600
        os.utime(left, (then, then))
    save_iris(saved)
    assert [left.name for left in saved.glob(".*.partial")] == [".20200101-000001.partial"]


def test_last_ten_are_kept(saved: Path) -> None:
    first, store = Store(saved).current(), Store(saved)
    assert first
    for i in range(12):
        shutil.copytree(saved / first, saved / f"20200101-0000{i:02}")
    latest = save_iris(saved)
    assert len(store.versions()) == 10
    assert store.versions()[-2:] == [first, latest]


def test_going_back(saved: Path) -> None:
    first, second = Store(saved).current(), save_iris(saved, C=0.01)
    assert first
    assert takehome.load_model(models_dir=saved).metadata.version == second
    Store(saved).use(first)
    assert takehome.load_model(models_dir=saved).metadata.version == first
    assert takehome.load_model(second, models_dir=saved).metadata.version == second


def flip_a_bit(folder: Path) -> None:
    content = bytearray((folder / "model.joblib").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.joblib").write_bytes(content)


def cut(folder: Path) -> None:
    os.truncate(folder / "model.joblib", 100)


def edit(folder: Path, **changes: object) -> None:
    stored = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(stored | changes))


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (flip_a_bit, "was changed or cut"),
        (cut, "was changed or cut"),
        (lambda f: (f / "model.joblib").unlink(), "model.joblib can't be read"),
        (lambda f: (f / "model.json").unlink(), "model.json can't be read"),
        (lambda f: (f / "model.json").write_text("{"), "is not what takehome writes"),
        (lambda f: (f / "model.json").write_text("[" * 50_000), "is not what takehome writes"),
        (lambda f: edit(f, row_schema={}), "broken row schema"),
        (lambda f: edit(f, format=1), "saved by an older takehome. Run the notebook again"),
        (lambda f: edit(f, packages={"scikit-learn": "1.8.0"}), "saved with scikit-learn 1.8.0; here is 1.9"),
        (lambda f: edit(f, packages={"xgboost": "4.6.0"}), "needs xgboost 4.6.0.*environment.yml"),
        (lambda f: edit(f, version="20200101-000000"), "says that it is"),
    ],
)
def test_harmed_model_is_refused_before_it_is_unpickled(saved: Path, harm: object, says: str) -> None:
    version = Store(saved).current()
    assert version
    harm(saved / version)  # type: ignore[operator]
    with pytest.raises(takehome.TakehomeError, match=says):
        takehome.load_model(models_dir=saved)


def test_model_that_answers_otherwise_is_refused(saved: Path) -> None:
    version = Store(saved).current()
    assert version
    X, y = load_iris(return_X_y=True, as_frame=True)
    joblib.dump(LogisticRegression(max_iter=1000, C=0.5).fit(X, y), saved / version / "model.joblib")

    digest = hashlib.sha256((saved / version / "model.joblib").read_bytes()).hexdigest()
    edit(saved / version, sha256=digest)
    with pytest.raises(takehome.TakehomeError, match="example row 0: it answered"):
        takehome.load_model(models_dir=saved)


@pytest.mark.parametrize("content", ["", "../x", "20200101-000000", "\x00" * 500, "no such"])
def test_current_that_names_no_version(saved: Path, content: str) -> None:
    (saved / "current").write_text(content)
    with pytest.raises(takehome.TakehomeError):
        takehome.load_model(models_dir=saved)


def test_current_that_is_a_pipe_or_a_link(saved: Path) -> None:
    (saved / "current").unlink()
    os.mkfifo(saved / "current")
    with pytest.raises(takehome.TakehomeError, match="not a regular file"):
        takehome.load_model(models_dir=saved)
    (saved / "current").unlink()
    (saved / "current").symlink_to("/etc/passwd")
    with pytest.raises(takehome.TakehomeError, match="not a regular file"):
        takehome.load_model(models_dir=saved)


def test_rare_missing_value_is_among_the_examples(tmp_path: Path) -> None:
    X = pd.DataFrame({"x": [1.0] * 500})
    X.loc[333, "x"] = np.nan
    y = pd.Series(range(500), name="y")
    takehome.save_model(HistGradientBoostingRegressor(max_iter=2).fit(X, y), X, y, name="r", models_dir=tmp_path)
    assert {"x": None} in takehome.load_model(models_dir=tmp_path).metadata.examples.rows


def test_no_model_yet(tmp_path: Path) -> None:
    with pytest.raises(takehome.TakehomeError, match="no model was saved yet"):
        takehome.load_model(models_dir=tmp_path)
