"""Real things for the tests to stand on, and one plain line for each part that could not be tested here."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg2
import pytest
from filesystems import ftp, sftp  # noqa: F401  # fixtures for all files
from object_store import azure, google, object_store  # noqa: F401
from playwright.sync_api import Browser, Error, Page, sync_playwright
from stack import Stack
from takehome.crew import Crew
from takehome.lock import lock
from takehome.postgres import find_cluster
from takehome.proof.forkserver import started
from takehome.server import connect
from work import Work, make_work

ROOT = Path(__file__).parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
Need = Callable[[str, bool, str], None]


def pytest_configure(config: pytest.Config) -> None:
    """Name the marks."""
    config.addinivalue_line("markers", "slow: takes more than a few seconds; still part of `make test`")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in plain words what was skipped."""
    reports = terminalreporter.stats.get("skipped", [])
    skipped = Counter((str(r.longrepr[2]) if isinstance(r.longrepr, tuple) else str(r.longrepr)) for r in reports)
    for reason, count in skipped.items():
        terminalreporter.write_line(f"Not tested here ({count} tests): {reason.removeprefix('Skipped: ')}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what its pages showed."""
    report = yield
    if report.when == "call" and report.failed:
        for page in (value for value in getattr(item, "funcargs", {}).values() if isinstance(value, Page)):
            with suppress(Error):  # of a page that hangs, or is closed
                report.sections.append((page.url, page.inner_text("body", timeout=2_000)))
    return report


@pytest.fixture(scope="session", autouse=True)
def imported_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Spare most of the tests' proofs their imports, which took longer than all else; containers know nothing of it."""
    with started(tmp_path_factory.mktemp("proofs")):
        yield


@pytest.fixture(scope="session")
def need() -> Need:
    """Return `need(part, there, reason)`: skips where a part isn't there, fails where REQUIRE_<PART>=1 asks for it."""

    def check(part: str, there: bool, reason: str) -> None:
        variable = f"REQUIRE_{part.upper()}"
        if not there and os.environ.get(variable, "0") not in ("", "0"):
            pytest.fail(f"{part}: {reason}. {variable} says that it must be here.")
        if not there:
            pytest.skip(f"{part}: {reason}")

    return check


@pytest.fixture(scope="module")
def browser(need: Need) -> Iterator[Browser]:
    """Run the browser that is installed here; its event loop would forbid others to the files that follow."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    need("browser", path is not None, "no Chromium or Chrome on the PATH; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Return a function that gives a port nobody listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find


@pytest.fixture(scope="module")
def postgres(free_port: Callable[[], int]) -> Iterator[int]:
    """Run PostgreSQL with the database `local` as at a first start; the PG* variables point to it. Gives its port."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="takehome-") as folder, pytest.MonkeyPatch.context() as patch:
        Path(folder).chmod(0o755)
        for name, value in {"HOST": "127.0.0.1", "PORT": str(port), "USER": "local", "DATABASE": "local"}.items():
            patch.setenv(f"PG{name}", value)
        patch.delenv("PGPASSWORD", raising=False)
        cluster = find_cluster(Path(folder))
        with lock(cluster.data) as held:
            cluster.prepare(held, (ROOT / "containers/postgres/schema.sql").read_text())
            with Crew(held) as crew:
                crew.start(
                    "postgres",
                    cluster.command(port),
                    env={"PATH": os.environ["PATH"]},
                    stop_signal=2,
                    identity=cluster.identity(),
                    keep=(held,),
                )
                connect(wait=20).close()
                yield port


@pytest.fixture
def database(postgres: int) -> Iterator[psycopg2.extensions.connection]:
    """Give a connection to the database, emptied."""
    connection = psycopg2.connect(host="127.0.0.1", port=postgres, user="local", dbname="local")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def work() -> Iterator[Work]:
    """Give a finished assignment that was submitted, with its data."""
    work = make_work()
    done = work.run("submit", "--with-data")
    assert done.returncode == 0, done.stdout + done.stderr
    yield work
    shutil.rmtree(work.folder)


@pytest.fixture(scope="module")
def clone(
    need: Need, free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[int], Stack]]:
    """Return a function that makes a clone belonging to a user; what it started is removed at the end."""
    engine = shutil.which("docker") and subprocess.run(["docker", "info"], capture_output=True, check=False)
    need("containers", bool(engine) and engine.returncode == 0, "no Docker engine answers")
    stacks: list[Stack] = []

    def make(owner: int) -> Stack:
        folder = tmp_path_factory.mktemp(f"clone{owner}-{os.getpid()}-")
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
        for name in filter(None, listed.stdout.split("\0")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
        for path in [folder, *folder.rglob("*")] if os.getuid() == 0 else []:
            os.chown(path, owner, owner)
        folder.chmod(0o755)
        stack = Stack(folder, owner, {name: free_port() for name in ("JUPYTER", "POSTGRES", "API", "STREAMLIT")})
        stacks.append(stack)
        return stack

    yield make
    for stack in stacks:
        stack.compose("down", "--volumes", "--rmi", "local", "--timeout", "5", check=False)
