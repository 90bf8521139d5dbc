"""PostgreSQL for a notebook: the engine for SQL, and whole tables as frames."""

from contextlib import closing
from difflib import get_close_matches
from pathlib import Path

import pandas as pd
import psycopg2
import pyarrow as pa
from psycopg2 import extensions, sql

from takehome import tables
from takehome.errors import TakehomeError
from takehome.loader import load_static, outdated
from takehome.reading import read_arrow, to_frame
from takehome.server import connect, engine
from takehome.settings import Settings
from takehome.sources import find_sources, table_name

__all__ = ["engine", "load_static", "read_table"]


def read_table(name: str) -> pd.DataFrame:
    """Read a whole table, with the dtypes that `read_csv` gives for the file it came from.

    Where no server answers, the table is not there, or its file has changed since it was loaded, the file
    `volumes/static/<name>` is read instead, and one printed line says so.

    Parameters
    ----------
    name : a table, or a file of the static folder without its ending.

    Returns
    -------
    (n, k) frame; rows in the order of the file, unless the table was changed since it was loaded.

    Raises
    ------
    TakehomeError
        Neither a table nor a file has that name, or a value in the table has no counterpart in pandas.
    """
    try:
        with closing(connect()) as connection:
            table, known = find_table(connection, name), tables_of(connection)
            newer = _newer_file(connection, table)
            if table and not newer:
                return to_frame(_read(connection, table))
        reason = "the table in PostgreSQL is older" if newer else f"PostgreSQL has no table '{name}'"
    except TakehomeError as error:
        if not isinstance(error.__cause__, psycopg2.OperationalError):
            raise
        known, reason = [], str(error).rsplit(". ", 1)[0]
    path = _file(name, known)
    print(f"{name}: read from {path}, because {reason}.")
    return to_frame(read_arrow(path))


def find_table(connection: extensions.connection, name: str) -> sql.Identifier | None:
    """Return the table of that name, or of the file of that name."""
    with connection.cursor() as cursor:
        for candidate in (name, table_name(name)):
            cursor.execute("SELECT to_regclass(quote_ident(%s)) IS NOT NULL", [candidate])
            if cursor.fetchall()[0][0]:
                return sql.Identifier(candidate)
    return None


def _newer_file(connection: extensions.connection, table: sql.Identifier | None) -> Path | None:
    """Return the file that the table came from, if it has changed since: it may be loading right now."""
    folder = Settings().static_dir
    if table is None or not folder.is_dir():
        return None
    path = find_sources(folder)[0].get(table.strings[0])
    return path if path and outdated(connection, table.strings[0], path) else None


def tables_of(connection: extensions.connection) -> list[str]:
    """Return the names of all tables."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        return [row[0] for row in cursor.fetchall()]


def _read(connection: extensions.connection, table: sql.Identifier) -> pa.Table:
    try:
        with connection.cursor() as cursor:
            return tables.read(cursor, table)
    except (pa.ArrowInvalid, psycopg2.Error) as error:
        reason = str(error).strip().splitlines()[0]
        raise TakehomeError(f"table {table.strings[0]!r} can't be read ({reason}). Try SQL: pd.read_sql.") from error


def _file(name: str, known: list[str]) -> Path:
    folder = Settings().static_dir
    files = find_sources(folder)[0] if folder.is_dir() else {}
    if path := files.get(table_name(name)):
        return path
    near = get_close_matches(name, [*known, *files], 1)
    hint = (
        f"Did you mean '{near[0]}'?" if near else f"There is: {', '.join(sorted({*known, *files})) or 'nothing yet'}."
    )
    raise TakehomeError(f"'{name}' is neither a table in PostgreSQL nor a file in {folder}. {hint}")
