"""`takehome local`: four services from one environment, that live and die together and lose nothing."""

import json
import multiprocessing
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import psutil
import psycopg2
import pytest
from takehome import TakehomeError
from takehome.crew import Crew
from takehome.lock import lock
from takehome.postgres import Cluster, find_cluster
from takehome.server import connect
from waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[1]
PORTS = {"JUPYTER_PORT": "python", "POSTGRES_PORT": "postgres", "API_PORT": "fastapi", "STREAMLIT_PORT": "streamlit"}
NOTEBOOK = """
import takehome
from sklearn.dummy import DummyClassifier
from takehome.database import read_table
frame = read_table("coins")
takehome.save_model(DummyClassifier().fit(frame[["side"]], frame["won"]), frame[["side"]], frame["won"], name="coins")
"""
AS_USER = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"]


class Local:
    """One run of `takehome local`, its output gathered while it runs."""

    def __init__(self, clone: Path, ports: dict[str, int], prefix: list[str]) -> None:
        program = str(Path(sys.executable).with_name("takehome"))
        env = {**os.environ, **{name: str(port) for name, port in ports.items()}, "CLONE": str(clone)}
        self.clone, self.ports, self.lines = clone, {PORTS[name]: port for name, port in ports.items()}, []
        self.process = subprocess.Popen(
            [*prefix, program, "local"], cwd=clone, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, text: str, seconds: float = 180) -> None:
        """Return when a line with the text has come."""
        deadline = time.monotonic() + seconds
        while not any(text in line for line in self.lines):
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.05)

    def end(self, number: int | None = None, seconds: float = PATIENCE) -> int:
        """Send a signal, if one is given; return the exit code."""
        if number:
            self.process.send_signal(number)
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code

    def output(self) -> str:
        """Return all that was printed."""
        return "\n".join(self.lines)

    def pid(self, service: str) -> int:
        """Return the process of a service."""
        mark = f"{self.clone}/volumes/postgres" if service == "postgres" else f"{service}/start.py"
        return next(p.pid for p in psutil.Process(self.process.pid).children() if mark in " ".join(p.cmdline()))

    def get(self, service: str, path: str) -> int:
        """Return the status of a GET."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[service]}{path}", timeout=PATIENCE) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def ask(self, question: str) -> list[tuple]:
        """Return the rows of a query."""
        with psycopg2.connect(f"host=127.0.0.1 port={self.ports['postgres']} user=local dbname=local") as connection:
            cursor = connection.cursor()
            cursor.execute(question)
            return cursor.fetchall() if cursor.description else []

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.lines.append(line.rstrip())


Start = Callable[..., Local]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Give a copy of the project with small data and a notebook of one cell."""
    copy = tmp_path / "a clone"
    shutil.copytree(ROOT / "containers", copy / "containers", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("models", "postgres", "notebooks", "static"):
        (copy / "volumes" / name).mkdir(parents=True)
    (copy / "volumes/static/coins.csv").write_text("side,won\n" + "heads,1\ntails,0\nheads,0\n" * 20)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(NOTEBOOK)])
    nbformat.write(notebook, copy / "volumes/notebooks/submission.ipynb")
    (copy / ".env").write_text("LOG_LEVEL=info\n")  # a setting of the services'
    return copy


@pytest.fixture
def start(clone: Path, free_port: Callable[[], int]) -> Iterator[Start]:
    """Give a function that starts `takehome local` in the copy; what is left at the end is killed."""

    def begin(*prefix: str, ports: dict[str, int] | None = None) -> Local:
        return Local(clone, {name: free_port() for name in PORTS} if ports is None else ports, list(prefix))

    yield begin
    for process in left_of(clone):
        process.kill()


def left_of(clone: Path, patience: float = 0) -> list[psutil.Process]:
    """Return the processes that work in the copy; waits for them to go for as long as patience lasts."""
    deadline = time.monotonic() + patience
    while True:
        found = [process for process in psutil.process_iter() if _belongs(process, str(clone))]
        if not found or time.monotonic() >= deadline:
            return found
        time.sleep(0.1)


