"""The picture of the comparison: requests per second of 64 clients, readable on light and on dark."""

from html import escape

from bench.contender import LIMIT, OURS
from bench.race import CLIENTS, Results

PANELS = {
    "mixed": "Rows that never repeat: 20 mixed columns with gaps",
    "births": "Rows that repeat: the births, five categories",
}
WIDTH, LEFT, RIGHT, ROW, BAR = 860, 272, 80, 26, 16
STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: #1f2328; }
.title { font-size: 16px; font-weight: 600; } .panel { font-weight: 600; } .note, .value { fill: #59636e; }
.ours { font-weight: 600; } .bar { fill: #8c959f; } .bar.ours { fill: #0969da; }
.bar.limit { fill: none; stroke: #8c959f; stroke-dasharray: 4 3; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .note, .value { fill: #9198a1; } .bar { fill: #6e7681; } .bar.ours { fill: #4493f8; }
  .bar.limit { fill: none; stroke: #9198a1; }
}
"""


def draw(results: Results) -> str:
    """Return the chart as SVG; its description holds every figure in words."""
    y, shapes, words = 66, [], []
    for workload, title in PANELS.items():
        rates = _rates(results, workload)
        if not rates:
            continue
        shapes.append(f'<text class="panel" x="16" y="{y + 14}">{escape(title)}</text>')
        y += 28
        shapes += [_bar(name, rate, max(rates.values()), y + i * ROW) for i, (name, rate) in enumerate(rates.items())]
        y += len(rates) * ROW + 18
        words.append(f"{title}: " + ", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items()) + ".")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" role="img" '
        f'aria-labelledby="title description">\n<title id="title">Requests per second with 64 clients</title>\n'
        f'<desc id="description">{escape(" ".join(words))}</desc>\n<style>{STYLE}</style>\n'
        f'<text class="title" x="16" y="28">Requests per second, 64 clients, one server core</text>\n'
        f'<text class="note" x="16" y="47">The same scikit-learn pipeline behind each, its answers checked</text>\n'
        + "\n".join(shapes)
        + "\n</svg>\n"
    )


def _rates(results: Results, workload: str) -> dict[str, float]:
    """Return requests per second by contender, the most first."""
    rates = {name: results.median(workload, name, CLIENTS, "rate") for name in results.contenders(workload)}
    there = {name: rate for name, rate in rates.items() if rate is not None}
    return dict(sorted(there.items(), key=lambda item: -item[1]))


def _bar(name: str, rate: float, most: float, y: int) -> str:
    kind = " ours" if name.startswith(OURS) else " limit" if name == LIMIT.name else ""
    length = max(2, round((WIDTH - LEFT - RIGHT) * rate / most))
    return (
        f'<text class="name{kind}" x="{LEFT - 10}" y="{y + 13}" text-anchor="end">{escape(name)}</text>'
        f'<rect class="bar{kind}" x="{LEFT}" y="{y}" width="{length}" height="{BAR}" rx="2"/>'
        f'<text class="value" x="{LEFT + length + 8}" y="{y + 13}">{rate:,.0f}</text>'
    )
