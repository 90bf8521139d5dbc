"""Writing the notebook that a plan asks for."""

import json
import re
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import Environment, PackageLoader, StrictUndefined
from nbformat import NotebookNode

from takehome.draft.plan import Plan, make_plan
from takehome.draft.source import find_source
from takehome.errors import TakehomeError
from takehome.reading import read_arrow, to_frame
from takehome.rows import nearest
from takehome.settings import Settings
from takehome.sources import stem, table_name

_CELL = re.compile(r"^# %%( \[markdown\])?\n", re.MULTILINE)


def new(data: str | Path, target: str, name: str | None = None, task: str | None = None) -> Path:
    """Draft a notebook for a file: it runs from top to bottom, and its model is served.

    Parameters
    ----------
    data : a file of the static folder.
    target : the column to predict.
    name : what people call the model; by default made from file and target.
    task : `classification` or `regression`; by default what the target suggests.

    Returns
    -------
    The notebook's path.

    Raises
    ------
    TakehomeError
        The notebook is there already, the file can't be read, or the target can't be predicted. Nothing is written.
    """
    settings = Settings()
    source = find_source(data, settings.static_dir)
    path = settings.notebooks_dir / f"{stem(source)}.ipynb"
    if path.exists():
        raise _exists(path)
    frame = to_frame(read_arrow(source))
    _check_columns(source, list(frame.columns), target, len(frame))
    plan = make_plan(frame, target, task)
    title = name or f"{stem(source).replace('_', ' ').capitalize()}: {target}"
    notebook = render(plan, title=title, file=source.name, table=table_name(source))
    try:
        with path.open("x", encoding="utf-8") as file:
            nbformat.write(notebook, file)
    except FileExistsError as error:
        raise _exists(path) from error
    return path


def render(plan: Plan, **names: str) -> NotebookNode:
    """Return the notebook of a plan; `names` are its `title`, `file` and `table`."""
    environment = Environment(
        loader=PackageLoader("takehome.draft"),
        autoescape=False,  # nosec B701
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["literal"] = _literal
    text = environment.get_template("notebook.jinja").render(plan=plan, **names)
    _, *parts = _CELL.split(text)
    cells = [
        (nbformat.v4.new_markdown_cell if mark else nbformat.v4.new_code_cell)(source.strip("\n"), id=f"cell-{number}")
        for number, (mark, source) in enumerate(zip(parts[::2], parts[1::2], strict=True), 1)
    ]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def _check_columns(source: Path, columns: list[str], target: str, rows: int) -> None:
    if target not in columns:
        near = nearest(target, columns)
        hint = f"Did you mean {near!r}?" if near else f"There is: {', '.join(columns[:20])}."
        raise TakehomeError(f"{source}: there is no column {target!r}. {hint}")
    if len(columns) < 2:
        raise TakehomeError(f"{source}: {target!r} is the only column. A model needs others to predict it from.")
    if not rows:
        raise TakehomeError(f"{source}: there is a header line, and no row. Is it the whole file?")


def _exists(path: Path) -> TakehomeError:
    return TakehomeError(f"{path} is there already, and is left as it is. Rename it or move it away for a new draft.")


def _literal(value: Any) -> str:
    """Return a value as Python writes it, texts in double quotes."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
