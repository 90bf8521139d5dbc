"""The static folder into PostgreSQL: a table a file, loaded again only when the file has changed."""

import hashlib
import time
from contextlib import closing
from pathlib import Path

import psycopg2
import pyarrow as pa
from psycopg2 import extensions, sql
from psycopg2.errors import DependentObjectsStillExist
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from takehome import tables
from takehome.errors import TakehomeError
from takehome.metadata import RULE
from takehome.reading import read_arrow
from takehome.server import connect
from takehome.settings import Settings
from takehome.sources import find_sources

_WAIT_SECONDS = 60
_MARK = "takehome: "


def load_static(folder: str | Path | None = None) -> None:
    """Make a table of each CSV, CSV.gz and Parquet file of a folder.

    A file that did not change is skipped, a changed one replaces its table in one transaction, and a table that
    did not come from a file is never touched. A bad file doesn't keep the others out.

    Parameters
    ----------
    folder : the static folder; by default `STATIC_DIR`, else `volumes/static`.

    Raises
    ------
    TakehomeError
        No server answered for a minute, or files could not be loaded: a line each.
    """
    folder, console = Path(folder or Settings().static_dir), Console(soft_wrap=True, highlight=False, markup=False)
    if not folder.is_dir():
        raise TakehomeError(f"{folder}: there is no such folder. Make it, or name another with STATIC_DIR.")
    files, errors = find_sources(folder)
    for name, path in files.items():
        with closing(connect(_WAIT_SECONDS)) as connection:
            try:
                console.print(_load(connection, name, path, console))
            except TakehomeError as error:
                errors.append(str(error))
    if not files and not errors:
        console.print(f"{folder}: no CSV or Parquet file to load.")
    if errors:
        raise TakehomeError("\n".join(errors))


def _load(connection: extensions.connection, name: str, path: Path, console: Console) -> str:
    """Bring one table up to date; return the line that says what was done."""
    try:
        with connection, connection.cursor() as cursor:
            return _update(cursor, name, path, console)
    except psycopg2.Error as error:
        if connection.closed:
            raise TakehomeError(f"{path}: PostgreSQL went away. Start it again, then: takehome load") from error
        where = (error.diag.context or "").splitlines()[:1]
        reason = ", ".join([error.diag.message_primary or str(error).strip().splitlines()[0], *where])
        raise TakehomeError(f"{path}: PostgreSQL refuses it ({reason}). Mend that, then: takehome load") from error


def _update(cursor: extensions.cursor, name: str, path: Path, console: Console) -> str:
    began = time.monotonic()
    cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [_MARK + name])  # against a second loader
    there, comment = _comment(cursor, name)
    mark = mark_of(path)
    if comment == mark:
        return f"{name}: unchanged since it was loaded from {path.name}"
    if there and not comment.startswith(_MARK):
        raise TakehomeError(
            f"{path}: '{name}' in PostgreSQL did not come from a file, and is left alone. Rename the file or the table."
        )
    table = read_arrow(path)
    try:
        _replace(cursor, name, table, console)
    except TakehomeError as error:
        raise TakehomeError(f"{path}: {error}") from error
    cursor.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(_target(name), sql.Literal(mark)))
    cursor.execute(sql.SQL("ANALYZE {}").format(_target(name)))
    return f"{name}: {table.num_rows:,} rows from {path.name} in {time.monotonic() - began:.1f} s"


def mark_of(path: Path) -> str:
    """Return the comment of a table that holds what is in a file now."""
    return f"{_MARK}{path.name} sha256={_sha256(path)} rule={RULE}"


def outdated(connection: extensions.connection, name: str, path: Path) -> bool:
    """Tell whether a table was loaded from a file that has changed since."""
    with connection.cursor() as cursor:
        _, comment = _comment(cursor, name)
    return comment.startswith(_MARK) and comment != mark_of(path)


def _comment(cursor: extensions.cursor, name: str) -> tuple[bool, str]:
    """Return whether anything has the table's name, and its comment if that is a table."""
    cursor.execute(
        "SELECT coalesce(obj_description(oid, 'pg_class'), '') FROM pg_class"
        " WHERE relname = %s AND relnamespace = 'public'::regnamespace",
        [name],
    )
    rows = cursor.fetchall()
    return bool(rows), rows[0][0] if rows else ""


def _replace(cursor: extensions.cursor, name: str, table: pa.Table, console: Console) -> None:
    wanted, target = tables.column_types(table), _target(name)
    if list(_columns(cursor, name).items()) == list(wanted.items()):  # emptied, not dropped: views on it stay
        cursor.execute(sql.SQL("TRUNCATE {}").format(target))
    else:
        _create(cursor, target, wanted)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=table.num_rows)
        tables.write(cursor, target, table, lambda rows: progress.advance(task, rows))


def _create(cursor: extensions.cursor, target: sql.Identifier, wanted: dict[str, str]) -> None:
    columns = [sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in wanted.items()]
    try:
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(target))
    except DependentObjectsStillExist as error:
        depends = (error.diag.message_detail or "").splitlines()[0]
        raise TakehomeError(f"its columns changed, and {depends}. Drop that first, then load again.") from error
    cursor.execute(sql.SQL("CREATE TABLE {} ({})").format(target, sql.SQL(", ").join(columns)))


def _columns(cursor: extensions.cursor, name: str) -> dict[str, str]:
    cursor.execute(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = to_regclass(%s)"
        " AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        [_target(name).as_string(cursor)],
    )
    return dict(cursor.fetchall())


def _target(name: str) -> sql.Identifier:
    return sql.Identifier("public", name)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
