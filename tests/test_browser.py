"""What a person sees: the four pages, the API's docs and JupyterLab in a real browser, before real services."""

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import numpy as np
import pandas as pd
import psycopg2
import pytest
import requests
import takehome
import websocket
from browsing import CURL, SCREENSHOTS, choose, drawn, field, picture, submit, visit
from playwright.sync_api import Browser, Locator, Page, expect
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from takehome.crew import Crew
from takehome.lock import lock
from takehome.postgres import find_cluster
from takehome.store import Store
from waiting import PATIENCE, eventually

HOUSE = Path(__file__).parents[1]
PICTURES = HOUSE / "resources"
SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}

ODD = {
    "text": "a *star* :smile: $x^2$",
    "optional": "[link](http://foreign.example) <b>&amp;</b>",
    "number": "`tick` -> www.foreign.example",
}


class Service:
    """One of the house's services, as a child process that can be stopped and started again."""

    def __init__(self, name: str, port: int, health: str, **variables: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._command = [sys.executable, str(HOUSE / "containers" / name / "start.py")]
        self._health = self.url + health
        self._variables = {"HOST": "127.0.0.1", "PORT": str(port), **variables}
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> "Service":
        """Start it and wait until it answers."""
        environment = os.environ | self._variables
        self._process = subprocess.Popen(
            self._command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/"
        )
        eventually(lambda: requests.get(self._health, timeout=5).ok)
        return self

    def stop(self) -> tuple[int, str]:
        """End it with SIGTERM; gives its exit code and all that it wrote."""
        if self._process is None:
            return 0, ""
        process, self._process = self._process, None
        process.send_signal(signal.SIGTERM)
        written, _ = process.communicate(timeout=10)
        return process.returncode, written


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """Open a tab; whatever a test does in it, nothing leaves this machine and no trace is shown."""
    context = browser.new_context(viewport=SIZES["desktop"], color_scheme="light")
    page, asked = context.new_page(), []
    context.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url))
    yield page
    shown = page.inner_text("body")
    context.close()
    foreign = [url for url in asked if urlsplit(url).hostname not in (None, "127.0.0.1")]
    assert not foreign
    assert "Traceback" not in shown


@dataclass(frozen=True)
class Pair:
    """The API and the page before it, with the folder that the API takes its models from and the database of both."""

    models: Path
    api: Service
    form: Service
    database: int

    def sql(self, query: str) -> list[tuple]:
        """Ask the database as its owner."""
        place = {"host": "127.0.0.1", "port": self.database, "user": "local", "dbname": "local"}
        with psycopg2.connect(**place) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="module")
def store(free_port: Callable[[], int]) -> Iterator[int]:
    """Run PostgreSQL as the house sets it up, with the roles and tables of the services. Gives its port."""
    port = free_port()
    schema = (HOUSE / "containers" / "postgres" / "schema.sql").read_text()
    with tempfile.TemporaryDirectory(prefix="takehome-") as folder:
        Path(folder).chmod(0o755)
        cluster = find_cluster(Path(folder))
        with lock(cluster.data) as held:
            cluster.prepare(held, schema)
            with Crew(held) as crew:
                command, own = cluster.command(port), {"identity": cluster.identity(), "keep": (held,)}
                crew.start("postgres", command, env={"PATH": os.environ["PATH"]}, stop_signal=2, **own)
                eventually(lambda: psycopg2.connect(host="127.0.0.1", port=port, user="page", dbname="local")).close()
                yield port


@pytest.fixture(scope="module")
def service(free_port: Callable[[], int]) -> Iterator[Callable[..., Service]]:
    """Return a function that gives a service on a free port; all are stopped at the end."""
    made: list[Service] = []

    def make(name: str, health: str, **variables: str) -> Service:
        made.append(Service(name, free_port(), health, **variables))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture(scope="module")
def pair(service: Callable[..., Service], store: int) -> Callable[[Path], Pair]:
    """Return a function that starts both before a models folder."""

    def make(models: Path) -> Pair:
        place = {"PGHOST": "127.0.0.1", "PGPORT": str(store), "PGDATABASE": "local"}
        api = service("fastapi", "/health", MODELS_DIR=str(models), PGUSER="api", **place).start()
        form = service("streamlit", "/_stcore/health", API_URL=api.url, PGUSER="page", **place).start()
        return Pair(models, api, form, store)

    return make


