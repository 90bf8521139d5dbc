"""What was found: the README's tables, and the goals with what was reached."""

import os
import platform
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from operator import sub
from pathlib import Path

from bench import chart
from bench.contender import LIMIT, OURS, PEERS, PLAIN
from bench.race import CLIENTS, IN_PROCESS, IN_TURN, MANY, ONE, Results
from bench.section import Section
from bench.swap import Swaps

SECTION = Section("bench")
LOGGED = f"{OURS}, with the log"
UNKEPT = f"{OURS}, keeping no answers"
SHORT = {"mixed": "rows that never repeat", "births": "the births"}
TITLES = {
    "mixed": "Rows that never repeat: 20 columns of numbers, text and true/false with gaps, logistic regression",
    "births": "The births: five categories, rows that repeat, logistic regression",
}


@dataclass(frozen=True)
class Goal:
    """One line of the table of goals.

    Attributes
    ----------
    target : the bound in words.
    found : the figure, or None where it was not measured.
    fits : whether a figure reaches the goal.
    form : how the figure is shown.
    """

    name: str
    target: str
    found: float | None
    fits: Callable[[float], bool]
    form: str = "{:.2f} times"

    def row(self) -> list[str]:
        """Return the cells of its line."""
        if self.found is None:
            return [self.name, self.target, "-", "not measured"]
        return [self.name, self.target, self.form.format(self.found), "yes" if self.fits(self.found) else "**no**"]


def write(readme: Path, picture: Path, results: Results, swaps: Swaps | None, versions: list[str]) -> str:
    """Write the chart, and the tables between the two markers of a file; return these."""
    picture.write_text(chart.draw(results), encoding="utf-8")
    text = render(results, swaps, versions)
    SECTION.write(readme, text)
    return text


def render(results: Results, swaps: Swaps | None, versions: list[str]) -> str:
    """Return the tables in Markdown."""
    parts = [table(["goal", "bound", "found", "reached"], (goal.row() for goal in goals(results, swaps)))]
    for workload, title in TITLES.items():
        lines = (_line(results, workload, name) for name in _sorted(results, workload))
        head = ["", "one client, ms", "64 clients, requests/s", "of the limit", "p50 / p99, ms", "10,000 rows, ms"]
        parts.append(f"<details><summary>{title}</summary>\n\n{table(head, lines)}\n\n</details>")
    if results.refused:
        parts.append("\n".join(f"- Not compared: {' '.join(reason.split())}" for reason in results.refused))
    parts.append(
        f"{', '.join(versions)}; Python {platform.python_version()}, {os.cpu_count()} cores, servers on one, wrk on "
        "another; medians of rounds that take turns, for the goals at 64 clients of turns of a second side by side; "
        "300 answers of each, and 10,000 in one call, were first compared with scikit-learn's."
    )
    return "\n\n".join(parts)


def goals(results: Results, swaps: Swaps | None) -> list[Goal]:
    """Return the goals with what was found."""
    found = [goal for workload in TITLES for goal in _goals_of(results, workload)]
    cost = results.compare("mixed", (LOGGED, OURS), IN_TURN, "rate")
    loss = None if cost is None else 100 * (1 - cost)
    found.append(Goal("log on: requests/s lost", "under 5 %", loss, lambda x: x < 5, "{:.1f} %"))
    if swaps:
        name = f"{swaps.count} swaps under load"
        asked = f"0 of {swaps.answers:,}"
        found.append(Goal(f"{name}: failed requests", asked, swaps.errors, lambda n: n == 0, "{:.0f}"))
        found.append(Goal(f"{name}: p99", "under 3 times the undisturbed", swaps.delay, lambda times: times < 3))
    return found


def _goals_of(results: Results, workload: str) -> Iterable[Goal]:
    """Yield the goals on one kind of rows."""
    limit, plain, on = (OURS, LIMIT.name), (OURS, PLAIN.name), SHORT[workload]
    fastest = best(results, workload, CLIENTS, "rate", max)
    quickest = best(results, workload, ONE, "p50", min)
    rate = lambda pair: results.compare(workload, pair, IN_TURN, "rate")  # noqa: E731
    yield Goal(f"{on}, 64 clients: requests/s", "16 times the plain endpoint's", rate(plain), lambda x: x >= 16)
    yield Goal("the same", f"2 times the best peer's ({fastest})", rate((OURS, fastest)), lambda x: x >= 2)
    yield Goal("the same", "0.70 times the limit's", rate(limit), lambda x: x >= 0.7)
    late = results.compare(workload, limit, IN_TURN, "p99")
    yield Goal(f"{on}, 64 clients: p99", "under 3 times the limit's", late, lambda x: x < 3)
    above = results.compare(workload, (OURS, IN_PROCESS), ONE, "p50", sub)
    yield Goal(f"{on}, one client", "predict_proba + 0.7 ms", above, lambda ms: ms <= 0.7, "{:+.2f} ms")
    quick = results.compare(workload, (OURS, quickest), ONE, "p50")
    yield Goal("the same", f"no slower than the fastest peer ({quickest})", quick, lambda x: x <= 1)
    many = results.compare(workload, (OURS, IN_PROCESS), MANY, "p50")
    yield Goal(f"{on}, 10,000 rows", "1.5 times pandas + predict_proba", many, lambda x: x <= 1.5)


def best(results: Results, workload: str, load: str, figure: str, choose: Callable[..., str]) -> str:
    """Return the peer with the best figure, or an empty text where there is none."""
    figures = {peer.name: results.median(workload, peer.name, load, figure) for peer in PEERS}
    there = {name: value for name, value in figures.items() if value is not None}
    return choose(there, key=lambda name: there[name]) if there else ""


def _sorted(results: Results, workload: str) -> list[str]:
    """Return the contenders, fastest first; what is no server comes last."""
    rates = {name: results.median(workload, name, CLIENTS, "rate") or 0 for name in results.contenders(workload)}
    return sorted(rates, key=lambda name: -rates[name])


def _line(results: Results, workload: str, name: str) -> list[str]:
    figure = lambda load, what: results.median(workload, name, load, what)  # noqa: E731
    share = results.compare(workload, (name, LIMIT.name), CLIENTS, "rate")
    late = [figure(CLIENTS, what) for what in ("p50", "p99")]
    errors = results.errors(workload, name)
    return [
        (f"**{name}**" if name.startswith(OURS) else name) + (f" ({errors:,} errors!)" if errors else ""),
        _shown(figure(ONE, "p50"), "{:.2f}"),
        _shown(figure(CLIENTS, "rate"), "{:,.0f}"),
        _shown(share, "{:.2f}"),
        " / ".join(_shown(value, "{:.0f}") for value in late) if late[0] else "-",
        _shown(figure(MANY, "p50"), "{:,.0f}"),
    ]


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def table(head: list[str], lines: Iterable[list[str]], words: Container[int] = (0,)) -> str:
    """Return a table in Markdown: words to the left in some columns, numbers to the right in the others."""
    rule = ["---" if i in words else "---:" for i in range(len(head))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *lines))
