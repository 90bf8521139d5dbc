"""A table of PostgreSQL in parts: neighbouring pages, in the order in which the rows lie."""

from contextlib import closing
from dataclasses import dataclass
from difflib import get_close_matches

import psycopg2
import pyarrow as pa
from psycopg2 import extensions, sql

from takehome import tables
from takehome.database import find_table, tables_of
from takehome.errors import TakehomeError
from takehome.scanning.scheme import Scheme, changed
from takehome.server import connect

PAGES = 4096  # of 8 kB, in a part


@dataclass(frozen=True)
class TablePart:
    """The rows on the pages from `first` to `stop`, or on all that follow."""

    table: str
    first: int
    stop: int | None

    def read(self, scheme: Scheme, columns: list[str]) -> pa.Table:
        """Return the rows with the types of the whole scan."""
        where = sql.SQL("ctid >= {}::tid").format(sql.Literal(f"({self.first},0)"))
        if self.stop is not None:
            where += sql.SQL(" AND ctid < {}::tid").format(sql.Literal(f"({self.stop},0)"))
        try:
            with closing(connect()) as connection, connection.cursor() as cursor:
                found = tables.read(cursor, sql.Identifier(self.table), where)
                return pa.table({name: found[name].cast(scheme.types[name]) for name in columns})
        except (pa.ArrowException, psycopg2.Error, KeyError) as error:
            raise TakehomeError(changed(f"table '{self.table}'", str(error).strip().splitlines()[0])) from error

    @property
    def path(self) -> str:
        """What a message calls it."""
        return f"table '{self.table}'"


def survey(name: str) -> tuple[Scheme, list[TablePart]]:
    """Ask the server for the columns of a table, and which have missing values.

    Raises
    ------
    TakehomeError
        No server answers, it has no such table, or it is a view.
    """
    with closing(connect()) as connection:
        target = find_table(connection, name)
        if target is None:
            raise TakehomeError(_unknown(name, tables_of(connection)))
        with connection.cursor() as cursor:
            pages = _pages(cursor, target)
            types = tables.types(cursor, target)
            asked = sql.SQL(", ").join(sql.SQL("bool_or({} IS NULL)").format(sql.Identifier(one)) for one in types)
            cursor.execute(sql.SQL("SELECT {} FROM {}").format(asked, target))
            gaps = [one for one, found in zip(types, cursor.fetchall()[0], strict=True) if found]
    starts = range(0, max(pages, 1), PAGES)
    parts = [TablePart(target.strings[0], at, at + PAGES if at != starts[-1] else None) for at in starts]
    return Scheme(types, frozenset(gaps)), parts


def _pages(cursor: extensions.cursor, target: sql.Identifier) -> int:
    cursor.execute(
        "SELECT relkind, pg_relation_size(oid) / 8192 FROM pg_class WHERE oid = %s::regclass",
        [target.as_string(cursor)],
    )
    kind, pages = cursor.fetchall()[0]
    if kind not in ("r", "m"):
        raise TakehomeError(
            f"'{target.strings[0]}' is no plain table and has no pages to read in parts. "
            "Make one of it: CREATE TABLE … AS …, or a materialized view."
        )
    return int(pages)


def _unknown(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, 1)
    hint = f"Did you mean '{near[0]}'?" if near else f"There is: {', '.join(sorted(known)) or 'nothing yet'}."
    return f"PostgreSQL has no table '{name}'. {hint}"
