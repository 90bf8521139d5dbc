"""The API over a real socket: answers, refusals, doors, and models that come, go and misbehave."""

import hashlib
import http.client
import json
import os
import pickle
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import joblib
import numpy as np
import pandas as pd
import psutil
import pytest
import requests
import takehome
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
from skrub import tabular_pipeline
from takehome.store import Store
from waiting import PATIENCE, eventually

ROOT = Path(__file__).parents[1]
ROW = {"age_group": "Under 15 yrs", "smokes": "Yes", "previous_births": "None"}


def births(flip: bool = False) -> tuple[pd.DataFrame, pd.Series]:
    r, n = np.random.default_rng(0), 400
    X = pd.DataFrame(
        {
            "age_group": r.choice(["Under 15 yrs", "15 to 17 yrs", "50+ yrs"], n),
            "smokes": r.choice(["Yes", "No"], n),
            "previous_births": r.choice(["None", "One, Two, Three or More"], n),
        }
    ).astype("str")
    y = pd.Series((r.random(n) < np.where(X["smokes"] == "Yes", 0.8, 0.2)).astype(int), name="preterm")
    return X, 1 - y if flip else y


def save_births(folder: Path, *, flip: bool = False, name: str = "Births") -> str:
    X, y = births(flip)
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(X, y)
    labels = {0: "Full-term", 1: "Pre-term"}
    return takehome.save_model(model, X, y, name=name, labels=labels, evaluate=(X, y), models_dir=folder)


@contextmanager
def running(models: Path, port: int, **variables: str) -> Iterator[str]:
    """Run the API; give its address."""
    environment = os.environ | {"MODELS_DIR": str(models), "PORT": str(port), "HOST": "127.0.0.1"} | variables
    command = [sys.executable, str(ROOT / "containers/fastapi/start.py")]
    with subprocess.Popen(command, env=environment, cwd="/", stderr=subprocess.PIPE) as process:
        drained = threading.Thread(target=lambda: list(process.stderr or []))
        drained.start()
        try:
            url = f"http://127.0.0.1:{port}"
            eventually(lambda: requests.get(f"{url}/health", timeout=5).status_code == 200)
            yield url
        finally:
            process.terminate()
            assert process.wait(10) in (0, -15)
            drained.join()


def ready(url: str, version: str | None = None) -> bool:
    answer = requests.get(f"{url}/ready", timeout=PATIENCE)
    return answer.status_code == 200 and version in (None, answer.json()["version"])


def predict(url: str, rows: Any, **options: Any) -> requests.Response:
    return requests.post(f"{url}/predict", json=rows, timeout=PATIENCE, **options)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_births(folder)
    return folder


@pytest.fixture(scope="module")
def api(models: Path, free_port: Callable[[], int]) -> Iterator[str]:
    """Serve the births model."""
    with running(models, free_port(), BODY_SECONDS="1") as url:
        eventually(lambda: ready(url))
        yield url


# Answers


def test_one_row_gives_the_notebooks_probability(api: str, models: Path) -> None:
    answer = predict(api, ROW)
    expected = takehome.load_model(models_dir=models).estimator.predict_proba(pd.DataFrame([ROW]))[0]  # type: ignore[attr-defined]
    assert answer.status_code == 200
    assert answer.json() == {
        "prediction": "Pre-term",
        "probabilities": {"Full-term": expected[0], "Pre-term": expected[1]},
        "warnings": [],
    }


def test_many_rows_are_answered_in_order(api: str, models: Path) -> None:
    X, _ = births()
    rows = X.to_dict("records")
    turned = [dict(reversed(row.items())) for row in rows]
    answers = predict(api, [*rows, *turned, *rows]).json()  # so many that equal ones are predicted once
    expected = takehome.load_model(models_dir=models).estimator.predict_proba(X)[:, 1]  # type: ignore[attr-defined]
    assert [answer["probabilities"]["Pre-term"] for answer in answers] == 3 * expected.tolist()
    assert predict(api, []).json() == []


def test_order_of_the_keys_does_not_matter(api: str) -> None:
    assert predict(api, dict(reversed(ROW.items()))).json() == predict(api, ROW).json()


