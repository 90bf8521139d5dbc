"""The tables and views that the page may read."""

from dataclasses import dataclass

import streamlit as st
from psycopg2 import sql

from page.database import Failed, Found
from page.store import database

PREVIEW_ROWS = 20
# Beyond this a count takes longer than a reader waits; PostgreSQL's estimate does.
COUNTED = 10_000_000
KNOWN = """
SELECT n.nspname, c.relname, c.reltuples::bigint, c.relkind::text,
  (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
ORDER BY c.relkind IN ('v', 'm'), n.nspname <> 'public', n.nspname, c.relname LIMIT 200
"""


@dataclass(frozen=True)
class Table:
    """A table or view; `rows` is -1 where nobody has counted."""

    schema: str
    relation: str
    rows: int
    columns: int
    view: bool

    @property
    def name(self) -> str:
        """Name it as one writes it, with its schema where that is not `public`."""
        return self.relation if self.schema == "public" else f"{self.schema}.{self.relation}"

    @property
    def words(self) -> str:
        """Say how many rows it has."""
        if self.view:
            return "a view"
        return f"{'about ' if self.rows > COUNTED else ''}{self.rows:,}" if self.rows >= 0 else "not counted"


@st.cache_data(ttl=20, show_spinner=False)
def known() -> list[Table] | Failed:
    """List the tables, then the views, with their rows counted."""
    found = database().ask(KNOWN)
    if isinstance(found, Failed):
        return found
    return [_table(*row) for row in found.rows]


def preview(table: Table) -> Found | Failed:
    """Fetch the first rows."""
    return database().ask(sql.SQL("SELECT * FROM {} LIMIT {}").format(_identifier(table), sql.Literal(PREVIEW_ROWS)))


def quoted(table: Table) -> str:
    """Name the table so that PostgreSQL reads it as it is written."""
    plain = table.name.replace("_", "").replace(".", "").isalnum() and table.name.islower() and table.name.isascii()
    parts = [table.schema, table.relation] if table.schema != "public" else [table.relation]
    return table.name if plain else ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def _table(schema: str, relation: str, estimate: int, kind: str, columns: int) -> Table:
    table = Table(schema, relation, estimate, columns, kind in ("v", "m"))
    if table.view or estimate > COUNTED:
        return table
    counted = database().ask(sql.SQL("SELECT count(*) FROM {}").format(_identifier(table)))
    rows = counted.rows[0][0] if isinstance(counted, Found) else estimate
    return Table(schema, relation, rows, columns, table.view)


def _identifier(table: Table) -> sql.Composable:
    return sql.Identifier(table.schema, table.relation)
