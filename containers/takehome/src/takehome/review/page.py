"""The page that the committee reads; made from what may come from anyone, so that nothing in it can act.

Run as `python -m takehome.review.page SUBMISSION_DIR`: facts come in as JSON, the page goes out.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import nbformat

from takehome.submission.page import POLICY, cell_html, page
from takehome.verification.report import CellReport, Report, Verdict

_STYLE = """
.verdict { border-radius: 10px; padding: 1rem 1.25rem; margin: 1rem 0; border: 1px solid; }
.verdict strong { font-size: 1.5rem; display: block; }
.good { background: #e9f7ee; border-color: #8fcaa4; } .bad { background: #fdeceb; border-color: #e3a19c; }
.same, .close { color: #14692f; } .differs, .failed { color: #a6231b; font-weight: 600; }
.tag { float: right; font-size: .8rem; margin-left: 1rem; }
iframe { width: 100%; height: 85vh; border: 1px solid var(--line); }
"""


def render(facts: dict[str, Any], folder: Path) -> str:
    """Return the page.

    Parameters
    ----------
    facts : `manifest`, `report` (or None, then `reason`), `score`, `seconds`, `walls`.
    folder : of the submission, unpacked.
    """
    report = Report.model_validate(facts["report"]) if facts["report"] else None
    body = "\n".join(
        (
            f"<h1>{escape(facts['name'])}</h1>",
            _verdict(facts, report),
            "<h2>Claimed and found</h2>",
            _figures(facts, report),
            "<h2>Findings</h2>",
            _findings(facts, report),
            "<h2>Where it ran</h2>",
            _surroundings(facts, report),
            "<h2>Try the model</h2>",
            "<p>It is a pickle, which is code: serve it in a container only. This starts API and page for it, "
            f"in limits, until Ctrl-C:</p><pre>make review SUBMISSION={escape(facts['archive'])} SERVE=1</pre>",
            "<h2>The notebook</h2>",
            f'<iframe sandbox="" title="The notebook" srcdoc="{escape(_notebook(facts, report, folder))}"></iframe>',
        )
    )
    return page(f"Review: {facts['name']}", body, _STYLE)


def _verdict(facts: dict[str, Any], report: Report | None) -> str:
    verdict, claimed = facts["verdict"], facts["manifest"]["verdict"]
    good = "bad" if Verdict(verdict).status else "good"
    forced = " It was handed in with <code>--force</code>." if facts["manifest"]["forced"] else ""
    summary = escape(facts["reason"] or (report.summary if report else ""))
    return (
        f'<div class="verdict {good}"><strong>{escape(verdict)}</strong>{summary}<br>'
        f"The candidate's own verification said: {escape(claimed)}.{forced}</div>"
    )


def _figures(facts: dict[str, Any], report: Report | None) -> str:
    score, rows = facts["score"], []
    found = {figure.name: figure for figure in report.model.metrics} if report else {}
    for name, value in facts["metrics"].items():
        figure = found.get(name)
        here = "" if figure is None or figure.found is None else f"{figure.found:.6g}"
        checked = f"{score['found']:.4f}" if score["name"] == name and score["found"] is not None else ""
        kind = figure.outcome.value if figure else ""
        rows.append(
            (escape(name), f"{value:.6g}", here, f'<span class="{escape(kind)}">{escape(kind)}</span>', checked)
        )
    note = (
        f"The last column is computed outside the run, from the submitted model's answers to {score['rows']:,} random "
        "rows of your data without their labels (rows that it was trained on are among them). A notebook can print any "
        "figure; this one it can't."
        if score["found"] is not None
        else f"Not computed outside the run: {escape(score['message'])}."
    )
    return _table(("metric", "claimed", "found when run again", "", "your data"), rows) + f'<p class="note">{note}</p>'


def _findings(facts: dict[str, Any], report: Report | None) -> str:
    lines = [escape(facts["claim"])] if facts["claim"] else []
    for cause in report.causes if report else []:
        where = f"cell {cause.cell}: " if cause.cell else ""
        lines.append(f"<b>{escape(cause.kind.value)}</b>, {where}{escape(cause.message)}")
    if report:
        model = report.model
        for what, answers in (("example rows", model.examples), ("rows of your data", model.training)):
            if answers:
                same = (
                    "the same, bit for bit" if answers.identical else f"apart by up to {answers.largest_difference:.3g}"
                )
                lines.append(f"The new model's answers on {answers.rows:,} {what} are {same}.")
    return f"<ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>" if lines else "<p>None.</p>"


def _surroundings(facts: dict[str, Any], report: Report | None) -> str:
    rows = [("walls", escape(facts["walls"])), ("time", f"{facts['seconds']:.0f} s in all")]
    rows += [("data", escape(line)) for line in facts["data"]]
    if report:
        rows.append(("Python", escape(report.environment.python)))
        rows += [
            ("package", f"{escape(p.name)}: {escape(p.expected)} expected, here {escape(p.here or 'none')}")
            for p in report.environment.packages[:50]
        ]
    return _table(("", ""), rows)


def _notebook(facts: dict[str, Any], report: Report | None, folder: Path) -> str:
    path = folder / facts["manifest"]["notebook"]
    try:
        notebook = nbformat.read(path, as_version=4)
        cells = "\n".join(_cells(notebook, report, path.parent))
    except Exception as error:  # whatever a reader raises about a file that may be anything
        cells = f"<p>It can't be shown: {escape(type(error).__name__)}.</p>"
    return page("Notebook", cells, _STYLE, POLICY)


def _cells(notebook: nbformat.NotebookNode, report: Report | None, folder: Path) -> Iterator[str]:
    verdicts = {cell.index: cell for cell in report.cells} if report else {}
    for index, cell in enumerate(notebook.cells):
        yield _label(verdicts.get(index)) + cell_html(cell, folder)


def _label(cell: CellReport | None) -> str:
    if cell is None:
        return ""
    kind = escape(cell.outcome.value)
    shown = f"<pre>{escape(cell.difference)}</pre>" if cell.difference else ""
    return f'<div class="tag {kind}">cell {cell.number}: {kind}, {cell.seconds:.1f} s</div>{shown}'


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table; its cells are HTML already."""
    head = "".join(f"<th>{name}</th>" for name in header) if any(header) else ""
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{lines}</tbody></table>"


def main() -> None:
    """Render standard input to standard output."""
    sys.stdout.write(render(json.load(sys.stdin), Path(sys.argv[1])))


if __name__ == "__main__":
    main()