def _belongs(process: psutil.Process, clone: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return clone in " ".join(process.cmdline()) or process.environ().get("CLONE") == clone
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


@pytest.mark.slow
@pytest.mark.parametrize("user", ["as we are", "ordinary"])
def test_four_doors_open_and_close_and_nothing_is_lost(start: Start, clone: Path, user: str) -> None:
    prefix = ordinary() if user == "ordinary" else ["sh", "-c", "trap '' INT; exec \"$@\"", "as `make local &` is"]
    began = time.monotonic()
    local = start(*prefix)
    local.wait_for("  Page         http")
    first = time.monotonic() - began
    assert (
        local.get("python", "/api")
        == local.get("fastapi", "/ready")
        == local.get("streamlit", "/_stcore/health")
        == 200
    )
    assert local.ask("SELECT count(*) FROM coins") == [(60,)]
    assert local.ask("SELECT count(*) FROM predictions") == [(0,)]
    local.ask("CREATE TABLE mine AS SELECT 42 AS answer")
    assert local.end(signal.SIGINT) == 0, local.output()
    assert left_of(clone, 1) == []

    began = time.monotonic()
    again = start(*prefix)
    again.wait_for("  Page         http")
    later = time.monotonic() - began
    again.wait_for("coins: unchanged")
    assert again.ask("SELECT answer FROM mine") == [(42,)]
    assert again.end(signal.SIGTERM) == 0
    assert left_of(clone, 1) == []
    print(f"first start {first:.1f} s, later {later:.1f} s")
    assert later < first


def ordinary() -> list[str]:
    """Return the prefix that makes root an ordinary user, with the same files."""
    if os.geteuid():
        return []
    if subprocess.run([*AS_USER, "true"], check=False).returncode:
        pytest.skip("ordinary user: this machine doesn't let root become one (no user namespaces)")
    return AS_USER


@pytest.mark.slow
def test_second_server_and_taken_port_are_refused(start: Start, clone: Path, free_port: Callable[[], int]) -> None:
    first = start()
    first.wait_for("database system is ready")
    second = start()
    assert second.end() == 1
    assert f"a server is using this data folder already (process {first.process.pid})" in second.output()
    assert first.process.poll() is None
    first.end(signal.SIGINT)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        third = start(ports={name: free_port() for name in PORTS} | {"API_PORT": port})
        assert third.end() == 1
    assert third.output().startswith(f"takehome: Port {port} is in use.")
    assert f"API_PORT={port + 1}" in third.output()
    assert left_of(clone) == []


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["postgres", "python", "fastapi", "streamlit"])
def test_one_that_dies_stops_all(start: Start, clone: Path, victim: str) -> None:
    local = start()
    local.wait_for("  Page         http")
    os.kill(local.pid(victim), signal.SIGKILL)
    assert local.end() == 1
    assert f"takehome: {victim} ended with exit code -9. Its last lines:" in local.output()
    assert left_of(clone, 3) == []


@pytest.mark.slow
@pytest.mark.parametrize("also_the_leash", [False, True])
def test_killed_supervisor_leaves_no_orphan(start: Start, clone: Path, also_the_leash: bool) -> None:
    local = start()
    local.wait_for("  Page         http")
    if also_the_leash:
        leash = next(p for p in psutil.Process(local.process.pid).children() if "leash.py" in " ".join(p.cmdline()))
        leash.kill()
        assert local.end() == 1
        assert "was killed" in local.output()
    else:
        local.end(signal.SIGKILL)
    again = start()  # at once: it waits for what is still stopping
    again.wait_for("  Page         http")
    assert again.ask("SELECT count(*) FROM coins") == [(60,)]
    again.end(signal.SIGINT)
    assert left_of(clone, 2) == []


def test_wrong_setting_is_named(start: Start, clone: Path) -> None:
    (clone / ".env").write_text("API_PORT=eighty\n")
    local = start(ports={})
    assert local.end() == 1
    assert local.output().startswith("takehome: API_PORT=eighty: Input should be a valid integer")


