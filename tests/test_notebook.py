"""The notebook, run for real: from the table in PostgreSQL and from the file, to the model that it saves."""

import gzip
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import nbformat
import pandas as pd
import pytest
import takehome
from kernel import kernel
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "volumes/notebooks/submission.ipynb"
BIRTHS = ROOT / "volumes/static/births.csv.gz"
# The row of the README's curl command.
ROW = {
    "age_group": "Under 15 yrs",
    "reported_race_ethnicity": "White, non-Hispanic",
    "previous_births": "None",
    "tobacco_use_during_pregnancy": "Yes",
    "adequate_prenatal_care": "Inadequate",
}
PROBE = f"""
import json
row = pd.DataFrame([{ROW!r}])
print(json.dumps([risk(model, row[features])[0], measures(p)["ROC AUC"]]))
"""

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Run:
    """What a run of the notebook left behind."""

    outputs: dict[str, str]  # what each cell wrote, by the cell's id
    risk: float  # of the curl row, as the notebook's own estimator gives it
    auc: float
    models: Path

    def model(self) -> takehome.Model:
        return takehome.load_model(models_dir=self.models)


def texts(notebook: nbformat.NotebookNode) -> dict[str, str]:
    """Return what each cell wrote, but for what names a place or a time."""
    cells = {cell.id: cell.get("outputs", []) for cell in notebook.cells if cell.id not in ("save", "probe")}
    written = {at: "".join(out.get("text", "") or out.data["text/plain"] for out in outs) for at, outs in cells.items()}
    return {at: re.sub(r"births: read from .*\n", "", text) for at, text in written.items()}


def run(models: Path, **variables: str) -> Run:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(PROBE, id="probe"))
    environment = os.environ | {"MODELS_DIR": str(models)} | variables
    with kernel() as manager:
        NotebookClient(notebook, timeout=300, km=manager).execute(env=environment, cwd=str(NOTEBOOK.parent))
    return Run(texts(notebook), *json.loads(notebook.cells[-1].outputs[0].text), models)


