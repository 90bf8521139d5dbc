"""`make bench`: wrong answers are refused, errors are counted, and the tables stand where they belong."""

import dataclasses
import shutil
import sys
from pathlib import Path

import pytest
from conftest import Need
from takehome.errors import TakehomeError

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import report
from bench.contender import LIMIT, OURS, PLAIN, ours
from bench.load import Sample
from bench.race import CLIENTS, IN_PROCESS, IN_TURN, MANY, ONE, Race, Results
from bench.swap import Swaps
from bench.workload import mixed


def sample(rate: float, p99: float = 20.0, errors: int = 0) -> Sample:
    return Sample(answers=int(rate), seconds=1.0, p50=1e3 / rate, p99=p99, errors=errors)


@pytest.fixture
def results() -> Results:
    """Give two rounds in which we are seventeen times as fast as the plain endpoint, at 0.6 of the limit."""
    found = Results()
    for speed in (1.0, 0.5):  # the machine slows down: ratios within a round don't
        for name, rate in {OURS: 1700, PLAIN.name: 100, LIMIT.name: 1700 / 0.6}.items():
            for load in (ONE, CLIENTS, IN_TURN, MANY):
                found.add("mixed", name, load, sample(speed * rate))
        found.add("mixed", IN_PROCESS, ONE, sample(speed * 1900))
    return found


@pytest.fixture
def readme(tmp_path: Path) -> Path:
    """Give a file with a place for the tables."""
    path = tmp_path / "README.md"
    path.write_text(f"before\n{report.SECTION.begin}\nold\n{report.SECTION.end}\nafter\n")
    return path


def test_ratios_are_taken_within_a_round_and_judged(results: Results) -> None:
    swaps = Swaps(20, [sample(400, p99=90.0), sample(500, p99=45.0)], [sample(900, p99=20.0), sample(450, p99=10.0)])
    rows = [goal.row() for goal in report.goals(results, swaps)]
    assert rows[0][0] == "rows that never repeat, 64 clients: requests/s"
    assert rows[0][1:] == ["16 times the plain endpoint's", "17.00 times", "yes"]
    assert ["the same", "0.70 times the limit's", "0.60 times", "**no**"] in rows
    assert ["the same", "0.70 times the limit's", "-", "not measured"] in rows  # nobody was measured on the births
    assert ["20 swaps under load: failed requests", "0 of 900", "0", "yes"] in rows
    assert ["20 swaps under load: p99", "under 3 times the undisturbed", "4.50 times", "**no**"] in rows


def test_errors_while_it_was_timed_are_shown(results: Results) -> None:
    results.add("mixed", PLAIN.name, ONE, sample(100, errors=7))
    assert "plain endpoint (7 errors!)" in report.render(results, None, [])


def test_tables_are_written_between_the_markers(results: Results, readme: Path, tmp_path: Path) -> None:
    results.refused.append("vetiver can't be installed: no network")
    report.write(readme, tmp_path / "bench.svg", results, None, ["FastAPI 1.2.3"])
    text = readme.read_text()
    assert text.startswith(f"before\n{report.SECTION.begin}\n| goal") and text.endswith(
        f"{report.SECTION.end}\nafter\n"
    )
    assert "old" not in text and "FastAPI 1.2.3" in text and "Not compared: vetiver can't be installed" in text
    chart = (tmp_path / "bench.svg").read_text()
    assert "prefers-color-scheme: dark" in chart and f"{OURS} 1,275" in chart  # in words, for those who hear it


def test_file_without_the_markers_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing here\n")
    with pytest.raises(TakehomeError, match="there is no place for the tables"):
        report.SECTION.check(tmp_path / "README.md")


@pytest.mark.slow
def test_servers_are_measured_and_one_with_wrong_answers_is_not(tmp_path: Path, need: Need) -> None:
    need("wrk", shutil.which("wrk") is not None, "wrk is not installed: the comparison with other servers did not run")
    liar = dataclasses.replace(LIMIT, name="liar", constant=False)
    race = Race(rounds=1, seconds=1, tell=print)
    race.run(mixed(tmp_path / "mixed"), [ours(), PLAIN, LIMIT, liar])
    assert race.results.refused == ["liar, mixed: answers 300 of 300 rows otherwise than scikit-learn"]
    assert race.results.contenders("mixed") == [OURS, PLAIN.name, LIMIT.name, IN_PROCESS]
    assert [race.results.errors("mixed", name) for name in (OURS, PLAIN.name, LIMIT.name)] == [0, 0, 0]
    for load in (ONE, CLIENTS):
        assert race.results.median("mixed", OURS, load, "rate")
