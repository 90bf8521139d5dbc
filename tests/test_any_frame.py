"""Any frame that a file can hold is answered over HTTP as the estimator answers it in the notebook."""

import asyncio
import csv
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import takehome
from frames import frames
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

API = Path(__file__).parents[1] / "containers" / "fastapi"


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Return a function that makes the API, in this process, serve the model saved last."""
    monkeypatch.syspath_prepend(str(API))
    main, served = import_module("app.main"), import_module("app.served")

    def begin() -> httpx.AsyncClient:
        main.registry.served = served.Served(takehome.load_model(models_dir=tmp_path / "models"))
        return httpx.AsyncClient(transport=httpx.ASGITransport(main.app), base_url="http://localhost")

    return begin


def estimator(frame: pd.DataFrame) -> Any:
    """Fit what answers each row by a hash of all its values: none can be lost, rounded or turned into another type."""
    hashed = FunctionTransformer(pd.util.hash_pandas_object, kw_args={"index": False})
    column = FunctionTransformer(np.reshape, kw_args={"shape": (-1, 1)})
    known = pd.util.hash_pandas_object(frame, index=False).to_numpy("float64") / 2**64
    return make_pipeline(hashed, column, LinearRegression()).fit(frame, known)


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=frames(columns=10, rows=40))
def test_any_row_is_accepted_and_answered_as_by_the_estimator(tmp_path: Path, serve: Any, drawn: pd.DataFrame) -> None:
    drawn.to_csv(tmp_path / "any.csv", index=False, quoting=csv.QUOTE_ALL)
    X = takehome.read_csv(tmp_path / "any.csv")
    texts = X.columns[X.dtypes == "str"]
    X = X.astype(dict.fromkeys(texts[::2], "category"))
    model = estimator(X)
    takehome.save_model(model, X, pd.Series(range(len(X)), name="y") / 7, name="Any", models_dir=tmp_path / "models")
    schema, answers = asyncio.run(ask(serve(), X))
    rows = takehome.schema.RowSchema.from_frame(X).to_rows(X)
    assert not [error.message for row in rows for error in Draft202012Validator(schema).iter_errors(row)]
    assert [answer["prediction"] for answer in answers] == pytest.approx(model.predict(X).tolist(), rel=1e-9)
    assert not [answer["warnings"] for answer in answers if answer["warnings"]]


async def ask(client: httpx.AsyncClient, X: pd.DataFrame) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Ask for the schema, and for an answer to every row."""
    async with client:
        schema = (await client.get("/schema")).json()
        rows = takehome.schema.RowSchema.from_json(schema).to_rows(X)
        answer = await client.post("/predict", params={"log": "false"}, json=rows)
        assert answer.status_code == 200, answer.text[:500]
        return schema, answer.json()
