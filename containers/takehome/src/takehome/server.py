"""Where PostgreSQL answers, and a connection to it."""

import time

import psycopg2
from psycopg2 import extensions
from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL, Engine, create_engine

from takehome.errors import TakehomeError


class Server(BaseSettings):
    """Where PostgreSQL answers: `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD`, `PGDATABASE`."""

    model_config = SettingsConfigDict(env_prefix="PG")

    host: str = "127.0.0.1"
    port: int = 5432
    user: str = "local"
    password: str | None = None
    database: str = "local"

    def url(self) -> URL:
        """Return the address for SQLAlchemy."""
        return URL.create("postgresql+psycopg2", self.user, self.password, self.host, self.port, self.database)


def server() -> Server:
    """Return the settings from the environment.

    Raises
    ------
    TakehomeError
        A variable has a value that can't be.
    """
    try:
        return Server()
    except ValidationError as error:
        first = error.errors()[0]
        raise TakehomeError(f"PG{str(first['loc'][0]).upper()}={first['input']}: {first['msg']}. Correct it.") from None


def engine() -> Engine:
    """Return a SQLAlchemy engine for the database that the `PG*` variables name, by default the local one."""
    return create_engine(server().url())


def connect(wait: float = 0) -> extensions.connection:
    """Connect to PostgreSQL.

    Parameters
    ----------
    wait : seconds to go on trying while no server takes the connection.

    Raises
    ------
    TakehomeError
        No server took the connection; the message names address and reason.
    """
    at, deadline = server(), time.monotonic() + wait
    while True:
        try:
            return psycopg2.connect(
                host=at.host, port=at.port, user=at.user, password=at.password, dbname=at.database, connect_timeout=3
            )
        except psycopg2.OperationalError as error:
            if time.monotonic() >= deadline:
                reason = str(error).strip().splitlines()[0].split("failed: ")[-1]
                raise TakehomeError(
                    f"PostgreSQL at {at.host}:{at.port} can't be used ({reason}). "
                    "Start it: docker compose up, or make local"
                ) from error
        time.sleep(0.3)