def test_unseen_category_is_a_warning_and_strict_makes_it_an_error(api: str) -> None:
    row = ROW | {"age_group": "under 15 yr"}
    found = predict(api, row)
    assert found.status_code == 200
    message = "'under 15 yr' was never seen in training. Did you mean 'Under 15 yrs'?"
    assert found.json()["warnings"] == [{"type": "unknown_category", "loc": ["age_group"], "msg": message}]
    strict = predict(api, [ROW, row], params={"strict": "true"})
    assert strict.status_code == 422
    assert strict.json()["detail"] == [{"type": "unknown_category", "loc": ["body", 1, "age_group"], "msg": message}]
    assert predict(api, ROW, params={"strict": "true"}).status_code == 200


@pytest.mark.parametrize(
    ("row", "kind", "loc", "says"),
    [
        ({**ROW, "agegroup": "x"}, "unknown_column", "agegroup", "Did you mean 'age_group'?"),
        ({**ROW, "zzz": 1}, "unknown_column", "zzz", "Its columns: 'age_group', 'smokes', 'previous_births'"),
        ({k: v for k, v in ROW.items() if k != "smokes"}, "missing", "smokes", "It takes one of: 'No', 'Yes'"),
        ({**ROW, "smokes": True}, "wrong_type", "smokes", "true doesn't fit column 'smokes'"),
        ({**ROW, "smokes": None}, "wrong_type", "smokes", "null doesn't fit"),
        ({**ROW, "smokes": {"a": [1]}}, "wrong_type", "smokes", '{"a": [1]} doesn\'t fit'),
    ],
)
def test_what_is_wrong_is_named_by_row_and_column(api: str, row: dict, kind: str, loc: str, says: str) -> None:
    for rows, index in ((row, 0), ([ROW, ROW, row], 2)):
        answer = predict(api, rows)
        assert answer.status_code == 422
        (detail,) = answer.json()["detail"]
        assert set(detail) == {"type", "loc", "msg"}
        assert (detail["type"], detail["loc"]) == (kind, ["body", index, loc])
        assert says in detail["msg"]


def bad_bodies() -> Iterator[bytes]:
    """Give bodies that are no row of the births model, some made by hand and some by chance."""
    row = json.dumps(ROW).encode()
    yield from [
        b"",
        b" ",
        b"null",
        b"1",
        b'"x"',
        b"[1]",
        b"[[]]",
        b"[null]",
        b"{",
        b"{}",
        b"[{}]",
        b"true",
        b"\xef\xbb\xbf{}",
    ]
    yield from [row + b"x", row[:-1], b"[" + row, row.replace(b'"', b"'"), b"\xff\xfe", row.replace(b"Yes", b"\xe9")]
    yield from [row.decode().encode(code) for code in ("utf-16", "utf-32")]
    yield from [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 50_000 + b"]" * 50_000, b"9" * 400, b"9" * 5000, b"1e999"]
    for value in (
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"9" * 5000,
        b"1e999",
        b'"\\ud800"',
        b'"\\udfff\\ud800"',
        b"[]",
        b"{}",
    ):
        yield row.replace(b'"Yes"', value)
    yield row[:-1] + b', "smokes": "No"}'
    yield row.replace(b"smokes", b"smo\\ud800kes")
    yield row.replace(b"smokes", b"__proto__")
    dice, values = random.Random(0), [None, True, 0, -1.5, [], {}, "x" * 5000]
    for _ in range(250):
        cut = bytearray(row)
        cut[dice.randrange(len(cut))] = dice.choice(b'{}[]",:\\\x00\x80')
        yield bytes(cut[: dice.randrange(1, len(cut))])
    for _ in range(250):
        odd = dict(ROW)
        odd[dice.choice([*ROW, "other"])] = dice.choice(values) if dice.random() < 0.7 else dice.choice(values[:6])  # type: ignore[assignment]
        odd["no such column"] = "x"
        yield json.dumps([ROW, odd] if dice.random() < 0.5 else odd).encode()


