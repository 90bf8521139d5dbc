"""`takehome verify`: what must pass passes, what is planted is found and named, and nothing is changed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from corpus.cells import Cell, write
from corpus.faults import DRIFTS, IMPORTS, STOPS, Drift, Stop
from corpus.harmless import DRAWN, HARMLESS, picture
from takehome import load_model
from takehome.review.again import again as rerun
from takehome.review.judge import judge
from takehome.verification import Report, Verdict, verify
from takehome.verification.data import fingerprints
from takehome.verification.report import Kind, Outcome
from waiting import PATIENCE, eventually

ROOT = Path(__file__).parents[1]
TAKEHOME = str(Path(sys.executable).with_name("takehome"))
pytestmark = pytest.mark.slow

MODEL = [
    Cell(
        "import takehome\nfrom sklearn.linear_model import LogisticRegression\n"
        "from sklearn.ensemble import RandomForestClassifier"
    ),
    Cell("loans = takehome.read_table('loans')\nX, y = loans[['amount', 'years']], loans['late']"),
    Cell("model = {estimator}.fit(X, y)"),
    Cell("version = takehome.save_model(model, X, y, name='Loans', evaluate=(X, y))"),
]


def model_cells(estimator: str) -> list[Cell]:
    return [Cell(cell.source.replace("{estimator}", estimator)) for cell in MODEL]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make a small checkout with data changed a moment ago, and let the folders be its own."""
    root = tmp_path_factory.mktemp("project")
    for name in ("notebooks", "static", "models"):
        (root / "volumes" / name).mkdir(parents=True)
    shutil.copytree(ROOT / "containers/python", root / "containers/python", ignore=shutil.ignore_patterns("*.py"))
    shutil.copy(ROOT / "containers/constraints.txt", root / "containers")
    rows = [f"{100 + 7 * i},{1 + i % 9},{int(i * 37 % 100 > 60)}" for i in range(300)]
    (root / "volumes/static/loans.csv").write_text("\n".join(["amount,years,late", *rows]) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("notebooks", "static", "models"):
            patch.setenv(f"{name.upper()}_DIR", str(root / "volumes" / name))
        yield root


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outside")
    (folder / "prices.csv").write_text("price\n1\n")
    (folder / "notes.txt").write_text("a note")
    return folder


@pytest.fixture(scope="module")
def drifting(project: Path, outside: Path) -> Report:
    """Verify the notebook that holds all faults that let a run go on, saved an hour before the data was."""
    cells = [
        Cell(cell.source.replace("{outside}", str(outside)), cell.saved) for drift in DRIFTS for cell in drift.cells
    ]
    path = write(project / "volumes/notebooks/drifting.ipynb", IMPORTS, *cells)
    an_hour_ago = time.time() - 3600
    os.utime(path, (an_hour_ago, an_hour_ago))
    return verify(path)


@pytest.fixture(scope="module")
def stopped(project: Path) -> dict[str, Report]:
    """Verify the notebooks whose fault ends the run, two at a time."""

    def run(number: int, stop: Stop) -> Report:
        path = write(project / f"volumes/notebooks/stop_{number}.ipynb", *stop.cells)
        return verify(path, timeout=3 if stop.kind == Kind.TIMEOUT else 60)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip((stop.name for stop in STOPS), pool.map(run, range(len(STOPS)), STOPS), strict=True))


@pytest.fixture(scope="module")
def harmless(project: Path) -> Report:
    return verify(write(project / "volumes/notebooks/harmless.ipynb", *HARMLESS.values()))


def test_the_corpus_is_large_enough() -> None:
    assert len(DRIFTS) + len(STOPS) >= 30
    assert {item.kind for item in (*DRIFTS, *STOPS)} == set(Kind) - {Kind.VERSION}


@pytest.mark.parametrize("drift", DRIFTS, ids=lambda drift: drift.name)
def test_a_planted_fault_is_named_with_its_cell(drifting: Report, drift: Drift) -> None:
    first = 2 + sum(len(other.cells) for other in DRIFTS[: DRIFTS.index(drift)])
    own = range(first, first + len(drift.cells))
    named = [(cause.kind, cause.cell) for cause in drifting.causes if cause.cell in own]
    assert named == [(drift.kind, first + drift.at - 1)]


