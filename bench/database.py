"""PostgreSQL for the prediction log, from the same wheel as in local mode."""

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg2
from psycopg2 import extensions
from takehome.crew import Crew
from takehome.lock import lock
from takehome.postgres import find_cluster

from bench.load import LOAD_CORE, pinned
from bench.running import free_port

SCHEMA = Path(__file__).parents[1] / "containers" / "postgres" / "schema.sql"


@contextmanager
def database() -> Iterator[dict[str, str]]:
    """Run an empty PostgreSQL beside the load, which goes first, and give the variables that lead the API to it."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="takehome-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL may have to run as another user
        cluster = find_cluster(Path(folder))
        with lock(cluster.data) as held:
            cluster.prepare(held, SCHEMA.read_text(encoding="utf-8"))
            with Crew(held) as crew:
                crew.start(
                    "postgres",
                    [*pinned(LOAD_CORE), "nice", "-n", "19", *cluster.command(port), "-c", "log_min_messages=panic"],
                    env={"PATH": os.environ["PATH"]},
                    stop_signal=signal.SIGINT,
                    identity=cluster.identity(),
                    keep=(held,),
                )
                yield {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "api", "PGDATABASE": "local"}


def logged(where: dict[str, str]) -> int:
    """Return how many predictions the log holds."""
    return int(ask(where, "SELECT count(*) FROM predictions"))


def ask(where: dict[str, str], query: str) -> Any:
    """Return the one value that a query gives."""
    with _connected(where) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        found = cursor.fetchone()
        return found[0] if found else None


def spent(where: dict[str, str]) -> float:
    """Return the processor time of all processes of the server so far, in seconds."""
    with _connected(where) as connection:
        server = psutil.Process(connection.info.backend_pid).parents()[0]
        total = 0.0
        for one in server.children():
            with suppress(psutil.NoSuchProcess):  # it has ended since: its time is among the server's
                times = one.cpu_times()
                total += times.user + times.system
        own = server.cpu_times()
        return total + own.user + own.system + own.children_user + own.children_system


@contextmanager
def _connected(where: dict[str, str]) -> Iterator[extensions.connection]:
    with closing(
        psycopg2.connect(host=where["PGHOST"], port=where["PGPORT"], user="local", dbname="local")
    ) as connection:
        yield connection