def test_over_500_bad_bodies_are_refused_with_reason(api: str) -> None:
    session, count = requests.Session(), 0
    for body in bad_bodies():
        answer = session.post(
            f"{api}/predict", data=body, headers={"Content-Type": "application/json"}, timeout=PATIENCE
        )
        assert answer.status_code == 422, (body[:200], answer.text[:200])
        detail = answer.json()["detail"]
        assert detail
        assert all(set(found) == {"type", "loc", "msg"} and found["msg"] for found in detail), detail
        assert len(answer.content) < 200_000
        count += 1
    assert count > 500


def test_health_answers_while_a_body_of_many_keys_is_refused(api: str) -> None:
    keys = ",".join(f'"k{i}":1' for i in range(300_000))
    body = f'{{{keys},"k299999":2}}'
    sent = threading.Thread(
        target=lambda: requests.post(
            f"{api}/predict", data=body, headers={"Content-Type": "application/json"}, timeout=60
        )
    )
    sent.start()
    while sent.is_alive():
        assert requests.get(f"{api}/health", timeout=PATIENCE).status_code == 200


def test_media_type_is_checked(api: str) -> None:
    for media_type in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "",
        "application/jsonx",
    ):
        answer = requests.post(
            f"{api}/predict", data=json.dumps(ROW), headers={"Content-Type": media_type}, timeout=PATIENCE
        )
        assert answer.status_code == 415
        assert "Content-Type: application/json" in answer.json()["detail"]
    for media_type in ("application/json; charset=utf-8", "Application/JSON"):
        answer = requests.post(
            f"{api}/predict", data=json.dumps(ROW), headers={"Content-Type": media_type}, timeout=PATIENCE
        )
        assert answer.status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_large_body_is_refused(api: str, chunked: bool) -> None:
    part = b" " * 100_000
    body = (part for _ in range(110)) if chunked else part * 110
    answer = requests.post(f"{api}/predict", data=body, headers={"Content-Type": "application/json"}, timeout=PATIENCE)
    assert answer.status_code == 413
    assert "over 10 MB" in answer.json()["detail"]


def test_half_a_body_is_not_waited_for(api: str) -> None:
    with closing(http.client.HTTPConnection(api.removeprefix("http://"), timeout=PATIENCE)) as connection:
        connection.putrequest("POST", "/predict")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", "1000")
        connection.endheaders(b'{"age_group":')
        answer = connection.getresponse()
        assert answer.status == 408
        assert "did not arrive within 1 s" in json.load(answer)["detail"]


def test_query_is_checked_without_being_repeated(api: str) -> None:
    for query in ("strict=perhaps", "strikt=true"):
        answer = requests.post(f"{api}/predict?{query}", json=ROW, timeout=PATIENCE)
        assert answer.status_code == 422
        assert all(set(found) == {"type", "loc", "msg"} for found in answer.json()["detail"])


# What is told of the model


def test_row_schema_and_model_are_told(api: str, models: Path) -> None:
    schema = requests.get(f"{api}/schema", timeout=PATIENCE).json()
    assert list(schema["properties"]) == list(ROW)
    assert schema["properties"]["previous_births"]["x-categories"] == ["None", "One, Two, Three or More"]
    model = requests.get(f"{api}/model", timeout=PATIENCE).json()
    assert model["version"] == Store(models).current()
    assert (model["name"], model["target"], model["task"]) == ("Births", "preterm", "classification")
    assert model["classes"] == [{"value": 0, "label": "Full-term"}, {"value": 1, "label": "Pre-term"}]
    assert 0.5 < model["metrics"]["roc_auc"] < 1
    assert model["refused"] is None


def test_answers_are_named(api: str, models: Path) -> None:
    answer = predict(api, ROW, headers={"X-Request-ID": "mine-1"})
    assert answer.headers["X-Request-ID"] == "mine-1"
    assert answer.headers["X-Model-Version"] == Store(models).current()
    made = predict(api, {}, headers={"X-Request-ID": "not one\tword"}).headers["X-Request-ID"]
    assert made
    assert made != predict(api, ROW).headers["X-Request-ID"]