def initialise(volume: Path) -> None:
    """Do what a first start does before the server runs."""
    cluster = find_cluster(volume)
    with lock(cluster.data) as held:
        cluster.prepare(held)


def test_killed_first_start_heals(tmp_path: Path, free_port: Callable[[], int]) -> None:
    context = multiprocessing.get_context("forkserver")
    for instant in range(20):
        process = context.Process(target=initialise, args=(tmp_path,))
        process.start()
        time.sleep(instant * 0.05)
        process.kill()
        process.join()
    assert served(find_cluster(tmp_path), free_port()) == "local"


@pytest.mark.skipif(os.geteuid() != 0, reason="identities: only root can become somebody else")
@pytest.mark.parametrize("owner", [0, 65534, 12345])
def test_root_serves_a_folder_of_anybody(tmp_path: Path, free_port: Callable[[], int], owner: int) -> None:
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    os.chown(tmp_path, owner, -1)
    cluster = find_cluster(tmp_path)
    assert served(cluster, free_port()) == "local"
    assert cluster.data.stat().st_uid == (owner if owner != 12345 else 65534)
    assert served(find_cluster(tmp_path), free_port()) == "local"


@pytest.mark.skipif(os.geteuid() != 0, reason="identities: only root can become somebody else")
def test_root_without_user_namespaces(
    tmp_path: Path, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    programs, volume = tmp_path / "bin", tmp_path / "volume"
    programs.mkdir()
    volume.mkdir()
    (programs / "sh").symlink_to(shutil.which("sh") or "/bin/sh")
    monkeypatch.setenv("PATH", str(programs))
    tmp_path.chmod(0o700)
    with pytest.raises(TakehomeError, match="PostgreSQL doesn't run as root, and another user can't reach"):
        find_cluster(volume)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    cluster = find_cluster(volume)
    assert served(cluster, free_port()) == "local"
    assert cluster.data.stat().st_uid == 65534


def served(cluster: Cluster, port: int) -> str:
    """Serve a cluster for as long as it takes to ask who one is."""
    with lock(cluster.data) as held, pytest.MonkeyPatch.context() as patch:
        cluster.prepare(held)
        for name, value in {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(port),
            "PGUSER": "local",
            "PGDATABASE": "local",
        }.items():
            patch.setenv(name, value)
        with Crew(held) as crew:
            env = {"PATH": os.environ["PATH"]}
            crew.start(
                "postgres", cluster.command(port), env=env, stop_signal=2, identity=cluster.identity(), keep=(held,)
            )
            connection = connect(wait=10)
            cursor = connection.cursor()
            cursor.execute("SELECT current_user")
            who = cursor.fetchall()[0][0]
            connection.close()
            return str(who)


@pytest.mark.slow
def test_the_example_itself(start: Start, clone: Path) -> None:
    for name in ("static/births.csv.gz", "notebooks/submission.ipynb"):
        shutil.copy(ROOT / "volumes" / name, clone / "volumes" / name)
    began = time.monotonic()
    local = start()
    local.wait_for("  Page         http", 240)
    print(f"everything answers after {time.monotonic() - began:.0f} s")
    url = f"http://127.0.0.1:{local.ports['fastapi']}/predict"
    row = {
        "age_group": "Under 15 yrs",
        "reported_race_ethnicity": "White, non-Hispanic",
        "previous_births": "None",
        "tobacco_use_during_pregnancy": "Yes",
        "adequate_prenatal_care": "Inadequate",
    }
    request = urllib.request.Request(url, json.dumps(row).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        assert set(json.load(answer)) == {"prediction", "probabilities", "warnings"}
    time.sleep(2)
    assert local.ask("SELECT row FROM predictions") == [(row,)]
    assert local.ask("SELECT count(*), min(rows) FROM drift") == [(5, 1)]
    assert re.search(r"births: 3,096,936 rows from births.csv.gz in \d", local.output())
    assert local.end(signal.SIGINT) == 0
    assert left_of(clone, 1) == []
