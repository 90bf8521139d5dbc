"""The model card: what `model.json` knows, under the front matter of Hugging Face, and the candidate's own words."""

import json
import re
from collections.abc import Iterator, Sequence

from nbformat import NotebookNode

from takehome.fit import statement
from takehome.metadata import Metadata

_SUMMARY = re.compile(r"^(#{1,4})\s+(.*\b(summary|conclusions?|limits|limitations|next steps)\b.*)$", re.I | re.M)
_HEADING = re.compile(r"^(#{1,4})\s", re.M)


def card(metadata: Metadata, notebook: NotebookNode) -> str:
    """Return the model card as Markdown."""
    sections = (
        _front(metadata),
        f"# {metadata.name}",
        *_summaries(notebook),
        "## Results",
        _results(metadata),
        "## What it takes",
        _columns(metadata),
        "## How it was made",
        _facts(metadata),
        "## How to ask it",
        _request(metadata),
    )
    return "\n\n".join(section.strip() for section in sections if section.strip()) + "\n"


def _front(metadata: Metadata) -> str:
    """Return the front matter; JSON is YAML, so each value is one line of it."""
    task = f"tabular-{metadata.task}"
    result = {
        "task": {"type": task},
        "dataset": {"name": metadata.name, "type": "private", "revision": metadata.data.sha256},
        "metrics": [{"type": name, "name": name, "value": value} for name, value in metadata.metrics.items()],
    }
    fields = {
        "library_name": "sklearn",
        "pipeline_tag": task,
        "tags": ["sklearn", task, "takehome"],
        "metrics": list(metadata.metrics),
        "model-index": [{"name": metadata.name, "results": [result]}],
    }
    return "\n".join(("---", *(f"{name}: {json.dumps(value)}" for name, value in fields.items()), "---"))


def _summaries(notebook: NotebookNode) -> Iterator[str]:
    """Give the cells tagged `summary`, or else the sections whose heading says summary, conclusion or limits."""
    texts = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    if tagged := [cell.source for cell in texts if "summary" in cell.metadata.get("tags", [])]:
        yield from map(_lowered, tagged)
        return
    for cell in texts:
        for found in _SUMMARY.finditer(cell.source):
            ends = (h.start() for h in _HEADING.finditer(cell.source, found.end()) if len(h[1]) <= len(found[1]))
            text = cell.source[found.end() : next(ends, None)]
            yield f"## {found[2].strip()}\n{text}"


def _lowered(source: str) -> str:
    """Keep the one first-level heading of the card."""
    return re.sub(r"^# ", "## ", source, flags=re.M)


def _results(metadata: Metadata) -> str:
    if not metadata.metrics:
        return "The notebook gave `save_model` no held-out rows, so nothing was measured."
    rows = [(name, f"{value:.4f}", _interval(metadata, name)) for name, value in metadata.metrics.items()]
    lines = [_table(("on held-out rows", "value", "95 % interval"), rows)]
    if metadata.threshold is not None and metadata.classes:
        rule = f" ({metadata.threshold_rule})" if metadata.threshold_rule else ""
        label = metadata.classes[1]["label"]
        lines.append(f"`{label}` is predicted where its probability is at least {metadata.threshold:.4g}{rule}.")
    if metadata.importance:
        lost = [(f"`{row['column']}`", f"{row['mean']:.4f} ± {row['std']:.4f}") for row in metadata.importance]
        lines.append(_table(("column", f"{metadata.importance_score} lost when it is shuffled"), lost))
    return "\n\n".join(lines)


def _interval(metadata: Metadata, name: str) -> str:
    low, high = metadata.intervals.get(name, (None, None))
    return "" if low is None or high is None else f"{low:.4f} to {high:.4f}"


def _columns(metadata: Metadata) -> str:
    properties = metadata.row_schema["properties"]
    rows = [(f"`{name}`", str(known.get("description", ""))) for name, known in properties.items()]
    return _table(("column", "values"), rows)


def _facts(metadata: Metadata) -> str:
    classes = ", ".join(item["label"] for item in metadata.classes or [])
    facts = {
        "Predicts": f"`{metadata.target}`" + (f": {classes}" if classes else ", a number"),
        "Data": f"{metadata.data.rows:,} rows, SHA-256 `{metadata.data.sha256}` ({metadata.data.reading_rule})",
        **({"Fit": statement(metadata.training, metadata.data.rows)} if metadata.training else {}),
        "Version": f"{metadata.version}, `model.joblib` has SHA-256 `{metadata.sha256}`",
        "Made with": ", ".join(
            (f"Python {metadata.python}", *(f"{name} {number}" for name, number in sorted(metadata.packages.items())))
        ),
    }
    return "\n".join(f"- **{name}**: {_escaped(text)}" for name, text in facts.items())


def _request(metadata: Metadata) -> str:
    example = json.dumps(metadata.examples.rows[0], default=str).replace("'", "'\\''")
    answer = json.dumps(metadata.examples.answers[0])
    call = f"curl --request POST http://127.0.0.1:8080/predict -H 'Content-Type: application/json' \\\n  -d '{example}'"
    return f"```bash\n{call}\n```\n\nIn the notebook it answered `{answer}`."


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *(tuple(map(_escaped, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escaped(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
