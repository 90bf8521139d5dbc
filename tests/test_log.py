"""The prediction log and its database: every answer is kept, whatever befalls PostgreSQL, and nobody may do more."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import psycopg2
import pytest
import requests
import takehome
from psycopg2 import errors
from serving import workers
from sklearn.dummy import DummyClassifier
from takehome import TakehomeError
from takehome.database import load_static
from takehome.lock import lock
from takehome.postgres import find_cluster
from waiting import PATIENCE, eventually

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "containers/postgres/schema.sql"
ROW = {"side": "heads", "weight": 5.5, "count": 3, "day": "2025-03-01", "tossed": "2025-03-01T09:30:00", "sure": True}


class Server:
    """PostgreSQL with its data in a folder, started and ended in every way."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port, self._cluster = port, find_cluster(folder)

    def prepare(self, schema: str) -> None:
        """Do what comes before a start."""
        with lock(self._cluster.data) as held:
            self._cluster.prepare(held, schema)

    def start(self) -> None:
        """Start, and wait for the first answer."""
        self.prepare(SCHEMA.read_text())
        command = self._cluster.command(self.port)
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL, **self._cluster.identity())
        eventually(lambda: self.ask("SELECT 1"))

    def send(self, number: int) -> None:
        """Send a signal to the server and its children, which have sessions of their own."""
        with suppress(psutil.NoSuchProcess):
            server = psutil.Process(self.process.pid)
            for process in (server, *server.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)

    def stop(self, number: int = signal.SIGINT) -> None:
        """End it."""
        self.send(signal.SIGCONT)
        if number == signal.SIGKILL:
            self.send(number)
        else:
            self.process.send_signal(number)
        self.process.wait(20)

    def ask(self, question: str, *values: Any, user: str = "local", database: str = "local") -> list[tuple]:
        """Return the rows of a query over TCP."""
        address = f"host=127.0.0.1 port={self.port} user={user} dbname={database} connect_timeout=5"
        with closing(psycopg2.connect(address)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(question, values or None)
            return cursor.fetchall() if cursor.description else []


class Api:
    """The API, started without waiting for a database."""

    def __init__(self, models: Path, port: int, database: int, **variables: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        there = {"PGHOST": "127.0.0.1", "PGPORT": str(database), "PGUSER": "api", "PGDATABASE": "local"}
        environment = os.environ | there | {"MODELS_DIR": str(models), "PORT": str(port)} | variables
        command = [sys.executable, str(ROOT / "containers/fastapi/start.py")]
        self.process = subprocess.Popen(command, env=environment, cwd="/", stderr=subprocess.DEVNULL)
        eventually(lambda: requests.get(f"{self.url}/ready", timeout=5).ok)

    def __enter__(self) -> "Api":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(10)

    def predict(self, rows: Any, path: str = "/predict", **headers: str) -> Any:
        """Return the answers."""
        reply = requests.post(self.url + path, json=rows, headers=headers, timeout=PATIENCE)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def counts(self) -> dict[str, int]:
        """Return the rows logged, dropped and buffered, as /metrics tells them."""
        text = requests.get(f"{self.url}/metrics", timeout=PATIENCE).text
        told = re.findall(r'^takehome_log_(?:rows_total\{outcome="(\w+)"\}|(buffered)_rows) (\S+)$', text, re.M)
        return {outcome or buffered: int(float(number)) for outcome, buffered, number in told}

    def settled(self) -> dict[str, int]:
        """Return the counts once nothing is buffered; what left while they were being read is in the next ones."""
        eventually(lambda: self.counts()["buffered"] == 0)
        return self.counts()


@contextmanager
def load(api: Api) -> Iterator[list[int]]:
    """Send rows from four clients; the list gets 1 for each answer and 0 for each failure."""
    answered: list[int] = []
    ending = threading.Event()

    def client() -> None:
        with requests.Session() as session:
            while not ending.is_set():
                try:
                    answered.append(int(session.post(f"{api.url}/predict", json=ROW, timeout=5).status_code == 200))
                except requests.RequestException:
                    answered.append(0)

    clients = [threading.Thread(target=client) for _ in range(4)]
    for each in clients:
        each.start()
    try:
        yield answered
    finally:
        ending.set()
        for each in clients:
            each.join()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a model whose columns are of every kind."""
    folder, r, n = tmp_path_factory.mktemp("models"), np.random.default_rng(0), 500
    X = pd.DataFrame(
        {
            "side": pd.Series(r.choice(["heads", "tails", "edge"], n, p=[0.6, 0.3, 0.1])).astype("str"),
            "weight": np.where(r.random(n) < 0.1, np.nan, r.normal(5, 1, n)),
            "count": r.integers(0, 50, n),
            "day": pd.Timestamp("2025-01-01") + pd.to_timedelta(r.integers(0, 300, n), "D"),
            "tossed": pd.Timestamp("2025-01-01") + pd.to_timedelta(r.integers(0, 9999, n), "h"),
            "sure": True,
        }
    )
    y = pd.Series(np.where(r.random(n) < 0.7, "won", "lost"), name="outcome")
    takehome.save_model(DummyClassifier().fit(X, y), X, y, name="Coins", models_dir=folder)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Server]:
    """Give a server over data that an earlier version of the project has made, with neither roles nor tables."""
    folder = tmp_path_factory.mktemp("postgres")
    for path in (folder, *folder.parents[:2]):
        path.chmod(0o755)
    server = Server(folder, free_port())
    server.prepare("")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def api(models: Path, server: Server, free_port: Callable[[], int]) -> Iterator[Api]:
    """Serve the model, with the log on."""
    with Api(models, free_port(), server.port) as api:
        yield api


# What is kept


def test_every_answer_is_kept_with_its_row(api: Api, server: Server) -> None:
    odd = ROW | {"side": "flat", "weight": None}
    answers = api.predict([ROW, odd], **{"X-Request-ID": "a-list"})
    answers.append(api.predict(ROW, **{"X-Request-ID": "alone"}))
    api.predict(ROW, "/predict?log=false", **{"X-Request-ID": "what-if"})
    api.settled()
    kept = server.ask(
        "SELECT row, prediction, probabilities, warnings, request_id, model_version, at > now() - interval '1 minute'"
        " FROM predictions WHERE request_id = ANY(%s) ORDER BY id",
        ["a-list", "alone", "what-if"],
    )
    version = requests.get(f"{api.url}/ready", timeout=PATIENCE).json()["version"]
    assert [row[4:] for row in kept] == [("a-list", version, True)] * 2 + [("alone", version, True)]
    found = sorted(({"prediction": p, "probabilities": s, "warnings": w} for _, p, s, w, *_ in kept), key=json.dumps)
    assert found == sorted(answers, key=json.dumps)
    assert sorted(row[0]["side"] for row in kept) == ["flat", "heads", "heads"]
    assert {row[0]["weight"] for row in kept} == {5.5, None}


def test_few_and_many_rows_are_kept_side_by_side_and_a_known_row_as_often_as_it_is_sent(
    api: Api, server: Server
) -> None:
    before = api.settled()
    sent = [[ROW] * 700 if i % 5 == 0 else ROW | {"weight": 5.0 + i % 2} for i in range(60)]
    headers = {"X-Request-ID": "side-by-side"}
    with ThreadPoolExecutor(8) as clients:
        list(clients.map(lambda rows: api.predict(rows, **headers), sent))
    number = 12 * 700 + 48
    assert api.settled() == before | {"logged": before["logged"] + number}
    kept = server.ask(
        "SELECT count(*), count(DISTINCT id), bool_and(substr(id::text, 15, 1) = '7') FROM predictions"
        " WHERE request_id = 'side-by-side'"
    )
    assert kept == [(number, number, True)]
    weights = server.ask(
        "SELECT row ->> 'weight', count(*) FROM predictions WHERE request_id = 'side-by-side' GROUP BY 1 ORDER BY 1"
    )
    assert weights == [("5.0", 24), ("5.5", 12 * 700), ("6.0", 24)]


def test_text_that_postgresql_cannot_hold_is_kept_all_the_same(api: Api, server: Server) -> None:
    before = api.settled()
    sides = ["heads", "nul\0here", "back\\u0000slash", "tab\tline\nquote\"'\\N", "grüß 🪙", "x" * 1_000_000]
    api.predict([ROW | {"side": side} for side in sides], **{"X-Request-ID": "odd"})
    after = api.settled()
    kept = {row for (row,) in server.ask("SELECT row ->> 'side' FROM predictions WHERE request_id = 'odd'")}
    assert kept == {side.replace("\0", "\ufffd") for side in sides}
    assert after["logged"] - before.get("logged", 0) == len(sides)


def test_row_that_postgresql_refuses_does_not_take_its_neighbours_along(api: Api, server: Server) -> None:
    before = api.settled()
    server.ask("ALTER TABLE predictions ADD CONSTRAINT no_edge CHECK (row ->> 'side' <> 'edge') NOT VALID")
    api.predict([ROW | {"side": "edge" if i == 70 else "tails"} for i in range(100)], **{"X-Request-ID": "poison"})
    after = api.settled()
    server.ask("ALTER TABLE predictions DROP CONSTRAINT no_edge")
    assert after["logged"] - before["logged"] == 99
    assert after["dropped"] - before["dropped"] == 1
    assert server.ask("SELECT count(*) FROM predictions WHERE request_id = 'poison'") == [(99,)]


def test_log_can_be_turned_off(models: Path, server: Server, free_port: Callable[[], int]) -> None:
    with Api(models, free_port(), server.port, PREDICTION_LOG="off") as api:
        api.predict(ROW, **{"X-Request-ID": "off"})
        assert not any(api.counts().values())
    assert api.process.returncode in (0, -signal.SIGTERM)
    assert server.ask("SELECT count(*) FROM predictions WHERE request_id = 'off'") == [(0,)]


def test_both_workers_log(models: Path, server: Server, free_port: Callable[[], int]) -> None:
    sent: set[str] = set()

    def ask(_: int) -> str:
        reply = requests.post(f"{api.url}/predict", json=ROW, timeout=PATIENCE)
        assert reply.status_code == 200, reply.text
        return reply.headers["X-Request-ID"]

    def met() -> int:
        return len({request_id[:16] for request_id in sent})  # each begins its numbers with a text of its own

    with Api(models, free_port(), server.port, WEB_CONCURRENCY="2") as api:
        with ThreadPoolExecutor(8) as clients:
            eventually(lambda: sent.update(clients.map(ask, range(40))) or met() == 2)
        eventually(lambda: api.counts() == {"logged": len(sent), "dropped": 0, "buffered": 0})
    kept = server.ask("SELECT count(*) FROM predictions WHERE request_id = ANY(%s)", list(sent))
    assert kept == [(len(sent),)]


def test_rows_of_a_worker_that_was_killed_wait_no_longer(models: Path, free_port: Callable[[], int]) -> None:
    with Api(models, free_port(), free_port(), WEB_CONCURRENCY="2") as api:
        api.predict([ROW] * 5)
        assert api.counts()["buffered"] == 5
        for worker in workers(api.process):
            worker.kill()
        eventually(lambda: api.counts()["buffered"] == 0)


# What befalls PostgreSQL


@contextmanager
def restarted(server: Server) -> Iterator[None]:
    server.stop()
    yield
    server.start()


@contextmanager
def killed(server: Server) -> Iterator[None]:
    server.stop(signal.SIGKILL)
    yield
    server.start()


@contextmanager
def paused(server: Server) -> Iterator[None]:
    server.send(signal.SIGSTOP)
    yield
    server.send(signal.SIGCONT)


@contextmanager
def locked(server: Server) -> Iterator[None]:
    address = f"host=127.0.0.1 port={server.port} user=local dbname=local"
    with closing(psycopg2.connect(address)) as connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLE predictions IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()


@contextmanager
def forbidden(server: Server) -> Iterator[None]:
    server.ask("REVOKE INSERT ON predictions FROM api")
    yield
    server.ask("GRANT INSERT ON predictions TO api")


@pytest.mark.slow
@pytest.mark.parametrize("fault", [restarted, killed, paused, locked, forbidden])
def test_predictions_go_on_and_the_log_catches_up(api: Api, server: Server, fault: Any) -> None:
    before, rows = api.settled(), server.ask("SELECT count(*) FROM predictions")[0][0]
    with load(api) as answered:
        time.sleep(0.5)
        with fault(server):
            time.sleep(1.5)
        time.sleep(0.5)
    after = api.settled()
    assert all(answered)
    assert after["dropped"] == before["dropped"]
    assert after["logged"] - before["logged"] == len(answered)
    assert server.ask("SELECT count(*) FROM predictions")[0][0] - rows == len(answered)


@pytest.mark.slow
def test_full_buffer_drops_and_counts(api: Api, server: Server) -> None:
    before, rows = api.settled(), server.ask("SELECT count(*) FROM predictions")[0][0]
    server.send(signal.SIGSTOP)
    for _ in range(100):
        api.predict(ROW | {"side": "x" * 900_000})
    held = eventually(lambda: (found := api.counts())["dropped"] > before["dropped"] and found)
    server.send(signal.SIGCONT)
    after = api.settled()
    assert sum(held.values()) - sum(before.values()) == sum(after.values()) - sum(before.values()) == 100
    assert after["dropped"] > before["dropped"]
    kept = after["logged"] - before["logged"]
    assert server.ask("SELECT count(*) FROM predictions")[0][0] - rows == kept >= 74  # 64 MiB hold as many


@pytest.mark.slow
def test_dropped_tables_come_back_at_the_next_start(api: Api, server: Server) -> None:
    server.ask("DROP SCHEMA public CASCADE")
    before = api.counts()
    api.predict([ROW] * 5, **{"X-Request-ID": "homeless"})
    eventually(lambda: 'takehome_log_failures_total{reason="' in requests.get(f"{api.url}/metrics", timeout=5).text)
    assert api.counts()["logged"] == before["logged"]
    server.stop()
    server.start()
    assert api.settled()["logged"] - before["logged"] == 5
    assert server.ask("SELECT count(*) FROM predictions WHERE request_id = 'homeless'") == [(5,)]
    assert server.ask("SELECT count(*) > 0, sum(rows) > 0 FROM drift", user="page") == [(True, True)]


@pytest.mark.slow
def test_what_a_killed_api_counted_as_logged_is_there(
    models: Path, server: Server, free_port: Callable[[], int]
) -> None:
    server.stop()
    api = Api(models, free_port(), server.port)  # no database at its start
    api.predict([ROW] * 3)
    server.start()
    assert api.settled() == {"logged": 3, "dropped": 0, "buffered": 0}
    rows, counted = server.ask("SELECT count(*) FROM predictions")[0][0], 3
    with load(api):
        end = time.monotonic() + 2
        while time.monotonic() < end:
            counted = api.counts()["logged"]
        api.process.kill()
        api.process.wait()
    assert counted > 3
    assert server.ask("SELECT count(*) FROM predictions")[0][0] - rows >= counted - 3


# Who may do what

FORBIDDEN = [
    "SELECT * FROM mine",
    "INSERT INTO mine VALUES (1)",
    "UPDATE predictions SET request_id = ''",
    "DELETE FROM predictions",
    "TRUNCATE model_profiles",
    "DROP TABLE predictions",
    "ALTER TABLE predictions DISABLE TRIGGER ALL",
    "CREATE TABLE own (a int)",
    "CREATE TEMPORARY TABLE own (a int)",
    "CREATE SCHEMA own",
    "CREATE EXTENSION hstore",
    "COPY predictions FROM PROGRAM 'true'",
    "COPY (SELECT 1) TO PROGRAM 'cat'",
    "COPY (SELECT 1) TO '/tmp/own'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT lo_creat(-1)",
    "SELECT lo_from_bytea(0, 'x')",
    "CREATE ROLE another",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "SET ROLE local",
    "SET SESSION AUTHORIZATION postgres",
    "SELECT pg_reload_conf()",
]


@pytest.fixture(scope="module")
def mine(server: Server) -> None:
    """Make a table as a candidate does."""
    server.ask("CREATE TABLE IF NOT EXISTS mine (a int)")


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize("statement", [*FORBIDDEN, "SELECT * FROM predictions", "TABLE drift"])
def test_api_may_only_insert(server: Server, statement: str) -> None:
    with pytest.raises((errors.InsufficientPrivilege, errors.UndefinedFile, errors.FeatureNotSupported)):
        server.ask(statement, user="api")


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize("statement", [*FORBIDDEN[1:], "INSERT INTO model_profiles VALUES ('x', 0, 'y', '{}')"])
def test_page_may_only_read(server: Server, statement: str) -> None:
    with pytest.raises((errors.InsufficientPrivilege, errors.UndefinedFile, errors.FeatureNotSupported)):
        server.ask(f"SET transaction_read_only = off; {statement}", user="page")


def test_page_reads_everything_without_end_for_five_seconds_at_most(server: Server) -> None:
    server.ask("TABLE mine", user="page")
    assert server.ask("SHOW transaction_read_only", user="page") == [("on",)]
    assert server.ask("SHOW statement_timeout", user="page") == [("5s",)]


@pytest.mark.parametrize("user, database", [("api", "postgres"), ("page", "template1"), ("postgres", "local")])
def test_no_way_round_by_another_database_or_as_superuser(server: Server, user: str, database: str) -> None:
    with pytest.raises(psycopg2.OperationalError, match=r"pg_hba\.conf rejects"):
        server.ask("SELECT 1", user=user, database=database)


def test_data_file_called_predictions_leaves_the_log_alone(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "predictions.csv").write_text("a\n1\n")
    for name, value in {"HOST": "127.0.0.1", "PORT": str(server.port), "USER": "local", "DATABASE": "local"}.items():
        monkeypatch.setenv(f"PG{name}", value)
    with pytest.raises(TakehomeError, match=r"'predictions' in PostgreSQL did not come from a file.*Rename the file"):
        load_static(tmp_path)


# Drift


def psi(profile: dict[str, Any], sent: list[Any]) -> float:
    """Return the population stability index, by numpy."""
    present = [value for value in sent if value is not None]
    if "values" in profile:
        counts = [present.count(value) for value in profile["values"]]
        counts.append(len(present) - sum(counts))
    else:
        kind = "datetime64[us]" if isinstance(profile["edges"][0], str) else "float64"
        edges, values = (
            np.array([str(v).replace("+00:00", "") for v in some], kind).astype("float64")
            for some in (profile["edges"], present)
        )
        counts = [*np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0], 0]
    expected = np.maximum([profile["missing"], *profile["shares"], profile.get("other", 0)], 1e-4)
    actual = np.maximum(np.array([len(sent) - len(present), *counts]) / len(sent), 1e-4)
    return float(((actual - expected) * np.log(actual / expected)).sum())


def test_drift_is_the_population_stability_index(api: Api, server: Server, models: Path) -> None:
    api.settled()
    server.ask("TRUNCATE predictions")
    r = np.random.default_rng(1)
    rows = [
        {
            "side": str(r.choice(["heads", "tails", "rim"])),
            "weight": None if r.random() < 0.3 else float(r.normal(6, 2)),
            "count": int(r.integers(-5, 50)),
            "day": str(pd.Timestamp("2025-05-01") + pd.Timedelta(days=int(r.integers(0, 500))))[:10],
            "tossed": (pd.Timestamp("2025-05-01") + pd.Timedelta(hours=int(r.integers(0, 9999)))).isoformat(),
            "sure": bool(r.random() < 0.5),
        }
        for _ in range(2_000)
    ]
    api.predict(rows)
    api.settled()
    metadata = takehome.load_model(models_dir=models).metadata
    found = {column: (version, n, index) for version, column, n, index in server.ask("TABLE drift", user="page")}
    assert list(found) and set(found) == set(ROW)
    for column, (version, n, index) in found.items():
        assert (version, n) == (metadata.version, 2_000)
        assert index == pytest.approx(psi(metadata.profile[column], [row[column] for row in rows])), column
    daily = server.ask("SELECT sum(predictions), sum(with_warnings) > 1000 FROM predictions_daily", user="page")
    assert daily == [(2_000, True)]
