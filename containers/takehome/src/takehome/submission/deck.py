"""Slides of a notebook: reveal.js and all pictures inside one file, which opens without a network."""

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from nbformat import NotebookNode

from takehome.submission import fragment
from takehome.submission.page import POLICY, asset, page, title

_STARTS = ("slide", "subslide", "fragment", "notes", "skip")
_HEADING = re.compile(r"^(#{1,6})\s", re.M)
_FENCED = re.compile(r"^(```|~~~).*?^\1", re.M | re.S)


@dataclass
class _Slide:
    column: int
    parts: list[str] = field(default_factory=list)


def deck(notebook: NotebookNode, folder: Path) -> str:
    """Return the slides of a notebook as one HTML file.

    Where a cell has a slide type (JupyterLab: Property Inspector, Slide Type), these types make the deck, as in
    nbconvert; cells without one go on with the slide before. Else headings make it: each of the first two levels
    begins a column, each deeper one and each picture a slide below; code is left out there.

    Parameters
    ----------
    notebook : with its outputs.
    folder : of the notebook; pictures that it names are taken from there.
    """
    tagged = any(_slide_type(cell) for cell in notebook.cells)
    slides = _slides(_from_tags(notebook, folder) if tagged else _from_headings(notebook, folder))
    columns = "\n".join(_column(list(group)) for _, group in groupby(slides, lambda slide: slide.column))
    scripts = (asset("reveal/reveal.js"), asset("deck.js"))
    allowed = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    body = f'<div class="reveal"><div class="slides">\n{columns}\n</div></div>\n' + "".join(
        f"<script>{script}</script>\n" for script in scripts
    )
    style = asset("reveal/reveal.css") + asset("deck.css")
    return page(title(notebook, "Slides"), body, style, f"{POLICY}; script-src {allowed}")


def _slide_type(cell: NotebookNode) -> str:
    return str(cell.metadata.get("slideshow", {}).get("slide_type", "")).replace("-", "")


def _from_tags(notebook: NotebookNode, folder: Path) -> Iterator[tuple[str, str]]:
    for cell in notebook.cells:
        kind = _slide_type(cell)
        start = kind if kind in _STARTS else ""
        if cell.cell_type == "markdown":
            yield start, fragment.markdown(cell, folder)
        elif cell.cell_type == "code":
            code = "" if "hide-input" in cell.metadata.get("tags", []) else fragment.code(cell)
            yield start, code + _shown(cell)


def _from_headings(notebook: NotebookNode, folder: Path) -> Iterator[tuple[str, str]]:
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for level, text in _sections(cell.source):
                start = "" if level is None else "slide" if level <= 2 else "subslide"
                yield start, fragment.markdown(NotebookNode(cell, source=text), folder)
        elif cell.cell_type == "code" and (html := _shown(cell)):
            yield ("subslide" if "<img" in html else ""), html


def _sections(source: str) -> Iterator[tuple[int | None, str]]:
    """Split Markdown before each heading; a heading right under another one stays with it."""
    plain = _FENCED.sub(lambda block: " " * len(block[0]), source)
    begins = [(found.start(), len(found[1])) for found in _HEADING.finditer(plain)]
    begins = [here for i, here in enumerate(begins) if not i or source[begins[i - 1][0] : here[0]].strip().count("\n")]
    if not begins:
        yield None, source
        return
    if source[: begins[0][0]].strip():
        yield None, source[: begins[0][0]]
    for (start, level), (end, _) in zip(begins, [*begins[1:], (len(source), 0)], strict=True):
        yield level, source[start:end]


def _shown(cell: NotebookNode) -> str:
    return "".join(f'<div class="output">{output}</div>' for output in fragment.outputs(cell) if output)


def _slides(pieces: Iterator[tuple[str, str]]) -> list[_Slide]:
    slides: list[_Slide] = []
    for start, html in pieces:
        if start == "skip":
            continue
        if start == "slide" or not slides:
            slides.append(_Slide(slides[-1].column + 1 if slides else 0))
        elif start == "subslide":
            slides.append(_Slide(slides[-1].column))
        wrapped = {"fragment": f'<div class="fragment">{html}</div>', "notes": f'<aside class="notes">{html}</aside>'}
        slides[-1].parts.append(wrapped.get(start, html))
    return slides


def _column(slides: list[_Slide]) -> str:
    sections = [f"<section>{''.join(slide.parts)}</section>" for slide in slides]
    return sections[0] if len(sections) == 1 else f"<section>{''.join(sections)}</section>"


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