@pytest.fixture(scope="module")
def births(pair: Callable[[Path], Pair], tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Run both with a model of the example data."""
    folder = tmp_path_factory.mktemp("births")
    frame = takehome.read_csv(HOUSE / "volumes" / "static" / "births.csv.gz").iloc[::30]
    features, target = frame.drop(columns="preterm_indicator"), frame["preterm_indicator"]
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
    model.fit(features[::2], target[::2])
    held_out = (features[1::2], target[1::2])
    labels = {0: "Full-term", 1: "Pre-term"}
    about = {"name": "Preterm births", "labels": labels, "evaluate": held_out, "threshold": 0.1}
    takehome.save_model(model, features, target, **about, models_dir=folder)
    running = pair(folder)
    eventually(lambda: requests.get(f"{running.api.url}/ready", timeout=5).ok)
    return running


@pytest.fixture(scope="module")
def workshop(pair: Callable[[Path], Pair], tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Run both for models that come and go."""
    return pair(tmp_path_factory.mktemp("workshop"))


def mixed_frame(rows: int = 60) -> pd.DataFrame:
    """Give a frame with a column of each kind, some under names that Markdown would eat."""
    count = np.arange(rows)
    return pd.DataFrame(
        {
            ODD["text"]: pd.Series(np.where(count % 2, "*a*", "<i>b</i> :+1:"), dtype="str"),
            ODD["optional"]: pd.Series(np.where(count % 3, "yes", None), dtype="str"),
            ODD["number"]: count / 7,
            "whole": (count % 90).astype("int8"),
            "whole, optional": pd.Series(count, dtype="Int64").mask(count % 5 == 0),
            "flag": count % 2 == 0,
            "day": pd.date_range("1990-01-31", periods=rows, freq="D").astype("datetime64[us]"),
            "moment": pd.date_range("2024-02-29 12:30", periods=rows, freq="61min").astype("datetime64[us]"),
            "note": pd.Series([f"note {number} of *many*" for number in count], dtype="str"),
        }
    )


def serve_sum(pair: Pair, frame: pd.DataFrame, name: str = "odd *model* :smile:") -> str:
    """Serve a model that answers `whole` plus `whole, optional` (1000 where empty); gives its version.

    One of that name, from an earlier test, is served again.
    """
    saved = requests.get(f"{pair.api.url}/models", timeout=PATIENCE).json()
    version = next((one["version"] for one in saved if one["name"] == name), None) or save_sum(pair, frame, name)
    Store(pair.models).use(version)
    ready = f"{pair.api.url}/ready"
    eventually(lambda: requests.get(ready, timeout=5).json().get("version") == version)
    return version


def save_sum(pair: Pair, frame: pd.DataFrame, name: str) -> str:
    """Save that model."""
    optional = [column for column in frame if column == "whole, optional"]
    columns = make_column_transformer(
        ("passthrough", ["whole"]), (SimpleImputer(strategy="constant", fill_value=1000), optional)
    )
    target = pd.Series(columns.fit_transform(frame).sum(axis=1), name="price in $_€_$ <b>")
    adder = make_pipeline(columns, LinearRegression()).fit(frame, target)
    return takehome.save_model(adder, frame, target, name=name, models_dir=pair.models)


def predictions(api: Service) -> int:
    """Count the requests to /predict that the API has answered."""
    text = requests.get(f"{api.url}/metrics", timeout=PATIENCE).text
    found = re.findall(r'^takehome_requests_total{path="/predict".*} ([0-9.]+)', text, re.MULTILINE)
    return int(sum(map(float, found)))


def labels(tab: Page) -> Locator:
    """Find what stands over or beside the fields; a slider belongs to the field above it."""
    return tab.get_by_test_id("stWidgetLabel").get_by_test_id("stMarkdownContainer").filter(has_not_text="Slide ")


def chart(tab: Page, words: str) -> Locator:
    """Find a chart by the beginning of what it says to those who can't see it."""
    return tab.locator(f'[role="graphics-document"][aria-label^="{words}"]')


def test_form_shows_the_answer_of_the_api(tab: Page, births: Pair) -> None:
    visit(tab, births.form.url)
    expect(tab.get_by_role("heading", name="Preterm births")).to_be_visible()
    expect(labels(tab)).to_have_text(list(CURL))  # in training order
    for name, option in CURL.items():
        choose(tab, name, option)
    submit(tab)
    answer = requests.post(f"{births.api.url}/predict", json=CURL, timeout=PATIENCE).json()
    expect(tab.get_by_test_id("stMetricValue")).to_have_text(answer["prediction"])
    chart = tab.get_by_test_id("stVegaLiteChart").first
    for label, share in answer["probabilities"].items():
        expect(chart.get_by_text(label, exact=True)).to_be_visible()
        expect(chart.get_by_text(f"{100 * share:.1f} %", exact=True)).to_be_visible()
    expect(tab.get_by_text("saved")).to_contain_text(re.compile(r"version \d{8}-\d{6}.* · saved .+"))
    expect(tab.get_by_text("Answers “Pre-term” from a probability of 10.0 % on.")).to_be_visible()
    picture(tab, "page-desktop-light")
    renew(tab, "page")


def renew(tab: Page, name: str) -> None:
    """Keep the picture in the README, where it is asked for."""
    if os.environ.get("UPDATE_PICTURES") == "1":
        tab.set_viewport_size({"width": 1280, "height": 1160})
        picture(tab, name)
        shutil.copy(SCREENSHOTS / f"{name}.png", PICTURES / f"{name}.png")


def test_each_select_box_offers_its_own_categories(tab: Page, births: Pair) -> None:
    visit(tab, births.form.url)
    schema = requests.get(f"{births.api.url}/schema", timeout=PATIENCE).json()
    for name, column in schema["properties"].items():
        field(tab, name).click()
        expect(tab.get_by_role("option")).to_have_text(column["x-categories"])
        tab.keyboard.press("Escape")


def test_nothing_is_sent_before_submit_and_nothing_again_after(tab: Page, births: Pair) -> None:
    before = predictions(births.api)
    visit(tab, births.form.url)
    for name, option in CURL.items():
        choose(tab, name, option)
    assert predictions(births.api) == before
    submit(tab)
    expect(tab.get_by_test_id("stMetricValue")).to_be_visible()
    choose(tab, "age_group", "20 to 24 yrs")
    expect(tab.get_by_text("The form has changed since. Submit again.")).to_be_visible()
    tab.wait_for_timeout(5000)  # the page looks for a new model twice meanwhile
    assert predictions(births.api) == before + 2  # the answer, and one call for all curves


def test_curves_are_not_logged_as_predictions(tab: Page, births: Pair) -> None:
    count = "SELECT count(*) FROM predictions"
    visit(tab, births.form.url)
    expect(tab.get_by_role("button", name="Submit")).to_be_visible()
    tab.wait_for_timeout(2000)  # what earlier tests asked is written by now
    before = births.sql(count)[0][0]
    submit(tab)
    expect(tab.get_by_text("What if one field were different?")).to_be_visible()
    expect(tab.get_by_label(re.compile("^Answer along "))).not_to_have_count(0)
    eventually(lambda: births.sql(count)[0][0] > before)
    tab.wait_for_timeout(1000)
    assert births.sql(count)[0][0] == before + 1


PAGES = {"predict": "Submit", "batch": "Example file", "model": "Quality on held-out rows", "data": "Ask in SQL"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone(tab: Page, births: Pair, scheme: str) -> None:
    tab.set_viewport_size(SIZES["phone"])
    tab.emulate_media(color_scheme=scheme)
    for name, words in PAGES.items():
        visit(tab, f"{births.form.url}/{name}" if name != "predict" else births.form.url)
        expect(tab.get_by_text(words)).to_be_visible()
        if name == "predict":
            submit(tab)
            expect(tab.get_by_test_id("stVegaLiteChart").first).to_be_visible()
        picture(tab, f"{name}-phone-{scheme}")
        for scroller in ("document.documentElement", "document.querySelector('[data-testid=stMain]')"):
            # Charts are drawn at their own width before they get that of the page.
            tab.wait_for_function(f"{scroller}.scrollWidth <= {SIZES['phone']['width']}")


def test_every_kind_of_column_is_shown_and_sent_as_it_is(tab: Page, workshop: Pair) -> None:
    frame = mixed_frame()
    serve_sum(workshop, frame)
    tab.set_viewport_size({"width": 1280, "height": 1100})
    visit(tab, workshop.form.url)
    expect(tab.get_by_role("heading", name="odd *model* :smile:")).to_be_visible()
    grouped = [*list(frame.columns)[:5], "flag", "day", "moment", "note"]
    expect(labels(tab)).to_have_text(grouped)
    drawn(tab)
    choose(tab, ODD["text"], "<i>b</i> :+1:")
    field(tab, "whole").fill("99")
    field(tab, "whole, optional").fill("7")
    field(tab, "note").fill("<script>alert(1)</script>")
    field(tab, "note").press("Enter")
    submit(tab)
    expect(tab.get_by_test_id("stMetricValue")).to_have_text("106")
    expect(tab.get_by_test_id("stMetricLabel")).to_have_text("price in $_€_$ <b>")
    words = "whole: 99 is outside the observed range 0 to 59."
    expect(tab.get_by_test_id("stAlert").get_by_role("listitem")).to_have_text([words])
    picture(tab, "page-every-kind")


def test_emptied_optional_field_is_sent_as_null(tab: Page, workshop: Pair) -> None:
    serve_sum(workshop, mixed_frame())
    visit(tab, workshop.form.url)
    expect(field(tab, "whole, optional")).to_be_visible()
    drawn(tab)
    field(tab, "whole").fill("5")
    field(tab, "whole, optional").fill("")
    submit(tab)
    expect(tab.get_by_test_id("stMetricValue")).to_have_text("1,005")
    expect(tab.get_by_test_id("stAlert")).to_have_count(0)


def test_refusal_comes_in_the_words_of_the_api(tab: Page, workshop: Pair) -> None:
    serve_sum(workshop, mixed_frame())
    visit(tab, workshop.form.url)
    expect(field(tab, "whole")).to_be_visible()
    field(tab, "whole").fill("999")
    submit(tab)
    words = "999 doesn't fit column 'whole'. It takes a whole number from -128 to 127."
    expect(tab.get_by_test_id("stAlert").get_by_role("listitem")).to_have_text([words])
    picture(tab, "page-refusal")


def test_hot_swap_renews_the_form_and_keeps_what_is_typed(tab: Page, workshop: Pair) -> None:
    frame = mixed_frame()
    serve_sum(workshop, frame[["whole", "note", "day"]], name="before")
    visit(tab, workshop.form.url)
    expect(tab.get_by_role("heading", name="before")).to_be_visible()
    field(tab, "whole").fill("42")
    field(tab, "note").fill("half a sen")
    serve_sum(workshop, frame[["flag", "note", "whole"]], name="after")
    expect(tab.get_by_role("heading", name="after")).to_be_visible()
    expect(labels(tab)).to_have_text(["whole", "flag", "note"])
    expect(field(tab, "whole")).to_have_value("42")
    expect(field(tab, "note")).to_have_value("half a sen")


def test_curve_shows_how_the_answer_moves_with_one_field(tab: Page, workshop: Pair) -> None:
    serve_sum(workshop, mixed_frame())
    visit(tab, workshop.form.url)
    expect(field(tab, "whole")).to_be_visible()
    field(tab, "whole").fill("7")
    field(tab, "whole, optional").fill("59")
    submit(tab)
    # The sum moves by as much as the field does.
    words = "Answer along whole: lowest 59 at 0, highest 118 at 59; the form holds 7."
    expect(chart(tab, words)).to_be_visible()
    place = tab.locator(".place", has_text="whole").first
    expect(place).to_contain_text("above 11.")
    expect(tab.locator(".place", has_text="whole, optional")).to_contain_text("the greatest of the training rows")
    expect(tab.locator(".place", has_text="yes")).to_contain_text("66.7 % of the training rows")
    expect(tab.locator(".places b, .places i, .places script").filter(has_text="tick")).to_have_count(0)


def test_example_fills_the_form(tab: Page, workshop: Pair) -> None:
    serve_sum(workshop, mixed_frame())
    visit(tab, workshop.form.url)
    example = requests.get(f"{workshop.api.url}/schema", timeout=PATIENCE).json()["examples"][0]
    expect(field(tab, "whole")).to_be_visible()
    field(tab, "whole").fill("55")
    tab.get_by_role("button", name="Fill with an example").click()
    expect(field(tab, "whole")).to_have_value(str(example["whole"]))
    assert example["whole, optional"] is None
    expect(field(tab, "whole, optional")).to_have_value("")
    expect(field(tab, "note")).to_have_value(example["note"])
    submit(tab)
    answer = requests.post(f"{workshop.api.url}/predict", json=example, timeout=PATIENCE).json()["prediction"]
    expect(tab.get_by_test_id("stMetricValue")).to_have_text(f"{answer:,.6g}")


def test_many_categories_are_suggested_not_listed(tab: Page, workshop: Pair) -> None:
    frame = mixed_frame(900)[["whole", "flag"]]
    frame["city"] = pd.Series([f"City {number % 300:03d}" for number in range(900)], dtype="str")
    serve_sum(workshop, frame, name="cities")
    visit(tab, workshop.form.url)
    city = field(tab, "city")
    expect(city).to_be_visible()
    city.fill("city 27")
    city.press("Enter")
    suggestions = tab.get_by_test_id("stButtonGroup").get_by_role("radio")
    expect(suggestions).to_have_text([f"City {number}" for number in range(270, 276)])
    suggestions.nth(3).click()
    expect(city).to_have_value("City 273")
    submit(tab)
    expect(tab.get_by_test_id("stMetricValue")).to_be_visible()
    expect(tab.get_by_test_id("stAlert")).to_have_count(0)


def upload(tab: Page, content: str | bytes, name: str = "mine.csv") -> None:
    """Put a file into the upload and press the button."""
    data = content.encode() if isinstance(content, str) else content
    file = {"name": name, "mimeType": "text/csv", "buffer": data}
    tab.locator("input[type=file]").set_input_files(file)
    expect(tab.get_by_text(name, exact=True).first).to_be_visible()
    expect(tab.get_by_test_id("stAlert")).to_have_count(0)
    tab.get_by_role("button", name="Score", exact=True).click()


def test_file_comes_back_with_answers_and_what_is_wrong_by_line(tab: Page, births: Pair) -> None:
    visit(tab, f"{births.form.url}/batch")
    names = ["id", *CURL, "preterm_indicator"]
    rows = [[f"{number:03d}", *CURL.values(), "1"] for number in range(40)]
    rows[3][0], rows[5][1], rows[7][1] = "=1+1", "Under 15 yr", ""
    text = "\n".join(",".join(f'"{value}"' for value in row) for row in [names, *rows])
    upload(tab, text)
    with tab.expect_download() as waiting:
        tab.get_by_role("button", name="Download scored file").click()
    assert waiting.value.suggested_filename == "mine-scored.csv"
    scored = list(csv.DictReader(io.StringIO(waiting.value.path().read_text())))
    assert [[row[name] for name in names] for row in scored] == rows
    answer = requests.post(f"{births.api.url}/predict", json=CURL, timeout=PATIENCE).json()
    assert {row["prediction"] for row in scored[8:]} == {answer["prediction"]}
    assert float(scored[0]["probability: Pre-term"]) == answer["probabilities"]["Pre-term"]
    assert scored[5]["warnings"].startswith("age_group: 'Under 15 yr' was never seen in training. Did you mean")
    assert scored[7]["prediction"] == ""
    assert scored[7]["error"].startswith("null doesn't fit column 'age_group'.")
    expect(tab.get_by_test_id("stMetricValue")).to_have_text(["39", "1", "1"])
    expect(tab.get_by_text("A spreadsheet would run text in 1 row of this file as a formula.")).to_be_visible()
    picture(tab, "batch-desktop-light")


def test_bad_file_is_told_by_line_and_column(tab: Page, births: Pair) -> None:
    header = ",".join(CURL)
    bad = {
        "a;b;c\n1;2;3": "line 1: the fields are separated by semicolons",
        f"{header}\n1,2,3,4,5\n1,2,3": "line 3: 3 fields where the header has 5",
        f'{header}\n1,2,3,4,"5': "line 2: unexpected end of data",
        header.replace("age_group", "agegroup")
        + "\n1,2,3,4,5": "column 'age_group' is missing (is it called 'agegroup' there?)",
        f"{header},{header}\n": "column 'age_group' is there twice",
        header: "has a header and no rows",
        f"{header}\n1,2,3,4,caf\u00e9".encode("latin-1"): "line 2: the text is not UTF-8, but probably Windows-1252",
        b"PK\x03\x04": "is a spreadsheet or a zip archive",
    }
    visit(tab, f"{births.form.url}/batch")
    expect(tab.get_by_text("Example file")).to_be_visible()
    for number, (content, words) in enumerate(bad.items()):
        upload(tab, content, f"bad{number}.csv")  # which takes the message about the one before away
        expect(tab.get_by_test_id("stAlert")).to_contain_text(words)


def test_model_page_tells_quality_drift_and_versions(tab: Page, births: Pair) -> None:
    version = requests.get(f"{births.api.url}/ready", timeout=PATIENCE).json()["version"]
    drift = tab.get_by_label("Drift by column").get_by_role("row")
    births.sql(f"DELETE FROM predictions WHERE model_version = '{version}'")
    tab.set_viewport_size({"width": 1280, "height": 1400})
    for rows, total, band in ((50, 50, "too few rows"), (250, 300, "another population")):
        requests.post(f"{births.api.url}/predict", json=[CURL] * rows, timeout=PATIENCE)
        known = f"SELECT 1 FROM drift WHERE model_version = '{version}' AND rows >= {total}"
        eventually(lambda known=known: births.sql(known) != [])
        visit(tab, f"{births.form.url}/model")
        expect(drift.filter(has_text="age_group")).to_contain_text(band)
    model = requests.get(f"{births.api.url}/model", timeout=PATIENCE).json()
    low, high = model["intervals"]["roc_auc"]
    metrics = tab.get_by_label("Metrics on held-out rows").get_by_role("row")
    expect(metrics.filter(has_text="roc auc")).to_contain_text(f"{low:.3f} to {high:.3f}")
    for curve in ("ROC: ", "Precision and recall: ", "Calibration: ", "Importance: ", "Predictions by day"):
        expect(chart(tab, curve)).to_be_visible()
    confusion = tab.get_by_label("Rows by true class and predicted class").get_by_role("row").nth(2)
    expect(confusion).to_contain_text(f"{model['confusion']['counts'][1][1]:,}")
    expect(drift).to_have_count(1 + len(CURL))
    expect(tab.get_by_label("Versions").get_by_role("row").filter(has_text="scikit-learn")).to_be_visible()
    expect(tab.get_by_text("serving")).to_be_visible()
    picture(tab, "model-desktop-light")
    renew(tab, "page-model")


def test_model_saved_before_is_served_again(tab: Page, workshop: Pair) -> None:
    frame = mixed_frame()
    first = serve_sum(workshop, frame)
    serve_sum(workshop, frame, name="second *one*")
    visit(tab, f"{workshop.form.url}/model")
    expect(tab.get_by_role("heading", name="second *one*")).to_be_visible()
    tab.get_by_role("button", name=f"Serve {first}").click()
    expect(tab.get_by_role("heading", name="odd *model* :smile:")).to_be_visible()
    expect(tab.get_by_text(f"{first} answers now.")).to_be_visible()
    assert requests.get(f"{workshop.api.url}/ready", timeout=PATIENCE).json()["version"] == first


def ask(tab: Page, query: str) -> None:
    """Run a statement in the box."""
    tab.get_by_label("SQL", exact=True).fill(query)
    tab.get_by_label("SQL", exact=True).press("Control+Enter")
    tab.get_by_role("button", name="Run", exact=True).click()


def test_tables_are_shown_and_asked(tab: Page, births: Pair) -> None:
    births.sql('CREATE TABLE "<b>odd</b> *name*" AS SELECT i AS "x""y" FROM generate_series(1, 5000) AS i')
    visit(tab, f"{births.form.url}/data")
    row = tab.get_by_label("Tables", exact=True).get_by_role("row").filter(has_text="<b>odd</b> *name*")
    expect(row).to_contain_text("5,000")
    choose(tab, "Look into", "<b>odd</b> *name*")
    expect(tab.get_by_label("The first 20 rows of <b>odd</b> *name*").first).to_be_visible()
    ask(tab, 'SELECT * FROM "<b>odd</b> *name*"')
    expect(tab.get_by_text("The first 1,000 rows; there are more.")).to_be_visible()
    with tab.expect_download() as waiting:
        tab.get_by_role("button", name="Download answer").click()
    assert waiting.value.path().read_text().splitlines()[:2] == ['"x""y"', "1"]
    picture(tab, "data-desktop-light")
    births.sql('DROP TABLE "<b>odd</b> *name*"')


def test_sql_may_only_read_and_errors_are_one_line(tab: Page, births: Pair) -> None:
    visit(tab, f"{births.form.url}/data")
    wrong = {
        "DELETE FROM predictions": "Cannot execute DELETE in a read-only transaction. This page may only read",
        "CREATE TABLE mine (a int)": "Cannot execute CREATE TABLE in a read-only transaction.",
        "SELECT 1;\nDROP TABLE predictions": "One statement at a time",
        "SELECT agegroup\nFROM nowhere": 'Relation "nowhere" does not exist (line 2).',
        "SELECT pg_sleep(60)": "Stopped after 5 seconds.",
        "COPY predictions TO PROGRAM 'id'": "ermission denied",
    }
    expect(tab.get_by_role("button", name="Run", exact=True)).to_be_visible()
    for query, words in wrong.items():
        ask(tab, query)
        expect(tab.get_by_test_id("stAlert")).to_contain_text(words)
    ask(tab, 'SELECT \'{"a;b": true}\'::jsonb AS "c;d"; -- the end')
    expect(tab.get_by_text("1 row", exact=True)).to_be_visible()
    with tab.expect_download() as waiting:
        tab.get_by_role("button", name="Download answer").click()
    assert waiting.value.path().read_text() == 'c;d\n"{""a;b"": true}"\n'
    assert births.sql("SELECT count(*) > 0 FROM predictions") == [(True,)]


def test_two_hundred_columns_are_filled_and_explained(tab: Page, workshop: Pair) -> None:
    numbers = np.random.default_rng(0).normal(size=(80, 200)).round(3)
    frame = pd.DataFrame(numbers, columns=[f"gene {number}" for number in range(200)]).assign(whole=range(80))
    serve_sum(workshop, frame, name="genes")
    visit(tab, workshop.form.url)
    expect(field(tab, "gene 199")).to_be_visible()
    submit(tab)
    expect(chart(tab, "Answer along whole: lowest 0 at 0, highest 79 at 79")).to_be_visible()


def test_page_waits_with_the_reason_and_comes_alive_by_itself(
    tab: Page, service: Callable[..., Service], births: Pair, tmp_path: Path
) -> None:
    api = service("fastapi", "/health", MODELS_DIR=str(tmp_path))
    form = service("streamlit", "/_stcore/health", API_URL=api.url).start()
    visit(tab, form.url)
    notice = tab.get_by_test_id("stAlert")
    expect(notice).to_contain_text(f"The API at {api.url} cannot be reached.")
    picture(tab, "page-api-down")
    api.start()
    reason = requests.get(f"{api.url}/ready", timeout=PATIENCE).json()["detail"]
    expect(notice).to_contain_text(reason)
    picture(tab, "page-no-model")
    shutil.copytree(births.models, tmp_path, dirs_exist_ok=True)
    expect(field(tab, "age_group")).to_be_visible()
    expect(notice).to_have_count(0)
    visit(tab, f"{form.url}/data")
    expect(notice).to_contain_text("No database is set. PGHOST names it.")


def test_a_store_that_is_away_is_told_while_its_copy_answers(
    tab: Page, service: Callable[..., Service], births: Pair, tmp_path: Path
) -> None:
    url = "s3://bucket/models"
    shutil.copytree(births.models, tmp_path / quote(url, safe=""))
    store = {"AWS_ENDPOINT_URL": "https://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}
    api = service("fastapi", "/ready", MODELS_DIR=url, MODELS_MIRROR=str(tmp_path), **store).start()
    form = service("streamlit", "/_stcore/health", API_URL=api.url).start()
    tab.goto(form.url)
    expect(tab.get_by_test_id("stAlert")).to_contain_text(f"{url}: it can't be reached")
    picture(tab, "page-store-away")
    submit(tab)
    expect(tab.get_by_test_id("stMetricValue")).to_be_visible()


def test_refused_model_is_told_while_the_old_one_answers(tab: Page, workshop: Pair) -> None:
    current = workshop.models / "current"
    good = current.read_text()
    visit(tab, workshop.form.url)
    current.write_text("20200101-000000\n")
    notice = tab.get_by_test_id("stAlert")
    expect(notice).to_contain_text("20200101-000000/model.json can't be read")
    picture(tab, "page-refused-model")
    submit(tab)
    expect(tab.get_by_test_id("stMetricValue")).to_be_visible()
    current.write_text(good)
    expect(notice).to_have_count(0)


def test_what_is_typed_outlives_the_api(tab: Page, births: Pair) -> None:
    visit(tab, births.form.url)
    choose(tab, "age_group", "50+ yrs")
    births.api.stop()
    expect(tab.get_by_test_id("stAlert")).to_contain_text("cannot be reached")
    submit(tab)
    expect(tab.get_by_text("No answer")).to_be_visible()
    picture(tab, "page-api-lost")
    births.api.start()
    expect(tab.get_by_text("Waiting for the API")).to_have_count(0)
    expect(field(tab, "age_group")).to_have_value("50+ yrs")
    submit(tab)
    expect(tab.get_by_test_id("stMetricValue")).to_be_visible()


def test_page_tells_the_addresses_once_and_stops_when_told_to(births: Pair, service: Callable[..., Service]) -> None:
    form = service("streamlit", "/_stcore/health", API_URL=births.api.url, ANNOUNCE="1", STREAMLIT_PORT="9999").start()
    time.sleep(3)
    code, written = form.stop()
    assert code == 0
    assert written.count("http://127.0.0.1:9999") == 1
    assert len(written.splitlines()) <= 6, written


def test_wrong_setting_is_refused_by_name() -> None:
    command = [sys.executable, str(HOUSE / "containers" / "streamlit" / "start.py")]
    run = subprocess.run(command, env=os.environ | {"PORT": "many"}, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith("PORT='many': ")
    assert "Traceback" not in run.stderr


PATHS = ["/", "/_stcore/health", "/_stcore/host-config", "/_stcore/upload_file/a/b", "/media/a.png", "/static/a.js"]
FOREIGN = [
    {"Host": "foreign.example"},
    {"Host": "127.0.0.1.foreign.example"},
    {"Host": "127.0.0.1@foreign.example"},
    {"Host": "foreign.example", "Origin": "http://foreign.example"},
    {"Origin": "http://foreign.example"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "null"},
]


def test_foreign_host_and_origin_are_refused_at_every_door(births: Pair) -> None:
    for headers in FOREIGN:
        for path in PATHS:
            for method in ("GET", "PUT", "POST", "DELETE", "OPTIONS"):
                answer = requests.request(method, births.form.url + path, headers=headers, timeout=PATIENCE)
                assert answer.status_code == 403, (method, path, headers)


def test_foreign_host_and_origin_never_open_the_websocket(births: Pair) -> None:
    stream = births.form.url.replace("http", "ws") + "/_stcore/stream"
    for headers in FOREIGN:
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            _open(stream, headers)
    for name in ("127.0.0.1", "localhost", "[::1]"):
        host = f"{name}:{urlsplit(births.form.url).port}"
        assert _open(stream, {"Host": host, "Origin": f"http://{host}"}) == 101


def _open(stream: str, headers: dict[str, str]) -> int:
    origin = headers.get("Origin")
    options = {"suppress_origin": origin is None, **({"origin": origin} if origin else {})}
    connection = websocket.create_connection(stream, timeout=PATIENCE, host=headers.get("Host"), **options)
    connection.close()
    return int(connection.status)


def test_docs_of_the_api_are_drawn_without_the_internet(tab: Page, births: Pair) -> None:
    visit(tab, f"{births.api.url}/docs")
    expect(tab.get_by_text("/predict", exact=True)).to_be_visible()
    tab.locator(".opblock-post .opblock-summary").first.click()
    expect(tab.get_by_text("Under 15 yrs").first).to_be_visible()
    picture(tab, "docs")


@pytest.fixture
def jupyter(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[str]:
    """Run JupyterLab as the house sets it up, on a copy of the notebook; gives its address."""
    notebooks, port = tmp_path / "notebooks", free_port()
    notebooks.mkdir()
    shutil.copy(HOUSE / "volumes" / "notebooks" / "submission.ipynb", notebooks)
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": "6 * 7", "outputs": [], "execution_count": None}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    empty = {"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    (notebooks / "scratch.ipynb").write_text(json.dumps(empty))
    (notebooks / "models").mkdir()
    (notebooks / "models" / "current").touch()  # nothing to train
    command = [sys.executable, str(HOUSE / "containers" / "python" / "start.py")]
    home = notebooks / "a home with a path that is too long for the address of a socket"
    folders = {"NOTEBOOKS_DIR": notebooks, "MODELS_DIR": notebooks / "models", "STATIC_DIR": notebooks, "HOME": home}
    own = {"HOST": "127.0.0.1", "PORT": str(port)} | {name: str(folder) for name, folder in folders.items()}
    running = subprocess.Popen(command, env=os.environ | own, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    eventually(lambda: requests.get(f"http://127.0.0.1:{port}/api", timeout=5).ok)
    yield f"http://127.0.0.1:{port}"
    running.terminate()
    running.wait(PATIENCE)


@pytest.mark.slow
def test_jupyterlab_opens_the_notebook_and_runs_a_cell(tab: Page, jupyter: str) -> None:
    visit(tab, f"{jupyter}/lab/tree/submission.ipynb")
    expect(tab.get_by_role("heading", name="Preterm births").first).to_be_visible()
    picture(tab, "jupyterlab")
    expect(tab.get_by_text("Jupyter news")).to_have_count(0)
    visit(tab, f"{jupyter}/lab/workspaces/other/tree/scratch.ipynb")
    cell = tab.get_by_role("textbox").filter(has_text="6 * 7")
    expect(tab.get_by_role("button", name="Python 3 (ipykernel) | Idle")).to_be_visible()
    cell.click()
    tab.keyboard.press("Shift+Enter")
    expect(tab.get_by_role("main").get_by_text("42", exact=True)).to_be_visible()