def test_nothing_else_is_named(drifting: Report) -> None:
    assert len(drifting.causes) == len(DRIFTS)
    assert drifting.verdict == Verdict.FAILS, "the paths and packages are missing elsewhere"


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.name)
def test_a_planted_fault_that_ends_the_run_is_named(stopped: dict[str, Report], stop: Stop) -> None:
    report = stopped[stop.name]
    assert [(cause.kind, cause.cell) for cause in report.causes] == [(stop.kind, stop.at)]
    assert report.verdict == stop.verdict
    if report.verdict == Verdict.FAILS:
        assert report.cells[stop.at - 1].outcome == Outcome.FAILED
        assert {cell.outcome for cell in report.cells[stop.at :]} <= {Outcome.NOT_RUN}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_difference_passes(harmless: Report, name: str) -> None:
    cell = harmless.cells[list(HARMLESS).index(name)]
    assert cell.outcome in (Outcome.SAME, Outcome.CLOSE, Outcome.SKIPPED), cell.difference


def test_only_harmless_differences_are_reproduced_within_tolerance(harmless: Report) -> None:
    assert (harmless.verdict, harmless.causes) == (Verdict.CLOSE, [])


def test_what_differs_is_shown_like_a_diff(project: Path) -> None:
    table = "<table><tr><th>name</th><th>auc</th></tr><tr><td>a</td><td>0.6100</td></tr></table>"
    report = verify(
        write(
            project / "volumes/notebooks/differs.ipynb",
            Cell("print('rows', 100)\nprint('AUC', 0.61)", "rows 100\nAUC 0.62\n"),
            Cell("print('one')\nprint('two')", "one\n"),
            Cell(
                f"from IPython.display import HTML\ndisplay(HTML({table!r}))",
                {"text/html": table.replace("0.61", "0.71")},
            ),
            Cell(DRAWN, picture("LANCZOS", moved=24)),
            Cell("print(1.000002)", "1.0\n"),
            Cell("print(1.0000002)", "1.0\n"),
        )
    )
    shown = [cell.difference for cell in report.cells]
    assert report.verdict == Verdict.DIFFERS
    assert shown[:3] == ["- AUC 0.62\n+ AUC 0.61", "+ two", "- a │ 0.7100\n+ a │ 0.6100"]
    assert shown[3].startswith("- a picture of 200 by 150 pixels\n+ one that differs from it by up to ")
    assert [cell.outcome for cell in report.cells[4:6]] == [Outcome.DIFFERS, Outcome.CLOSE]


