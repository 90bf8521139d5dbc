"""The four services without Docker, on the ports that the containers use."""

import os
import signal
import socket
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import psycopg2
from dotenv import dotenv_values
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from takehome.crew import Crew
from takehome.errors import TakehomeError
from takehome.lock import lock
from takehome.postgres import Cluster, find_cluster
from takehome.project import project
from takehome.settings import is_url

_ROLES = {"python": "local", "fastapi": "api", "streamlit": "page"}


class Settings(BaseSettings):
    """What can be set, under the names of `.env.example`; more is for the services."""

    model_config = SettingsConfigDict(extra="ignore")

    jupyter_port: int = Field(8888, ge=1, le=65535)
    postgres_port: int = Field(5432, ge=1, le=65535)
    api_port: int = Field(8080, ge=1, le=65535)
    streamlit_port: int = Field(8501, ge=1, le=65535)
    postgres_volume: str = "./volumes/postgres"
    models_dir: str = "volumes/models"
    static_dir: Path = Path("volumes/static")
    notebooks_dir: Path = Path("volumes/notebooks")

    def ports(self) -> dict[str, int]:
        """Return the four ports by the variables that set them."""
        return {name.upper(): value for name, value in self.model_dump().items() if name.endswith("_port")}

    def volume(self) -> Path:
        """Return PostgreSQL's volume; the name of a Docker volume means nothing here."""
        return Path(self.postgres_volume if self.postgres_volume.startswith((".", "/", "~")) else "volumes/postgres")


def run() -> None:
    """Serve until Ctrl-C, a signal, or the end of one of the four.

    Raises
    ------
    TakehomeError
        This is no clone of the project, a port is taken, the data folder is in use, or a service has ended.
    """
    root = project()
    settings = _settings(root)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a script's `make local &` would ignore the first
        signal.signal(number, signal.default_int_handler)
    try:
        cluster = find_cluster(root / settings.volume())
        with lock(cluster.data) as held:
            _refuse_taken(settings.ports())
            cluster.prepare(held, (root / "containers" / "postgres" / "schema.sql").read_text())
            with Crew(held) as crew:
                _start(crew, root, settings, cluster, held)
                _watch(crew, settings)
    except KeyboardInterrupt:
        print("Stopped.")


def _settings(root: Path) -> Settings:
    try:
        return Settings(_env_file=root / ".env", _env_ignore_empty=True)  # type: ignore[call-arg]
    except ValidationError as error:
        first = error.errors()[0]
        raise TakehomeError(
            f"{str(first['loc'][0]).upper()}={first['input']}: {first['msg']}. Correct it in .env or the environment."
        ) from None


def _refuse_taken(ports: dict[str, int]) -> None:
    for variable, port in ports.items():
        if _taken(port) or list(ports.values()).count(port) > 1:
            raise TakehomeError(
                f"Port {port} is in use. Stop what uses it (docker compose down?), or choose another: "
                f"{variable}={port + 1} make local, or the same in .env."
            )


def _taken(port: int) -> bool:
    with socket.socket() as ours:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            ours.bind(("127.0.0.1", port))
        except OSError:
            return True
    with socket.socket() as theirs:  # macOS lets two bind where one listens on all addresses
        return theirs.connect_ex(("127.0.0.1", port)) == 0


def _start(crew: Crew, root: Path, settings: Settings, cluster: Cluster, held: int) -> None:
    crew.start(
        "postgres",
        cluster.command(settings.postgres_port),
        env={"PATH": os.environ.get("PATH", "")},
        cwd=cluster.data.parent,
        stop_signal=signal.SIGINT,  # at once: it would wait for its clients at SIGTERM
        identity=cluster.identity(),
        keep=(held,),
    )
    ports = {"python": settings.jupyter_port, "fastapi": settings.api_port, "streamlit": settings.streamlit_port}
    for name, port in ports.items():
        env = _environment(root, settings) | {"PORT": str(port), "PGUSER": _ROLES[name]}
        crew.start(name, [sys.executable, root / "containers" / name / "start.py"], env=env, cwd=root)


def _environment(root: Path, settings: Settings) -> dict[str, str]:
    knobs = {name: value for name, value in dotenv_values(root / ".env").items() if value}
    folders = {name: str(root / getattr(settings, name.lower())) for name in ("STATIC_DIR", "NOTEBOOKS_DIR")}
    models = settings.models_dir if is_url(settings.models_dir) else str(root / settings.models_dir)
    return {
        **knobs,
        **os.environ,
        **folders,
        "MODELS_DIR": models,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
        "HOST": "127.0.0.1",
        "API_URL": f"http://127.0.0.1:{settings.api_port}",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(settings.postgres_port),
        "PGDATABASE": "local",
    }


def _watch(crew: Crew, settings: Settings) -> None:
    ready = False
    while True:
        if member := crew.dead():
            raise TakehomeError(member.last_words())
        if crew.leash_lost():
            raise TakehomeError("The process that guards the services was killed, so they were stopped. Start again.")
        if not ready and (ready := _all_answer(settings)):
            print(_addresses(settings), flush=True)
        time.sleep(0.25)


def _all_answer(settings: Settings) -> bool:
    addresses = (
        f"http://127.0.0.1:{settings.api_port}/ready",
        f"http://127.0.0.1:{settings.jupyter_port}/api",
        f"http://127.0.0.1:{settings.streamlit_port}/_stcore/health",
    )
    return all(_answers(address) for address in addresses) and _database_answers(settings.postgres_port)


def _answers(address: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(address, timeout=2):  # nosec B310
        return True
    return False


def _database_answers(port: int) -> bool:
    with suppress(psycopg2.OperationalError):
        psycopg2.connect(host="127.0.0.1", port=port, user="local", dbname="local", connect_timeout=2).close()
        return True
    return False


def _addresses(settings: Settings) -> str:
    return "\n".join(
        (
            "Ready.",
            f"  JupyterLab   http://127.0.0.1:{settings.jupyter_port}",
            f"  PostgreSQL   postgresql://local@127.0.0.1:{settings.postgres_port}/local",
            f"  API          http://127.0.0.1:{settings.api_port}/docs",
            f"  Page         http://127.0.0.1:{settings.streamlit_port}",
        )
    )
