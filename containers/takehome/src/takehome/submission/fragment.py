"""The cells of a notebook as pieces of HTML that are safe to show and need nothing from outside."""

import base64
import binascii
import json
from collections.abc import Iterator
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from nbconvert.filters import ansi2html
from nbconvert.filters.markdown_mistune import InvalidNotebook, IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from takehome.submission import formula
from takehome.submission.clean import clean

MOST_LETTERS = 200_000
_PICTURES = ("image/png", "image/jpeg", "image/svg+xml", "image/gif", "image/webp")


class _Renderer(IPythonRenderer):
    """Markdown as Jupyter reads it, its formulas marked for `formula.draw`."""

    def block_math(self, body: str) -> str:
        return formula.mark(body, "block")

    def inline_math(self, body: str) -> str:
        return formula.mark(body, "inline")

    def latex_environment(self, name: str, body: str) -> str:
        return formula.mark(f"\\begin{{{name}}}{body}\\end{{{name}}}", "block")

    def block_mermaidjs(self, code: str) -> str:
        return f"<pre>{escape(code)}</pre>"


def markdown(cell: NotebookNode, folder: Path) -> str:
    """Return a markdown cell as HTML.

    Parameters
    ----------
    cell : its source, and the pictures that were pasted into it.
    folder : of the notebook; pictures are taken from there, and from nowhere else.
    """
    renderer = _Renderer(
        escape=False, embed_images=True, exclude_anchor_links=True, path=str(folder),
        attachments=cell.get("attachments", {}),
    )  # fmt: skip
    try:
        html = MarkdownWithMath(renderer=renderer).render(_cut(cell.source))
    except (InvalidNotebook, RecursionError, OSError, ValueError, TypeError):
        return f"<pre>{escape(_cut(cell.source))}</pre>"
    return formula.draw(clean(html))


def code(cell: NotebookNode) -> str:
    """Return the source of a code cell, coloured."""
    return highlight(_cut(cell.source), PythonLexer(), _formatter()) if cell.source.strip() else ""


def colours() -> str:
    """Return the style sheet of `code`."""
    return str(_formatter().get_style_defs(".code"))


def outputs(cell: NotebookNode) -> Iterator[str]:
    """Give each output of a code cell as HTML: the richest form that needs no script."""
    for output in cell.get("outputs", []):
        kind = output.get("output_type")
        if kind == "stream":
            yield _text(output.get("text", ""), "err" if output.get("name") == "stderr" else "out")
        elif kind == "error":
            yield _text("\n".join(map(str, output.get("traceback", []))), "err")
        elif kind in ("display_data", "execute_result"):
            yield _data(output.get("data", {}))


def _data(data: dict[str, Any]) -> str:  # noqa: PLR0911  # one form, one return
    for kind in _PICTURES:
        if kind in data and (picture := _picture(kind, _joined(data[kind]))):
            return picture
    if "text/html" in data and (html := clean(_cut(_joined(data["text/html"])))).strip():
        return f'<div class="rich">{html}</div>'
    if "text/latex" in data:
        return formula.draw(formula.mark(_joined(data["text/latex"]).strip().strip("$"), "block"))
    if "text/markdown" in data:
        return markdown(NotebookNode(source=_joined(data["text/markdown"])), Path("/nowhere"))
    if "text/html" in data:
        return '<p class="note">An output that needs a script: it is shown in the notebook only.</p>'
    if "text/plain" in data:
        return _text(_joined(data["text/plain"]), "out")
    return ""


def _picture(kind: str, content: str) -> str:
    """Return an embedded picture. A drawing is shown as a picture too, so that a script inside it does not run."""
    if kind == "image/svg+xml":
        encoded = base64.b64encode(content.encode())
    else:
        try:
            encoded = base64.b64encode(base64.b64decode("".join(content.split()), validate=True))
        except (binascii.Error, ValueError):
            return ""
    return f'<img alt="" src="data:{kind};base64,{encoded.decode()}">'


def _text(text: Any, kind: str) -> str:
    return f'<pre class="{kind}">{ansi2html(_cut(_joined(text)))}</pre>'


def _joined(content: Any) -> str:
    if isinstance(content, list):
        return "".join(map(str, content))
    return content if isinstance(content, str) else json.dumps(content)


def _cut(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}\n… cut here, of {len(text):,} letters"


@cache
def _formatter() -> HtmlFormatter:
    return HtmlFormatter(cssclass="code", style="friendly")
