"""`make capacity`: a simulation that agrees with queueing theory, and a plan that adds up."""

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from conftest import Need

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.capacity import plan
from bench.capacity.__main__ import SECTION
from bench.capacity.comparison import Line
from bench.capacity.measurement import Footprint, Spent
from bench.capacity.simulation import Bounds, Costs, clients, stream
from bench.contender import ROOT
from bench.load import Sample

COSTS = Costs(request=100e-6, batch=3e-3, row=10e-6, log=10e-6)
FOOTPRINT = Footprint(memory=200e6, stored=500, database=10e-6, sent=1_000)


def test_simulation_is_built_with_the_figures_of_the_api(tmp_path: Path) -> None:
    code = """if True:
        from app import batcher as b, log, log_writer as w
        assert log._TURN_ROWS == b.MOST_ROWS_HERE
        from app.settings import settings as s
        print(b.MOST_ROWS_HERE, b.MOMENT, s.most_waiting, b.MOST_ROWS, b.MOST_PATIENCE, b.LONGEST, b.TURNS,
            b.LEAST_TRUST, b.REGAINED, w._GATHER_SECONDS)
    """
    environment = {"PYTHONPATH": str(ROOT / "containers" / "fastapi"), "WORKERS_DIR": str(tmp_path)}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert [float(one) for one in found.stdout.split()] == list(dataclasses.astuple(Bounds()))


@pytest.mark.parametrize("busy", [0.5, 0.8])
def test_rows_one_by_one_wait_as_long_as_theory_says(busy: float) -> None:
    service = 0.01  # M/D/1: a mean wait of busy * service / (2 * (1 - busy)) (Pollaczek and Khinchine)
    seen = stream(Costs(0, service, 0, 0), busy / service, 600, Bounds(rows=1, patience=0))
    assert fmean(seen.times) - service == pytest.approx(busy * service / (2 * (1 - busy)), rel=0.1)


def test_full_queue_refuses_what_can_not_be_answered() -> None:
    seen = stream(Costs(0, 0.01, 0, 0), 400, 100, Bounds(waiting=5, rows=1, patience=0))
    assert seen.rate == pytest.approx(100, rel=0.01)
    assert seen.refused_share == pytest.approx(0.75, abs=0.02)
    assert max(seen.times) <= 0.01 * 7  # five wait while one is answered


def test_gathering_carries_what_single_rows_can_not() -> None:
    alone, together = (stream(COSTS, 3_000, 5, Bounds(rows=rows)) for rows in (1, 4_096))
    assert alone.refused_share > 0.8 and together.refused == 0
    assert together.rate == pytest.approx(3_000, rel=0.05) and fmean(together.batches) > 5


def test_clients_without_rest_get_the_most_and_the_same_every_time() -> None:
    seen = clients(COSTS, 500, 0, 3)
    each = COSTS.request + COSTS.batch / fmean(seen.batches) + COSTS.row + COSTS.log
    assert seen.rate == pytest.approx(1 / each, rel=0.05)
    assert clients(COSTS, 500, 0, 3) == seen
    assert clients(COSTS, 500, 0.5, 3).p99 < seen.p99


def test_core_of_uneven_pace_answers_later_and_as_much_in_the_mean() -> None:
    steady, uneven = (clients(COSTS, 500, 0.2, 6, pace) for pace in ((1.0,), (0.7, 1.3) * 3))
    assert uneven.p99 > 1.2 * steady.p99
    assert uneven.rate == pytest.approx(steady.rate, rel=0.1)


def test_pace_is_what_batches_took_beyond_their_rows() -> None:
    known, seen = Costs(request=0, batch=0, row=10e-6, log=0), Sample(60, seconds=1, p50=1, p99=1, errors=0)
    parts = np.array([[2, 20, 2 * 3e-3 + 20 * 10e-6], [1, 40, 3e-3 + 40 * 10e-6], [0, 0, 0]])
    spent = Spent(seen, whole=400e-6, threads=0, parts=parts)
    costs = spent.costs(known)
    assert costs.batch == pytest.approx(3e-3)
    assert costs.request == pytest.approx(400e-6 - parts[:, 2].sum() / 60)
    assert spent.pace(costs) == pytest.approx((1, 1))
    slower = dataclasses.replace(spent, parts=parts * [[1, 1, 1], [1, 1, 2], [1, 1, 1]])
    first, second = slower.pace(slower.costs(known))
    assert second == pytest.approx(2 * first, rel=0.05)


def test_replica_is_given_what_it_answers_in_time_and_never_more_than_was_checked() -> None:
    assert plan.share(COSTS, 1_000, late=100, seconds=1) == 900
    assert plan.share(COSTS, 8_000, late=15, seconds=1) < plan.share(COSTS, 8_000, late=100, seconds=1) <= 7_200
    assert plan.share(COSTS, 8_000, late=1, seconds=1) < 100  # a batch alone takes longer
    uneven = plan.share(COSTS, 8_000, late=15, pace=(0.5, 1.5), seconds=1)
    assert uneven < plan.share(COSTS, 8_000, late=15, seconds=1)


def test_plan_adds_up() -> None:
    needs = [plan.need(rate, 2_000, FOOTPRINT) for rate in plan.RATES]
    assert needs[-1] == plan.Need(100_000, 51, 52, 51 * 200e6, 8.64e9, 8.64e9 * 500)
    assert needs[0].replicas == 2  # one to spare
    each = [n.cores / n.rate for n in needs]
    assert each == sorted(each, reverse=True)
    assert all((n.replicas - 1) * 2_000 >= n.rate for n in needs)


def test_plan_names_the_limit_that_is_met_next() -> None:
    lines = plan.render(2_000, FOOTPRINT).splitlines()[2:]
    assert [line.split("|")[1].strip() for line in lines][-1] == "100,000"
    first = [line.split("|")[7].strip() for line in lines]
    assert first[:2] == ["from 770/s the log fills 1 TB within a month", "the same"]
    assert first[2] == "from 2,000/s a single replica's core is full"
    assert first[3].startswith("from 64,000/s the role `api` has 32 connections")
    assert first[4] == first[5] == "the same"
    assert first[6] == "from 120,000/s the network before the replicas: 1 Gbit/s"  # 125,000, of which two digits


@pytest.mark.parametrize(("simulated", "reached"), [(119, "yes"), (81, "yes"), (121, "**no**"), (79, "**no**")])
def test_what_is_further_off_than_a_fifth_is_a_no(simulated: float, reached: str) -> None:
    assert Line("p99", simulated, 100).row()[-1] == reached


def test_readme_without_the_markers_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing here\n")
    done = _capacity(tmp_path / "README.md")
    assert done.returncode == 1 and not done.stdout
    assert done.stderr.startswith("capacity: ") and "there is no place for the tables" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_plan_is_printed_and_written_between_the_markers(tmp_path: Path, need: Need) -> None:
    need("wrk", shutil.which("wrk") is not None, "wrk is not installed: the capacity plan was not measured")
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{SECTION.begin}\nold\n{SECTION.end}\nafter\n")
    done = _capacity(readme, "--rounds", "1", "--seconds", "1", "--clients", "50", "--late", "100000")
    assert done.returncode == 0, done.stderr
    text = readme.read_text()
    assert text == f"before\n{SECTION.begin}\n{done.stdout.strip()}\n{SECTION.end}\nafter\n"
    assert "| 100,000 |" in text and "90 % of the most: p99, ms" in text and "\nold\n" not in text


def _capacity(readme: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench.capacity", "--readme", str(readme), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170, check=False)