@pytest.fixture(scope="module")
def make_births() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_births", ROOT / "resources/make_births.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def example(make_births: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the example data anew: whoever runs this may have put data of their own into volumes/static."""
    path = tmp_path_factory.mktemp("static") / BIRTHS.name
    make_births.write(path, make_births.csv_text())
    return path


@pytest.fixture(scope="module")
def births(example: Path) -> pd.DataFrame:
    return takehome.read_csv(example)


@pytest.fixture(scope="module")
def from_database(postgres: int, example: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run the notebook on the table, without the file."""
    environment = os.environ | {"PGPORT": str(postgres), "STATIC_DIR": str(example.parent)}
    subprocess.run([sys.executable, "-m", "takehome.cli", "load"], check=True, env=environment)
    return run(tmp_path_factory.mktemp("models"), STATIC_DIR=str(tmp_path_factory.mktemp("nothing")))


@pytest.fixture(scope="module")
def from_reversed_file(example: Path, tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Run:
    """Run the notebook without a database, on the file with its rows in reverse order."""
    static = tmp_path_factory.mktemp("reversed")
    header, *rows = gzip.decompress(example.read_bytes()).splitlines(keepends=True)
    (static / BIRTHS.name).write_bytes(gzip.compress(b"".join([header, *reversed(rows)]), compresslevel=1))
    return run(tmp_path_factory.mktemp("models"), STATIC_DIR=str(static), PGPORT=str(free_port()))


def test_the_notebook_ends_with_a_model_that_proves_itself(from_database: Run) -> None:
    model = from_database.model()
    assert model.metadata.name == "Preterm births"
    assert model.metadata.data.rows == 3_096_936
    assert [item["label"] for item in model.metadata.classes] == ["Full-term", "Pre-term"]


def test_the_saved_measure_is_the_auc_of_probabilities(from_database: Run) -> None:
    assert 0.55 < from_database.auc < 0.7
    assert from_database.model().metadata.metrics["roc_auc"] == pytest.approx(from_database.auc, abs=1e-9)


def test_the_model_gives_the_notebooks_probability_for_the_readme_row(from_database: Run) -> None:
    model = from_database.model()
    answer = model.predict(model.schema.to_frame([ROW]))[0]
    assert answer["prediction"] == "Pre-term"
    assert answer["probabilities"]["Pre-term"] == pytest.approx(from_database.risk, abs=1e-12)


def test_the_label_is_not_the_same_for_everybody(from_database: Run, births: pd.DataFrame) -> None:
    model = from_database.model()
    assert model.metadata.threshold_rule.startswith("Highest balanced accuracy (0.5")
    kinds = births[list(model.metadata.row_schema["properties"])].drop_duplicates()
    labels = {answer["prediction"] for answer in model.predict(kinds)}
    assert labels == {"Full-term", "Pre-term"}
    assert model.metadata.operating_point["recall"] > 0.5


def test_no_previous_birth_stays_an_answer(from_database: Run) -> None:
    column = from_database.model().metadata.row_schema["properties"]["previous_births"]
    assert column["x-categories"] == ["None", "One, Two, Three or More"]
    assert column["type"] == "string"


def test_the_numbers_depend_neither_on_the_source_nor_on_the_order_of_rows(
    from_database: Run, from_reversed_file: Run
) -> None:
    assert from_reversed_file.outputs == from_database.outputs
    assert (from_reversed_file.risk, from_reversed_file.auc) == (from_database.risk, from_database.auc)
    once, again = (run.model().metadata.model_dump() for run in (from_database, from_reversed_file))
    for of_the_run in ("version", "created", "data", "examples", "row_schema"):  # order and examples of all rows
        once.pop(of_the_run), again.pop(of_the_run)
    assert again == once


def test_the_committed_outputs_are_those_of_a_run(from_database: Run) -> None:
    assert texts(nbformat.read(NOTEBOOK, as_version=4)) == from_database.outputs


def test_the_committed_notebook_was_run_from_top_to_bottom_and_makes_ten_slides() -> None:
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    counts = [cell.execution_count for cell in cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert [cell.metadata.slideshow.slide_type for cell in cells].count("slide") <= 10


def test_the_committed_notebook_is_small_and_names_no_place() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert len(text) < 500_000
    assert not re.search(r'"/(home|work|tmp|root|Users)/', text)


def test_the_notebook_runs_on_the_real_births(tmp_path: Path, free_port: Callable[[], int]) -> None:
    if not (real := os.environ.get("REAL_BIRTHS")):
        pytest.skip("REAL_BIRTHS names no file: the real births are not part of the project")
    (tmp_path / BIRTHS.name).symlink_to(real)
    ran = run(tmp_path / "models", STATIC_DIR=str(tmp_path), PGPORT=str(free_port()))
    answer = ran.model().predict(ran.model().schema.to_frame([ROW]))[0]
    assert 0.55 < ran.auc < 0.7
    assert answer["probabilities"]["Pre-term"] == pytest.approx(ran.risk, abs=1e-12)


def test_the_example_data_is_what_its_script_makes(example: Path) -> None:
    status = ["git", "-C", str(ROOT), "status", "--porcelain", "--", str(BIRTHS)]
    if shutil.which("git") and subprocess.run(status, capture_output=True, check=False).stdout:
        pytest.skip(f"{BIRTHS.name} is not the file of the project any more")
    assert gzip.decompress(BIRTHS.read_bytes()) == gzip.decompress(example.read_bytes())
    assert BIRTHS.stat().st_size < 1_000_000


def test_the_example_data_agrees_with_the_published_figures(births: pd.DataFrame, make_births: ModuleType) -> None:
    for feature, figures in make_births.SHARE_AND_RATE.items():
        groups = 100 * births.groupby(feature)[make_births.TARGET].agg(
            share=lambda y: len(y) / len(births), rate="mean"
        )
        published = pd.DataFrame.from_dict(figures, orient="index", columns=["share", "rate"])
        assert (groups - published).abs().max().to_dict() == pytest.approx({"share": 0, "rate": 0}, abs=0.1)


def test_the_order_of_the_example_data_does_not_give_the_target_away(births: pd.DataFrame) -> None:
    position = pd.Series(range(len(births)))
    assert abs(position.corr(births["preterm_indicator"])) < 0.005
