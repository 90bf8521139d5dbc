"""One HTML file that needs nothing else: no script, no address that is fetched, and a policy that forbids both."""

from html import escape
from importlib.resources import files
from pathlib import Path

from nbformat import NotebookNode

from takehome.submission import fragment

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body>
{body}
</body>
</html>
"""


def asset(name: str) -> str:
    """Return a file of this package."""
    return files("takehome.submission").joinpath(name).read_text(encoding="utf-8")


def page(title: str, body: str, style: str = "", policy: str = POLICY) -> str:
    """Return a whole page; `body` and `style` are trusted, `title` is not."""
    sheets = "\n".join((asset("page.css"), fragment.colours(), style))
    return _PAGE.format(policy=policy, title=escape(title), style=sheets, body=body)


def notebook_page(notebook: NotebookNode, folder: Path) -> str:
    """Return a notebook as a page.

    Parameters
    ----------
    notebook : with its outputs.
    folder : of the notebook; pictures that it names are taken from there.
    """
    return page(title(notebook, "Notebook"), "\n".join(cell_html(cell, folder) for cell in notebook.cells))


def cell_html(cell: NotebookNode, folder: Path) -> str:
    """Return one cell with its outputs; nothing for a raw cell."""
    if cell.cell_type == "markdown":
        return f'<div class="cell text">{fragment.markdown(cell, folder)}</div>'
    if cell.cell_type != "code":
        return ""
    shown = "".join(f'<div class="output">{output}</div>' for output in fragment.outputs(cell) if output)
    count = cell.get("execution_count")
    number = f'<p class="count">[{count}]</p>' if isinstance(count, int) else ""
    return f'<div class="cell">{number}{fragment.code(cell)}{shown}</div>'


def title(notebook: NotebookNode, default: str) -> str:
    """Return the first heading of a notebook."""
    texts = (line for cell in notebook.cells if cell.cell_type == "markdown" for line in cell.source.splitlines())
    return next((line.lstrip("# ").strip() for line in texts if line.startswith("# ")), default)
