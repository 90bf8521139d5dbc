"""A finished assignment in a folder of its own: data, a notebook that was run, and the model that it saved."""

import asyncio
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import nbformat
from kernel import kernel
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from sklearn.datasets import load_iris

ROOT = Path(__file__).parents[1]
TAKEHOME = Path(sys.executable).with_name("takehome")
CELLS = (
    new_markdown_cell("# Irises\n\n## Summary\n\nTwo kinds; $\\frac{1}{2}$ of the columns do.", id="summary"),
    new_code_cell(
        "import takehome\nfrom sklearn.linear_model import LogisticRegression\nimport matplotlib.pyplot as plt",
        id="imports",
    ),
    new_code_cell("irises = takehome.read_table('irises')\nirises.head()", id="read"),
    new_code_cell("X, y = irises.drop(columns='kind'), irises['kind']\nplt.plot(X['petal_length']);", id="plot"),
    new_code_cell(
        "model = LogisticRegression(max_iter=1000).fit(X[::2], y[::2])\nmodel.score(X[1::2], y[1::2])", id="fit"
    ),
    new_code_cell("takehome.save_model(model, X, y, name='Irises', evaluate=(X[1::2], y[1::2]));", id="save"),
    new_markdown_cell("## Limits\n\nNone.", id="limits"),
)


@dataclass
class Work:
    """A folder laid out as the project's `volumes`, and the variables that point to it."""

    folder: Path

    @property
    def notebook(self) -> Path:
        return self.folder / "volumes/notebooks/submission.ipynb"

    @property
    def archive(self) -> Path:
        return self.folder / "volumes/submission/submission.zip"

    def environment(self) -> dict[str, str]:
        names = ("notebooks", "static", "models", "submission")
        folders = {f"{name.upper()}_DIR": str(self.folder / "volumes" / name) for name in names}
        return os.environ | folders | {"CONTAINERS_DIR": str(ROOT / "containers"), "PGHOST": "127.0.0.1", "PGPORT": "1"}

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `takehome` there."""
        return subprocess.run(
            [str(TAKEHOME), *arguments], cwd=self.folder, env=self.environment() | {"COLUMNS": "120"} | variables,
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip

    def write(self, *cells: nbformat.NotebookNode) -> None:
        """Write the notebook and run it, so that it holds its outputs and its model is saved."""
        notebook = new_notebook(cells=list(cells))
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
        old = dict(os.environ)
        os.environ.update(self.environment())
        try:
            with kernel() as manager:
                client = NotebookClient(
                    notebook, km=manager, resources={"metadata": {"path": str(self.notebook.parent)}}
                )
                asyncio.run(client.async_execute())
        finally:
            os.environ.clear()
            os.environ.update(old)
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)
        nbformat.write(notebook, self.notebook)


def make_work(cells: tuple[nbformat.NotebookNode, ...] = CELLS) -> Work:
    """Make the folder, and run the notebook in it."""
    work = Work(Path(tempfile.mkdtemp(prefix="takehome-work-")))
    for name in ("notebooks", "static", "models", "submission"):
        (work.folder / "volumes" / name).mkdir(parents=True)
    for path in (work.folder, *work.folder.rglob("*")):
        path.chmod(0o755)
    irises = load_iris(as_frame=True).frame.query("target > 0")
    irises.columns = ["sepal_length", "sepal_width", "petal_length", "petal_width", "kind"]
    irises.to_csv(work.folder / "volumes/static/irises.csv", index=False)
    work.write(*cells)
    return work
