"""The command line: what a person types, and what it says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import takehome
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

TAKEHOME = Path(sys.executable).parent / "takehome"


def run(*arguments: str, models: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"MODELS_DIR": str(models), "COLUMNS": "120"} | variables
    return subprocess.run(
        [str(TAKEHOME), *arguments], env=environment, cwd=models, capture_output=True, text=True, check=False
    )


def save_iris(folder: Path, name: str) -> str:
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = LogisticRegression(max_iter=1000).fit(X, y)
    return takehome.save_model(model, X, y, name=name, evaluate=(X, y), models_dir=folder)


def test_models_lists_and_goes_back(tmp_path: Path) -> None:
    first, second = save_iris(tmp_path, "First [red]"), save_iris(tmp_path, "Second")
    listed = run("models", models=tmp_path)
    assert listed.returncode == 0
    lines = [line for line in listed.stdout.splitlines() if first in line or second in line]
    assert [line.split()[1] for line in lines] == ["*", "│"], "the newest comes first and is the current one"
    assert "First [red]" in lines[1]
    assert "balanced_accuracy 0.97" in lines[0]
    back = run("models", "--use", first, models=tmp_path)
    assert (back.returncode, back.stderr) == (0, "")
    assert (tmp_path / "current").read_text() == f"{first}\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["models"], "no model was saved yet"),
        (["models", "--use", "20200101-000000"], "there is no model '20200101-000000'. Versions here: none."),
        (["models", "--use", "../x"], "there is no model '../x'"),
        (["train", "nowhere.ipynb"], "nowhere.ipynb: there is no such notebook."),
        (["load"], "there is no such folder"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, arguments: list[str], says: str) -> None:
    done = run(*arguments, models=tmp_path, STATIC_DIR=str(tmp_path / "static"))
    assert done.returncode == 1
    assert says in done.stderr
    assert done.stderr.startswith("takehome: ")
    assert len(done.stderr.splitlines()) == 1


def write_notebook(path: Path, *cells: str) -> Path:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(notebook, path)
    return path


def test_train_runs_a_notebook_and_leaves_it_as_it_was(tmp_path: Path) -> None:
    notebook = write_notebook(
        tmp_path / "iris.ipynb",
        "import takehome\nfrom sklearn.datasets import load_iris\nfrom sklearn.linear_model import LogisticRegression",
        "X, y = load_iris(return_X_y=True, as_frame=True)\nmodel = LogisticRegression(max_iter=1000).fit(X, y)",
        "takehome.save_model(model, X, y, name='Iris')",
    )
    before = notebook.read_bytes()
    done = run("train", str(notebook), models=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "iris.ipynb: cell 3 of 3" in done.stdout
    assert "iris.ipynb: all 3 cells ran" in done.stdout
    assert notebook.read_bytes() == before
    assert takehome.load_model(models_dir=tmp_path).metadata.name == "Iris"


def test_train_names_the_cell_that_fails(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "broken.ipynb", "x = 1", "x / 0", "print('never')")
    done = run("train", str(notebook), models=tmp_path)
    assert done.returncode == 1
    assert "broken.ipynb, cell 2: ZeroDivisionError: division by zero." in done.stderr
    assert "Traceback" not in done.stderr
    (tmp_path / "text.ipynb").write_text(json.dumps("no notebook"))
    assert "is no notebook" in run("train", str(tmp_path / "text.ipynb"), models=tmp_path).stderr
