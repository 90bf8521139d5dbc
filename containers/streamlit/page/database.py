"""PostgreSQL, as a role that may only read; each call gives a typed result, and none raises."""

import re
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import errors, sql
from psycopg2.extras import register_default_json, register_default_jsonb

from page.settings import Settings

SECONDS = 5
OPTIONS = f"-c default_transaction_read_only=on -c statement_timeout={SECONDS}s"
# What gives many rows is fetched through a cursor, so that no more than the first of them come here.
_ROWS = re.compile(r"\s*(\(|(select|with|values|table)\b)", re.IGNORECASE)
# What holds no end of a statement: literals, names, comments. Else a semicolon.
_PARTS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|(\$\w*\$).*?\1|(?P<end>;)", re.DOTALL)


@dataclass(frozen=True)
class Found:
    """The first rows of an answer; `more` says that there were others."""

    columns: list[str]
    rows: list[tuple]
    more: bool = False


@dataclass(frozen=True)
class Failed:
    """Why there is no answer, in one line."""

    reason: str


class Database:
    """The database that the settings name."""

    def __init__(self, settings: Settings) -> None:
        self._place = settings.pghost and {
            "host": settings.pghost,
            "port": settings.pgport,
            "user": settings.pguser,
            "dbname": settings.pgdatabase,
        }

    def ask(self, query: str | sql.Composable, values: Sequence[Any] | None = None, most: int = 1000) -> Found | Failed:
        """Run one statement, for `SECONDS` at most, and fetch the first `most` rows of its answer."""
        if not self._place:
            return Failed("No database is set. PGHOST names it.")
        try:
            connection = psycopg2.connect(**self._place, connect_timeout=3, options=OPTIONS)
        except psycopg2.OperationalError as error:
            reason = str(error).strip().splitlines()[0].rpartition(": ")[2]
            return Failed(f"PostgreSQL at {self._place['host']}:{self._place['port']} can't be reached: {reason}.")
        try:
            with closing(connection):
                for register in (register_default_json, register_default_jsonb):
                    register(connection, loads=str)  # as PostgreSQL writes it
                return _run(connection, query, values, most)
        except (psycopg2.Error, ValueError) as error:
            return Failed(_reason(error))


def single(query: str) -> str | None:
    """Give the statement without its last semicolon; None where another one follows."""
    ends = [part.start("end") for part in _PARTS.finditer(query) if part["end"]]
    if not ends:
        return query
    rest = re.sub(r"--[^\n]*|/\*.*?\*/|[\s;]", "", query[ends[0] :], flags=re.DOTALL)
    return None if rest else query[: ends[0]]


def _run(connection: Any, query: str | sql.Composable, values: Sequence[Any] | None, most: int) -> Found:
    # Also where a statement sets its own timeout.
    watch = threading.Timer(SECONDS + 1, connection.cancel)
    watch.start()
    try:
        text = query if isinstance(query, str) else query.as_string(connection)
        cursor = connection.cursor("page") if _ROWS.match(text) else connection.cursor()
        cursor.execute(text, values)
        rows = cursor.fetchmany(most + 1) if cursor.description or cursor.name else []
        columns = [column.name for column in cursor.description or ()]
        return Found(columns, rows[:most], more=len(rows) > most)
    finally:
        watch.cancel()


def _reason(error: psycopg2.Error | ValueError) -> str:
    match error:
        case errors.QueryCanceled():
            return f"Stopped after {SECONDS} seconds. Ask for less: a WHERE, fewer rows, or a part of the table."
        case errors.InsufficientPrivilege() | errors.ReadOnlySqlTransaction():
            return f"{_one_line(error)} This page may only read; use psql or the notebook to change data."
        case psycopg2.Error():
            return _one_line(error)
        case _:
            return f"The statement can't be sent: {error}."


def _one_line(error: psycopg2.Error) -> str:
    """Give PostgreSQL's message, the line that it is about and its hint."""
    words = error.diag.message_primary or (str(error).strip().splitlines() or ["no reason given"])[0]
    line = re.search(r"^LINE (\d+):", str(error), re.MULTILINE)
    hint = f" {error.diag.message_hint}" if error.diag.message_hint else ""
    return f"{words[:1].upper()}{words[1:]}{f' (line {line[1]})' if line else ''}.{hint}"