def test_requests_and_rows_are_counted(api: str) -> None:
    def counted(line: str) -> float:
        text = requests.get(f"{api}/metrics", timeout=PATIENCE).text
        return sum(float(found.split()[-1]) for found in text.splitlines() if found.startswith(line))

    rows, failed = counted("takehome_rows_total"), counted('takehome_requests_total{path="/predict",status="422"}')
    predict(api, [ROW, ROW])
    predict(api, {})
    assert counted("takehome_rows_total") == rows + 2
    assert counted('takehome_requests_total{path="/predict",status="422"}') == failed + 1


def test_docs_show_the_models_columns_and_need_no_other_host(api: str) -> None:
    document = requests.get(f"{api}/openapi.json", timeout=PATIENCE).json()
    assert document["components"]["schemas"]["Row"]["properties"]["smokes"]["x-categories"] == ["No", "Yes"]
    example = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert predict(api, example).json()["warnings"] == []
    page = requests.get(f"{api}/docs", timeout=PATIENCE).text
    assert "://" not in page.replace(api, "")


def run_schemathesis(url: str, folder: Path) -> None:
    program, config = Path(sys.executable).parent / "schemathesis", ROOT / "tests/schemathesis.toml"
    arguments = ["run", f"{url}/openapi.json", "--checks=all", "--max-examples=100", "--seed=1"]
    command = [str(program), f"--config-file={config}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stdout[-5000:]


@pytest.mark.slow
def test_schemathesis_finds_nothing(api: str, tmp_path: Path) -> None:
    run_schemathesis(api, tmp_path)


@pytest.mark.slow
def test_schemathesis_finds_nothing_with_every_kind_of_column(tmp_path: Path, free_port: Callable[[], int]) -> None:
    save_all_kinds(tmp_path / "models")
    with running(tmp_path / "models", free_port()) as url:
        eventually(lambda: ready(url))
        run_schemathesis(url, tmp_path)


def save_all_kinds(folder: Path) -> tuple[pd.DataFrame, Any]:
    r, n = np.random.default_rng(0), 60
    X = pd.DataFrame(
        {
            "a number": r.normal(size=n),
            "whole": r.integers(0, 9, n),
            "gaps": pd.array([None if i % 7 == 0 else i for i in range(n)], dtype="Int64"),
            "yes.no": r.random(n) > 0.5,
            "größe 大小": pd.Series(r.choice(list("abc"), n), dtype="str"),
            "day": pd.date_range("2024-01-01", periods=n),
            "time": pd.date_range("2024-01-01 03:04", periods=n, freq="h"),
            "free text": [f"remark {i % 31} {i}" for i in range(n)],
        }
    )
    y = pd.Series(r.normal(size=n), name="price")
    estimator = tabular_pipeline("regressor").fit(X, y)
    takehome.save_model(estimator, X, y, name="All kinds", models_dir=folder)
    return X, estimator


@pytest.mark.slow
def test_every_kind_of_column_is_answered_like_in_the_notebook(tmp_path: Path, free_port: Callable[[], int]) -> None:
    X, estimator = save_all_kinds(tmp_path)
    with running(tmp_path, free_port()) as url:
        eventually(lambda: ready(url))
        answers = predict(url, takehome.load_model(models_dir=tmp_path).schema.to_rows(X)).json()
        assert [answer["prediction"] for answer in answers] == estimator.predict(X).tolist()
        assert not any(answer["warnings"] for answer in answers)
        row = takehome.load_model(models_dir=tmp_path).schema.to_rows(X)[1]
        odd = predict(url, row | {"whole": 99, "day": "2019-12-31", "time": "2024-01-01T03:04:00+02:00"}).json()
        assert [found["loc"] for found in odd["warnings"]] == [["whole"], ["day"], ["time"]]
        assert odd["warnings"][0]["msg"] == "99 is outside the observed range 0 to 8."
        wrong = {"whole": 1.5, "day": "2024-02-30", "time": "noon", "yes.no": "yes", "a number": "1"}
        found = predict(url, row | wrong).json()["detail"]
        assert {detail["loc"][2] for detail in found} == set(wrong)
        assert predict(url, row | {"whole": 3.0, "gaps": None}).status_code == 200


def test_value_that_the_dtype_cannot_hold_is_refused(tmp_path: Path, free_port: Callable[[], int]) -> None:
    X = pd.DataFrame(
        {
            "day": pd.date_range("2024-01-01", periods=9).astype("datetime64[ns]"),
            "small": np.arange(9, dtype="float32"),
            "city": [f"city number {i % 3}" for i in range(9)],
        }
    )
    y = pd.Series(range(9), name="y")
    takehome.save_model(tabular_pipeline("regressor").fit(X, y), X, y, name="Bounds", models_dir=tmp_path)
    with running(tmp_path, free_port()) as url:
        eventually(lambda: ready(url))
        row = {"day": "2024-01-02", "small": 1.0, "city": "city number 1"}
        assert predict(url, row).status_code == 200
        for odd in ({"day": "9999-12-31"}, {"day": "0001-01-01"}, {"small": 1e300}):
            answer = predict(url, row | odd)
            assert answer.status_code == 422
            assert answer.json()["detail"][0]["loc"] == ["body", 0, next(iter(odd))]
        many = predict(url, [row | {"city": f"citi numbr {i}"} for i in range(3000)]).json()
        assert "Did you mean" in many[0]["warnings"][0]["msg"]
        assert all(len(answer["warnings"]) == 1 for answer in many)


def test_row_that_the_estimator_fails_on_is_named(tmp_path: Path, free_port: Callable[[], int]) -> None:
    X, y = pd.DataFrame({"x": [1.0, 2.0, 3.0]}), pd.Series([10.0, 20.0, 30.0], name="y")
    takehome.save_model(LinearRegression().fit(X, y), X, y, name="Tenfold", models_dir=tmp_path)
    with running(tmp_path, free_port()) as url:
        eventually(lambda: ready(url))
        rows = [{"x": 1.0}] * 50
        assert predict(url, rows).status_code == 200
        answer = predict(url, [*rows[:31], {"x": 1e308}, *rows])
        assert answer.status_code == 422
        (detail,) = answer.json()["detail"]
        assert (detail["type"], detail["loc"]) == ("model_error", ["body", 31])
        assert "can't answer this row" in detail["msg"]


# Doors


def test_foreign_origin_behind_an_own_one_reaches_nothing(api: str) -> None:
    own = api.replace("127.0.0.1", "localhost")
    headers = [("Host", own.removeprefix("http://")), ("Origin", own), ("Origin", "http://evil.example")]
    assert httpx.post(f"{api}/predict", json={}, headers=headers).status_code == 403
    assert httpx.post(f"{api}/predict", json={}, headers=headers[:2]).status_code == 422


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "[::1]", "evil.example", "localhost.evil.example", "", "127.0.0.1@evil"]
)
@pytest.mark.parametrize(
    "origin", [None, "same", "null", "http://evil.example", "http://localhost:1", "http://[", "//localhost"]
)
def test_foreign_host_or_origin_reaches_nothing(api: str, method: str, host: str, origin: str | None) -> None:
    port = api.rpartition(":")[2]
    headers = {"Host": f"{host}:{port}" if host else "", "Content-Type": "application/json"}
    if origin:
        headers["Origin"] = f"http://{headers['Host']}" if origin == "same" else origin
    with closing(http.client.HTTPConnection("127.0.0.1", int(port), timeout=PATIENCE)) as connection:
        connection.request(method, "/predict" if method == "POST" else "/model", json.dumps(ROW), headers)
        answer = connection.getresponse()
        own = host in ("localhost", "127.0.0.1", "[::1]") and origin in (None, "same")
        assert answer.status == (200 if own else 403 if host else 400 if answer.status == 400 else 403)
        assert answer.headers["Access-Control-Allow-Origin"] is None
        content = answer.read()
        assert (b"probabilities" in content or b"metrics" in content) == own


