"""One cell's outputs against the saved ones."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from nbformat import NotebookNode

from takehome.verification import page, picture, text
from takehome.verification.report import Outcome

TAG = "nondeterministic"
_WIDGET = "application/vnd.jupyter.widget-view+json"
_PICTURES = ("image/png", "image/jpeg")


class Part(NamedTuple):
    """A piece of output: its kind, how to read it, and what it holds."""

    kind: str  # text, table, image, data or error
    mime: str
    content: str


class Compared(NamedTuple):
    """What came of comparing a cell."""

    kinds: list[str]
    outcome: Outcome
    difference: str | None


def compare(saved: NotebookNode, found: NotebookNode, rtol: float) -> Compared:
    """Compare the outputs of a cell.

    Parameters
    ----------
    saved : the cell as it stands in the file.
    found : the same cell after the run.
    rtol : relative tolerance of numbers.
    """
    if TAG in saved.metadata.get("tags", []):
        return Compared([], Outcome.SKIPPED, None)
    before, after = list(_parts(saved.get("outputs", []))), list(_parts(found.get("outputs", [])))
    if not before and saved.get("execution_count") is None:
        return Compared([], Outcome.NOTHING, None)
    kinds, worst, difference = sorted({part.kind for part in before + after}), Outcome.SAME, None
    if [part.mime for part in before] != [part.mime for part in after]:
        both = [line for part in before for line in _words(part)], [line for part in after for line in _words(part)]
        return Compared(kinds, Outcome.DIFFERS, text.compare(*both, rtol)[1])
    for one, other in zip(before, after, strict=True):
        outcome, shown = _compare_part(one, other, rtol)
        if outcome.rank > worst.rank:
            worst, difference = outcome, shown
    return Compared(kinds, worst, difference)


def words(cell: NotebookNode) -> str:
    """Return all that a cell shows, in words, masked as for a comparison."""
    return "\n".join(line for part in _parts(cell.get("outputs", [])) for line in _words(part))


def _compare_part(saved: Part, found: Part, rtol: float) -> tuple[Outcome, str | None]:
    if saved.mime in _PICTURES:
        return picture.compare(saved.content, found.content)
    return text.compare(_words(saved), _words(found), rtol)


def _words(part: Part) -> list[str]:
    if part.mime in _PICTURES:
        return ["(a picture)"]
    return text.lines(part.content)


def _parts(outputs: list[NotebookNode]) -> Iterator[Part]:
    """Yield what was printed, then what was shown; what says nothing is left out."""
    for name in ("stdout", "stderr"):
        printed = "".join(_text(out.text) for out in outputs if out.output_type == "stream" and out.name == name)
        if text.lines(printed):
            yield Part("text", f"stream/{name}", printed)
    for out in outputs:
        if out.output_type == "error":
            yield Part("error", "error", f"{out.ename}: {out.evalue}")
        elif out.output_type != "stream" and (part := _shown(out.data)):
            yield part


def _shown(data: dict[str, Any]) -> Part | None:
    """Choose the form that a notebook shows, and in which it can be compared."""
    if _WIDGET in data:  # drawn by a program that lives only in the kernel
        return None
    for mime in _PICTURES:
        if mime in data:
            return Part("image", mime, "".join(_text(data[mime]).split()))
    if "image/svg+xml" in data:
        return Part("image", "image/svg+xml", picture.svg_text(_text(data["image/svg+xml"])))
    for mime, content in data.items():
        if mime.endswith("json"):
            return Part("data", mime, _outline(content))
    if "text/html" in data:
        html = _text(data["text/html"])
        return Part("table" if page.has_table(html) else "text", "text/html", page.read(html))
    plain = _text(data.get("text/markdown", data.get("text/latex", data.get("text/plain", ""))))
    return Part("text", "text", re.sub(r"^<Figure size .*>$", "", plain)) if text.lines(plain) else None


def _outline(content: Any) -> str:
    """Return JSON with a value a line, keys sorted."""
    return json.dumps(content, indent=0, sort_keys=True, ensure_ascii=False)


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else "".join(value)
