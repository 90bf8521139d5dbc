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
from frames import ODD_TEXTS, TEXTS, frames
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier

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


def by_hash(X: pd.DataFrame, y: pd.Series, last: Any) -> Any:
    """Fit what answers each row by a hash of all its values: none can be lost, rounded or turned into another type."""
    hashed = FunctionTransformer(pd.util.hash_pandas_object, kw_args={"index": False})
    column = FunctionTransformer(np.reshape, kw_args={"shape": (-1, 1)})
    return make_pipeline(hashed, column, last).fit(X, y)


# What a row is asked for: any number, or one of these classes.
ASKED: dict[str, st.SearchStrategy[list[Any]] | None] = {
    "number": None,
    "one of texts": st.lists(TEXTS | st.sampled_from(ODD_TEXTS), min_size=2, max_size=12, unique=True),
    "one of numbers": st.lists(st.integers(-100, 100), min_size=2, max_size=12, unique=True),
    "true or false": st.just([True, False]),
}


@pytest.mark.slow
@pytest.mark.parametrize("asked", ASKED)
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=frames(columns=10, rows=40), data=st.data())
def test_any_row_is_accepted_and_answered_as_by_the_estimator(
    tmp_path: Path, serve: Any, asked: str, drawn: pd.DataFrame, data: st.DataObject
) -> None:
    drawn.to_csv(tmp_path / "any.csv", index=False, quoting=csv.QUOTE_ALL)
    X = takehome.read_csv(tmp_path / "any.csv")
    texts = X.columns[X.dtypes == "str"]
    X = X.astype(dict.fromkeys(texts[::2], "category"))
    if (classes := ASKED[asked]) is None:
        y, last = pd.util.hash_pandas_object(X, index=False).astype("float64") / 2**64, LinearRegression()
    else:
        y, last = pd.Series(np.resize(data.draw(classes), len(X))), DecisionTreeClassifier()
    model = by_hash(X, y, last)
    takehome.save_model(model, X, y.rename("y"), name="Any", models_dir=tmp_path / "models")
    schema, answers = asyncio.run(ask(serve(), X))
    rows = takehome.schema.RowSchema.from_frame(X).to_rows(X)
    assert not [error.message for row in rows for error in Draft202012Validator(schema).iter_errors(row)]
    assert not [answer["warnings"] for answer in answers if answer["warnings"]]
    predicted, given = model.predict(X).tolist(), [answer["prediction"] for answer in answers]
    if classes is None:
        assert given == pytest.approx(predicted, rel=1e-9)
        return
    assert given == list(map(str, predicted))
    shares = [list(answer["probabilities"].values()) for answer in answers]
    assert np.array(shares) == pytest.approx(model.predict_proba(X), abs=1e-9)
    assert {tuple(answer["probabilities"]) for answer in answers} == {tuple(map(str, model.classes_.tolist()))}


async def ask(client: httpx.AsyncClient, X: pd.DataFrame) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Ask for the schema, and for an answer to every row."""
    async with client:
        schema = (await client.get("/schema")).json()
        rows = takehome.schema.RowSchema.from_json(schema).to_rows(X)
        answer = await client.post("/predict", params={"log": "false"}, json=rows)
        assert answer.status_code == 200, answer.text[:500]
        return schema, answer.json()