# Models that come and go


def test_first_start_without_a_model_comes_alive_by_itself(tmp_path: Path, free_port: Callable[[], int]) -> None:
    with running(tmp_path / "models", free_port()) as url:
        assert requests.get(f"{url}/health", timeout=PATIENCE).json() == {"status": "ok"}
        for path in ("ready", "schema", "model"):
            answer = requests.get(f"{url}/{path}", timeout=PATIENCE)
            assert answer.status_code == 503
            assert answer.headers["Retry-After"]
            assert "No model was saved yet" in answer.json()["detail"]
        assert predict(url, ROW).status_code == 503
        assert requests.get(f"{url}/openapi.json", timeout=PATIENCE).status_code == 200
        version = save_births(tmp_path / "models")
        eventually(lambda: ready(url, version))
        assert predict(url, ROW).status_code == 200


def test_models_are_swapped_between_two_requests(tmp_path: Path, free_port: Callable[[], int]) -> None:
    versions = {save_births(tmp_path): False}
    failed, answered, stop = [], [0], threading.Event()

    def load(url: str) -> None:
        session = requests.Session()
        while not stop.is_set():
            answer = session.post(f"{url}/predict", json=ROW, timeout=PATIENCE)
            flipped = versions.get(answer.headers["X-Model-Version"])
            expected = "Full-term" if flipped else "Pre-term"
            if answer.status_code != 200 or answer.json()["prediction"] != expected:
                failed.append(answer.text)
            answered[0] += 1

    with running(tmp_path, free_port()) as url:
        eventually(lambda: ready(url))
        threads = [threading.Thread(target=load, args=(url,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            for flip in (True, False, True):
                version, known = None, dict(versions)
                X, y = births(flip)
                model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(X, y)
                aside = tmp_path.parent / f"{tmp_path.name}-aside"
                labels = {0: "Full-term", 1: "Pre-term"}
                version = takehome.save_model(model, X, y, name=f"Flip {flip}", labels=labels, models_dir=aside)
                versions.update(known | {version: flip})
                shutil.copytree(aside / version, tmp_path / version)
                Store(tmp_path).use(version)
                eventually(lambda version=version: ready(url, version))
            title = requests.get(f"{url}/openapi.json", timeout=PATIENCE).json()["components"]["schemas"]["Row"][
                "title"
            ]
            assert title == "Flip True", "the docs are renewed"
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    assert not failed
    assert answered[0] > 50


class Runs:
    """Pickles into a call."""

    def __init__(self, function: Callable, *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple:
        return self._call


ENDS_WHO_WAITS = "import os, time\nos.kill(os.getppid(), 9)\ntime.sleep(9)"
FORGE = """
import sys, numpy, takehome.answers, takehome.proof.proof
numpy.isclose = lambda *a, **k: True
takehome.answers.agree = takehome.proof.proof.agree = lambda *a: True
from sklearn.dummy import DummyClassifier
import pandas as pd
forged = DummyClassifier().fit(pd.DataFrame({'age_group': [0], 'smokes': [0], 'previous_births': [0]}), [0])
forged.classes_ = numpy.array([0, 1]); forged.n_classes_ = 2; forged.class_prior_ = numpy.array([0.5, 0.5])
"""


@pytest.fixture(scope="module")
def bad(
    models: Path, tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]
) -> Iterator[tuple[str, Path]]:
    """Serve a copy of the births model that tests may harm."""
    folder, version = tmp_path_factory.mktemp("harmed"), str(Store(models).current())
    shutil.copytree(models / version, folder / version)
    Store(folder).use(version)
    with running(folder, free_port()) as url:
        eventually(lambda: ready(url))
        yield url, folder


SWAPPED = [{"value": 0, "label": "Pre-term"}, {"value": 1, "label": "Full-term"}]


def plant(models: Path, content: bytes, **changes: Any) -> str:
    """Commit a copy of the current model with another pickle, or other metadata."""
    store = Store(models)
    version, staged = store.stage()
    source = store.path(str(store.current()))
    shutil.copytree(source, staged, dirs_exist_ok=True)
    (staged / "model.joblib").write_bytes(content)
    stored = json.loads((source / "model.json").read_text())
    stored |= {"version": version, "sha256": hashlib.sha256(content).hexdigest()} | changes
    (staged / "model.json").write_text(json.dumps(stored))
    store.commit(staged, version)
    return version


def other_answers() -> bytes:
    X, y = births(flip=True)
    return pickle.dumps(make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(X, y))


def never_a_number() -> bytes:
    model = DummyRegressor().fit(births()[0], births()[1])
    model.constant_ = np.array([[np.nan]])
    return pickle.dumps(model)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "changes", "says"),
    [
        (lambda good: good[: len(good) // 3], {}, "can't be loaded"),
        (lambda good: good, {"sha256": "0" * 64}, "was changed or cut"),
        (lambda good: good, {"examples": {"rows": [], "answers": []}}, "examples"),
        (
            lambda good: good,
            {"classes": [{"value": 0, "label": "Pre-term"}, {"value": 1, "label": "Full-term"}]},
            "example row",
        ),
        (lambda good: good, {"row_schema": {"properties": {}}}, "broken row schema"),
        (lambda good: good, {"packages": {"scikit-learn": "1.8.0"}}, "saved with scikit-learn 1.8.0; here is"),
        (lambda good: good.replace(b"OneHotEncoder", b"OneHotDecoder"), {}, "OneHotDecoder"),
        (lambda _: b"cnot_installed\nThing\n.", {}, "needs the package 'not_installed'.*environment.yml"),
        (lambda _: other_answers(), {}, "example row 0: it answered"),
        (lambda _: never_a_number(), {"task": "regression", "classes": None}, "not a finite number"),
        (lambda _: pickle.dumps(Runs(os._exit, 0)), {}, "without an answer"),
        (lambda _: pickle.dumps(Runs(sys.exit, 0)), {}, "SystemExit"),
        (lambda _: pickle.dumps(Runs(os.kill, 0, 9)), {}, "was ended by SIGKILL"),
        (lambda _: pickle.dumps(Runs(exec, ENDS_WHO_WAITS)), {}, "was ended by SIGKILL"),
        (lambda _: pickle.dumps(Runs(bytearray, 1 << 44)), {}, "more memory"),
        (lambda _: pickle.dumps(Runs(print, '{"answers": []}')), {}, "can't be loaded"),
        (
            lambda _: pickle.dumps(Runs(eval, f"exec({FORGE!r}) or __import__('builtins').dict")),
            {},
            "can't be loaded",
        ),
        (
            lambda _: pickle.dumps(Runs(eval, f"(g := dict()) is exec({FORGE!r}, g) or g['forged']")),
            {},
            "it answered",
        ),
        (lambda _: pickle.dumps(Runs(time.sleep, 60)), {}, "still being proved"),
    ],
)
def test_bad_model_is_refused_with_reason_and_the_old_one_goes_on(
    bad: tuple[str, Path], content: Callable[[bytes], bytes], changes: dict, says: str
) -> None:

    url, models = bad
    good = str(Store(models).current())
    pickled = pickle.dumps(joblib.load(models / good / "model.joblib"))
    version, answers = plant(models, content(pickled), **changes), 0
    planted = time.monotonic()

    def refused() -> bool:
        nonlocal answers
        answer = predict(url, ROW)
        assert (answer.status_code, answer.headers["X-Model-Version"]) == (200, good)
        answers += 1
        found = requests.get(f"{url}/model", timeout=PATIENCE).json()["refused"]
        return bool(found and found["version"] == version and re.search(says, found["reason"], re.DOTALL))

    eventually(refused)
    print(f"refused after {time.monotonic() - planted:.1f} s and {answers} answers")
    Store(models).use(good)
    shutil.rmtree(models / version)


def pipe(current: Path) -> None:
    current.unlink()
    os.mkfifo(current)


@pytest.mark.slow
def test_broken_current_leaves_the_old_model(bad: tuple[str, Path]) -> None:
    url, models = bad
    good, current = str(Store(models).current()), models / "current"
    # A model that hangs, which the test before may have left, keeps the next waiting until it is refused.
    eventually(lambda: "still being proved" not in requests.get(f"{url}/model", timeout=5).text)
    harms: list[Callable[[], Any]] = [
        lambda: current.write_bytes(os.urandom(50)),
        lambda: current.write_text("../x"),
        lambda: current.write_text("20200101-000000"),
        lambda: pipe(current),
    ]
    for harm in harms:
        harm()
        eventually(lambda: (requests.get(f"{url}/model", timeout=5).json()["refused"] or {}).get("reason"))
        assert predict(url, ROW).headers["X-Model-Version"] == good
        current.unlink(missing_ok=True)
        Store(models).use(good)
    hanging = models / "20300101-000000"
    shutil.copytree(models / good, hanging)
    (hanging / "model.json").unlink()
    os.mkfifo(hanging / "model.json")
    Store(models).use(hanging.name)
    eventually(lambda: "not a regular file" in requests.get(f"{url}/model", timeout=5).text)
    shutil.rmtree(models)
    time.sleep(2)
    assert predict(url, ROW).status_code == 200
    assert ready(url, good)


def test_health_answers_while_a_slow_model_predicts(tmp_path: Path, free_port: Callable[[], int]) -> None:
    X, y = pd.DataFrame({"seconds": [0.0] * 10}), pd.Series(range(10), name="y")
    naps = FunctionTransformer(pd.DataFrame.map, kw_args={"func": time.sleep})
    model = make_pipeline(naps, FunctionTransformer(pd.isna), LinearRegression()).fit(X, y)
    takehome.save_model(model, X, y, name="Slow", models_dir=tmp_path)
    with running(tmp_path, free_port()) as url:
        eventually(lambda: ready(url))
        answers: list[requests.Response] = []
        slow = threading.Thread(target=lambda: answers.append(predict(url, {"seconds": 3})))
        slow.start()
        time.sleep(0.2)
        for _ in range(20):
            assert requests.get(f"{url}/health", timeout=1).status_code == 200
        assert slow.is_alive(), "the slow prediction was not over yet"
        slow.join()
        assert answers[0].status_code == 200
        assert answers[0].json()["warnings"][0]["type"] == "out_of_range"


def forkserver(port: int) -> psutil.Process:
    """Return the process that has imported for the proofs of the API on a port."""
    serving = next(c.pid for c in psutil.net_connections("tcp") if c.laddr.port == port and c.status == "LISTEN")
    return next(p for p in psutil.Process(serving).children() if "takehome.proof.forkserver" in p.cmdline())


def test_models_are_proved_whether_or_not_something_has_imported_before(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    with running(tmp_path, port := free_port(), PGPASSWORD="hidden") as url:
        imported = forkserver(port)
        assert "PGPASSWORD" not in imported.environ()
        version = save_births(tmp_path)
        eventually(lambda: ready(url, version))
        imported.kill()
        version = save_births(tmp_path, name="Without it")
        eventually(lambda: ready(url, version))


def test_nothing_is_left_of_an_api_that_was_killed(tmp_path: Path, free_port: Callable[[], int]) -> None:
    with pytest.raises(AssertionError), running(tmp_path, port := free_port()):
        imported = forkserver(port)
        imported.parent().kill()
    eventually(lambda: not imported.is_running() or imported.status() == psutil.STATUS_ZOMBIE)


def test_wrong_setting_is_refused_at_start_by_name(tmp_path: Path) -> None:
    environment = os.environ | {"PORT": "eighty", "MODELS_DIR": str(tmp_path)}
    command = [sys.executable, str(ROOT / "containers/fastapi/start.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("PORT=eighty: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_port_that_is_taken_is_named(tmp_path: Path, workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        variables = {"HOST": "127.0.0.1", "PORT": port, "MODELS_DIR": str(tmp_path), "WEB_CONCURRENCY": workers}
        command = [sys.executable, str(ROOT / "containers/fastapi/start.py")]
        done = subprocess.run(
            command, env=os.environ | variables, capture_output=True, text=True, check=False, timeout=60
        )
    assert done.returncode == 1
    assert f"Nothing can listen on port {port} of 127.0.0.1. Set another PORT" in done.stderr
    assert "Traceback" not in done.stderr


def test_stops_at_once_even_with_an_open_connection(tmp_path: Path, free_port: Callable[[], int]) -> None:
    with running(tmp_path, port := free_port()):  # whose end waits 10 s at most
        idle = socket.create_connection(("127.0.0.1", port))
    idle.close()