def test_a_model_is_compared_with_the_kept_one(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(project / "volumes/notebooks/loans.ipynb", *model_cells("LogisticRegression()"))
    before = fingerprints(project)
    first = verify(path)
    assert (first.verdict, first.model.outcome) == (Verdict.REPRODUCED, Outcome.NOTHING)
    assert "nothing to compare with" in first.model.message
    assert fingerprints(project) == before, "nothing in the work tree is changed"

    monkeypatch.setenv("MODELS_DIR", str(tmp_path / "models"))
    subprocess.run([TAKEHOME, "train", str(path)], check=True, capture_output=True)
    version = (tmp_path / "models/current").read_text().strip()
    again = verify(path)
    assert (again.verdict, again.model.outcome, again.data.outcome) == (Verdict.REPRODUCED, Outcome.SAME, Outcome.SAME)
    assert (again.model.saved, again.model.training.rows, again.model.training.identical) == (version, 300, True)
    assert {figure.outcome for figure in again.model.metrics} == {Outcome.SAME}

    other = write(project / "volumes/notebooks/forest.ipynb", *model_cells("RandomForestClassifier(20)"))
    loose = verify(other)
    assert (loose.verdict, loose.model.outcome) == (Verdict.DIFFERS, Outcome.DIFFERS)
    assert loose.model.training.largest_difference > 0.01
    assert [(cause.kind, cause.cell) for cause in loose.causes] == [(Kind.RANDOM, 3)]

    examples = load_model().metadata.examples
    judged = judge(other, rerun(other, [examples.rows, []]), [], {"loans.csv": "0" * 64})
    assert (judged.verdict, judged.model.outcome) == (Verdict.DIFFERS, Outcome.DIFFERS)
    assert [(cause.kind, cause.cell) for cause in judged.causes] == [(Kind.DATA, None), (Kind.RANDOM, 3)]


def test_a_notebook_saved_without_outputs_only_has_to_run(project: Path) -> None:
    cells = [Cell("x = 1", count=None), Cell("print(x)", count=None)]
    report = verify(write(project / "volumes/notebooks/bare.ipynb", *cells))
    assert (report.verdict, {cell.outcome for cell in report.cells}) == (Verdict.REPRODUCED, {Outcome.NOTHING})
    assert "saved without outputs" in report.summary


def test_the_run_knows_no_credentials(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = ("AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "JUPYTER_TOKEN")
    for name in secret:
        monkeypatch.setenv(name, "told")
    cell = Cell(f"import os\nprint([name for name in {secret} if name in os.environ])", "[]\n")
    report = verify(write(project / "volumes/notebooks/secretless.ipynb", cell))
    assert [cell.difference for cell in report.cells] == [None]


def test_the_run_reaches_neither_network_nor_data(project: Path) -> None:
    refused = "try:\n    {}\nexcept OSError as error:\n    print(error.strerror)"
    cells = [
        Cell("import socket\nsocket.setdefaulttimeout(2)"),
        Cell(refused.format("open('../static/loans.csv', 'a')"), "Read-only file system\n"),
        Cell(refused.format("socket.create_connection(('192.0.2.1', 80))"), "Network is unreachable\n"),
        Cell("open('scratch.txt', 'w').write('in the copy')\nprint(open('scratch.txt').read())", "in the copy\n"),
    ]
    report = verify(write(project / "volumes/notebooks/closed.ipynb", *cells))
    if report.environment.network == "not cut off":
        pytest.skip("namespaces: this machine allows none to a user without rights")
    assert report.environment.data == "read-only"
    assert [cell.difference for cell in report.cells] == [None] * 4
    assert not (project / "volumes/notebooks/scratch.txt").exists()


def test_the_command_speaks_to_people_and_to_machines(project: Path) -> None:
    write(project / "volumes/notebooks/small.ipynb", Cell("x = 1"), Cell("print(x + 1)", "3\n"))
    people = subprocess.run([TAKEHOME, "verify", "small.ipynb"], capture_output=True, text=True, check=False)
    assert people.returncode == 1
    assert "cell  2 of 2" in people.stdout
    assert "- 3" in people.stdout
    assert people.stdout.splitlines()[-1].startswith("differs in ")
    machines = subprocess.run(
        [TAKEHOME, "verify", "small.ipynb", "--json"], capture_output=True, text=True, check=False
    )
    report = Report.model_validate(json.loads(machines.stdout))
    assert (machines.returncode, report.verdict, report.cells[1].difference) == (1, Verdict.DIFFERS, "- 3\n+ 2")
    absent = subprocess.run([TAKEHOME, "verify", "none.ipynb"], capture_output=True, text=True, check=False)
    assert "there is no such notebook" in absent.stderr


def test_ctrl_c_leaves_nothing_behind(project: Path, tmp_path: Path) -> None:
    write(project / "volumes/notebooks/long.ipynb", Cell("import time\ntime.sleep(600)"))
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    run = subprocess.Popen([TAKEHOME, "verify", "long.ipynb"], env=environment, stderr=subprocess.PIPE, text=True)
    eventually(lambda: list(tmp_path.glob("takehome-verify-*/closed.json")))
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=PATIENCE)
    assert run.returncode == 130
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())


def test_the_example_is_reproduced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("notebooks", "static"):
        monkeypatch.setenv(f"{name.upper()}_DIR", str(ROOT / "volumes" / name))
    monkeypatch.setenv("MODELS_DIR", str(tmp_path))
    subprocess.run([TAKEHOME, "train"], check=True, capture_output=True)
    report = verify(ROOT / "volumes/notebooks/submission.ipynb")
    assert report.verdict == Verdict.REPRODUCED, report.summary
    assert report.model.examples.identical
    assert report.model.training.identical
    assert report.model.training.rows == 10_000
    assert not report.causes
    assert nbformat.read(ROOT / "volumes/notebooks/submission.ipynb", as_version=4)
