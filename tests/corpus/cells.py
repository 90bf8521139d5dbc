"""Notebooks from a few lines: the code of each cell, and the output that was saved with it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode


@dataclass(frozen=True)
class Cell:
    """A code cell as a candidate saved it."""

    source: str
    saved: str | dict[str, Any] = ""  # what it printed, or what it showed, by its MIME type
    count: int | None = 0  # 0: its place
    tags: list[str] = field(default_factory=list)
    stream: str = "stdout"


def write(path: Path, *cells: Cell) -> Path:
    """Write a notebook."""
    built = [_build(cell, number) for number, cell in enumerate(cells, 1)]
    nbformat.write(nbformat.v4.new_notebook(cells=built), path)
    return path


def _build(cell: Cell, number: int) -> NotebookNode:
    outputs = []
    if isinstance(cell.saved, dict):
        outputs = [nbformat.v4.new_output("display_data", data=cell.saved)]
    elif cell.saved:
        outputs = [nbformat.v4.new_output("stream", name=cell.stream, text=cell.saved)]
    count = number if cell.count == 0 else cell.count
    return nbformat.v4.new_code_cell(
        cell.source, outputs=outputs, execution_count=count, metadata={"tags": cell.tags} if cell.tags else {}
    )
