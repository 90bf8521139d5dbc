"""PostgreSQL: files become tables, tables become frames, and nothing is lost or invented on the way."""

import csv
import datetime as dt
import gzip
import json
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pandas as pd
import psycopg2
import pyarrow as pa
import pyarrow.parquet
import pytest
import takehome
from frames import ODD_TEXTS, frames, odd_file
from hypothesis import HealthCheck, given, settings
from psycopg2.extensions import connection as Connection  # noqa: N812
from takehome.database import engine, load_static, read_table
from takehome.reading import read_arrow
from takehome.schema import RowSchema

REAL = Path(os.environ.get("REAL_BIRTHS", "/work/shared/data/births.csv.gz"))


@pytest.fixture
def static(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty static folder that is the one in force."""
    monkeypatch.setenv("STATIC_DIR", str(tmp_path))
    return tmp_path


def ask(database: Connection, question: str) -> list[tuple]:
    """Return the rows of a query."""
    with database.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchall()


def do(database: Connection, command: str) -> None:
    """Run a command that gives no rows."""
    with database.cursor() as cursor:
        cursor.execute(command)


@pytest.mark.parametrize(("mark", "ending"), [("", "\n"), ("", "\r\n"), ("\ufeff", "\n"), ("\ufeff", "\r\n")])
def test_pandas_postgresql_and_the_api_read_the_same(
    database: Connection, static: Path, mark: str, ending: str
) -> None:
    (static / "odd.csv").write_bytes((mark + odd_file(ending)).encode())
    load_static()
    from_file, from_table = takehome.read_csv(static / "odd.csv"), read_table("odd")
    pd.testing.assert_frame_equal(from_file, from_table)
    assert from_file["texts"].tolist()[: len(ODD_TEXTS)] == ODD_TEXTS
    assert from_file["texts"].isna().sum() == ask(database, "SELECT count(*) FROM odd WHERE texts IS NULL")[0][0] == 2
    assert ask(database, "SELECT count(*) FROM odd WHERE texts = 'None'")[0][0] == 1
    assert str(from_file["gaps"].dtype) == "Int64"
    assert str(from_file["maybe"].dtype) == "boolean"
    assert str(from_file["moment"].dtype) == "datetime64[us]"
    sent = from_table.drop(columns="empty")
    schema = RowSchema.from_frame(sent)
    received = schema.to_frame(json.loads(json.dumps(schema.to_rows(sent))))
    assert [cell if pd.notna(cell) else None for cell in received["texts"]] == [*ODD_TEXTS, None, None]
    assert received["codes"].tolist() == from_file["codes"].tolist()
    assert schema == RowSchema.from_frame(from_file.drop(columns="empty"))


def test_types_in_postgresql(database: Connection, static: Path) -> None:
    (static / "odd.csv").write_text(odd_file())
    load_static()
    kinds = ask(database, "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'odd'")
    assert dict(kinds) == {
        "texts": "text",
        "codes": "text",
        "whole": "bigint",
        "gaps": "bigint",
        "big": "bigint",
        "decimal": "double precision",
        "yes": "boolean",
        "maybe": "boolean",
        "day": "date",
        "moment": "timestamp without time zone",
        "zoned": "timestamp with time zone",
        "empty": "double precision",
    }


def test_unchanged_file_is_skipped_and_changed_file_is_loaded_again(
    database: Connection, static: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = static / "loans.csv"
    file.write_text("a\n1\n2\n")
    load_static()
    assert "loans: 2 rows from loans.csv" in capsys.readouterr().out
    do(database, "CREATE VIEW doubled AS SELECT a * 2 AS b FROM loans")
    load_static()
    assert "loans: unchanged" in capsys.readouterr().out
    file.write_text("a\n5\n")
    load_static()
    assert ask(database, "SELECT * FROM doubled") == [(10,)]
    file.write_text("a,b\n5,x\n")
    with pytest.raises(takehome.TakehomeError, match=r"loans\.csv: its columns changed, and view doubled depends on"):
        load_static()
    assert ask(database, "SELECT * FROM loans") == [(5,)]
    do(database, "DROP VIEW doubled")
    load_static()
    assert ask(database, "SELECT * FROM loans") == [(5, "x")]


def test_own_table_is_never_touched_and_others_are_still_loaded(database: Connection, static: Path) -> None:
    do(database, "CREATE TABLE mine (x int); INSERT INTO mine VALUES (7); CREATE VIEW seen AS SELECT 1 AS one")
    for name in ("mine", "seen", "zebra"):
        (static / f"{name}.csv").write_text("a\n1\n")
    (static / "broken.csv").write_text("a,b\n1,2\n1,2,3\n")
    with pytest.raises(takehome.TakehomeError) as caught:
        load_static()
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert "broken.csv, line 3: 3 fields" in lines[0]
    assert "'mine' in PostgreSQL did not come from a file" in lines[1]
    assert "'seen' in PostgreSQL did not come from a file" in lines[2]
    assert ask(database, "SELECT x FROM mine") == [(7,)]
    assert ask(database, "SELECT a FROM zebra") == [(1,)]


def test_names_of_files_and_columns(database: Connection, static: Path) -> None:
    (static / "My data (2).csv").write_text('a b,"q""q",select,Ünï,%s\n1,2,3,4,5\n')
    (static / "2024.CSV").write_text("a\n1\n")
    (static / ".hidden.csv").write_text("a\n1\n")
    (static / "notes.txt").write_text("a\n1\n")
    with gzip.open(static / "twin.csv.gz", "wt") as file:
        file.write("a\n1\n")
    (static / "twin.csv").write_text("a\n2\n")
    (static / "long.csv").write_text("x" * 64 + "\n1\n")
    with pytest.raises(takehome.TakehomeError) as caught:
        load_static()
    both, long = str(caught.value).splitlines()
    assert "twin.csv" in both
    assert "twin.csv.gz" in both
    assert "long.csv: column 'xxx" in long
    tables = ask(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    assert [name for (name,) in tables] == ["my_data_2", "t_2024"]
    assert list(read_table("My data (2)").columns) == ["a b", 'q"q', "select", "Ünï", "%s"]


@pytest.mark.usefixtures("database")
def test_nul_and_impossible_dates_are_refused_by_row_and_column(static: Path) -> None:
    (static / "nul.csv").write_bytes(b"a,b\nx,y\nx,y\0z\n")
    (static / "zero.csv").write_text("a\n2024-01-01\n0000-01-01\n")
    with pytest.raises(takehome.TakehomeError) as caught:
        load_static()
    nul, zero = str(caught.value).splitlines()
    assert nul.endswith(
        "nul.csv: row 2, column 'b': a NUL character, which PostgreSQL can't hold. Remove it in the file."
    )
    assert "line 2, column a" in zero


def test_parquet(database: Connection, static: Path) -> None:
    columns = {
        "small": pa.array([1, None], pa.int16()),
        "huge": pa.array([2**64 - 1, 0], pa.uint64()),
        "money": pa.array([Decimal("1.25"), None], pa.decimal128(10, 2)),
        "kind": pa.array(["a", "b"]).dictionary_encode(),
        "when": pa.array([dt.datetime(2024, 1, 1), None], pa.timestamp("ns")),
        "there": pa.array([dt.datetime(2024, 1, 1, tzinfo=dt.UTC), None], pa.timestamp("ms", "Europe/Berlin")),
        "text": pa.array(["", None], pa.large_string()),
    }
    pa.parquet.write_table(pa.table(columns), static / "good.parquet")
    pa.parquet.write_table(pa.table({"ok": [1], "points": [[1, 2]]}), static / "lists.parquet")
    with pytest.raises(takehome.TakehomeError, match=r"lists\.parquet: column 'points': type list"):
        load_static()
    when, there = dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    rows = ask(database, 'SELECT small, huge, money, kind, "when", there, text FROM good ORDER BY small')
    assert rows == [(1, 2**64 - 1, Decimal("1.25"), "a", when, there, ""), (None, 0, None, "b", None, None, None)]


def test_table_without_server_is_read_from_the_file(
    static: Path, free_port, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PGPORT", str(free_port()))
    (static / "loans.csv").write_text("a\n1\n")
    assert read_table("loans")["a"].tolist() == [1]
    said = capsys.readouterr().out
    assert said.startswith(f"loans: read from {static}/loans.csv, because PostgreSQL at 127.0.0.1:")
    assert said.endswith("can't be used (Connection refused).\n")
    assert said.count("\n") == 1


@pytest.mark.usefixtures("database")
def test_unknown_table_is_told_what_there_is(static: Path) -> None:
    (static / "loans.csv").write_text("a\n1\n")
    load_static()
    with pytest.raises(takehome.TakehomeError, match=r"'loan' is neither a table .* Did you mean 'loans'\?"):
        read_table("loan")
    with pytest.raises(takehome.TakehomeError, match=r"There is: loans\."):
        read_table("something else")


@pytest.mark.usefixtures("database")
def test_engine_speaks_sql() -> None:
    frame = pd.read_sql("SELECT current_user AS who, current_database() AS what", engine())
    assert frame.to_dict("records") == [{"who": "local", "what": "local"}]


def test_over_tcp_nobody_is_superuser(database: Connection, postgres: int) -> None:
    assert ask(database, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == [(False,)]
    with pytest.raises(psycopg2.OperationalError, match="rejects connection"):
        psycopg2.connect(host="127.0.0.1", port=postgres, user="postgres", dbname="local")


def test_killed_load_leaves_the_old_table(database: Connection, static: Path) -> None:
    file = static / "rows.csv"
    file.write_text("a\n" + "1\n" * 1000)
    load_static()
    file.write_text("a\n" + "2\n" * 1_000_000)
    for delay in (0.1, 0.3, 0.6, 0.8, 1.0, 1.2, 1.4):
        command = [sys.executable, "-c", "import takehome.database as d; print(flush=True); d.load_static()"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as loader:
            loader.stdout.readline()
            time.sleep(delay)
            loader.send_signal(signal.SIGKILL)
        assert ask(database, "SELECT min(a) = max(a), count(*) FROM rows")[0] in [(True, 1000), (True, 1_000_000)]
    load_static()
    assert ask(database, "SELECT max(a), count(*) FROM rows") == [(2, 1_000_000)]


def test_lost_connection_leaves_the_old_table(database: Connection, static: Path) -> None:
    file = static / "rows.csv"
    file.write_text("a\n1\n")
    load_static()
    file.write_text("a\n" + "2\n" * 1_000_000)
    with ThreadPoolExecutor() as pool:
        loading = pool.submit(load_static)
        while not ask(database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY%'"):
            time.sleep(0.01)
        with pytest.raises(takehome.TakehomeError, match=r"rows\.csv: PostgreSQL went away"):
            loading.result()
    assert ask(database, "SELECT a FROM rows") == [(1,)]


@pytest.mark.usefixtures("database")
def test_table_whose_file_has_changed_is_read_from_the_file(static: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (static / "rows.csv").write_text("a\n1\n")
    load_static()
    assert read_table("rows")["a"].tolist() == [1]
    (static / "rows.csv").write_text("a\n2\n")
    assert read_table("rows")["a"].tolist() == [2]
    assert "the table in PostgreSQL is older" in capsys.readouterr().out


@pytest.mark.parametrize("text", ['a,b\n1,2\n3,"x\n4,5\n', 'a,b\n1,2\n3,"x'])
def test_quote_that_is_never_closed_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "cut.csv").write_text(text)
    with pytest.raises(takehome.TakehomeError, match=r"cut.csv, line 3: a quote opens there"):
        takehome.read_csv(tmp_path / "cut.csv")


def test_empty_line_of_a_single_column_is_a_gap(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("a\n1\n\n3\n")
    assert takehome.read_csv(tmp_path / "one.csv")["a"].isna().tolist() == [False, True, False]


def test_two_loaders_at_once_load_once(database: Connection, static: Path) -> None:
    (static / "rows.csv").write_text("a\n" + "2\n" * 100_000)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(load_static, [static, static])
    assert ask(database, "SELECT count(*) FROM rows") == [(100_000,)]


@pytest.mark.slow
def test_real_births(database: Connection, static: Path) -> None:
    if not REAL.exists():
        pytest.skip("real births: the file is not here (REAL_BIRTHS names it)")
    (static / "births.csv.gz").symlink_to(REAL)
    load_static()
    table = read_table("births")
    assert len(table) == 3_096_936
    assert ask(database, "SELECT count(*) FROM births WHERE previous_births = 'None'") == [(1_266_413,)]
    pd.testing.assert_frame_equal(table, takehome.read_csv(REAL))


@pytest.mark.usefixtures("postgres")
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frame=frames())
def test_any_frame_comes_back_the_same(static: Path, frame: pd.DataFrame) -> None:
    file = static / "any.csv"
    frame.to_csv(file, index=False, quoting=csv.QUOTE_ALL)  # else pandas leaves a lone CR bare, which ends a line
    expected = takehome.read_csv(file)
    for name, cells in frame.items():
        for before, after in zip(cells, expected[str(name)], strict=True):
            if before is None:
                assert pd.isna(after)
            elif isinstance(after, float):
                assert math.isclose(before if isinstance(before, float) else float(before), after, rel_tol=1e-15)
    drop_any()
    load_static()
    pd.testing.assert_frame_equal(expected, read_table("any"))
    assert read_arrow(file).num_rows == len(frame)


def drop_any() -> None:
    """Make room for the next example."""
    with engine().begin() as connection:
        connection.exec_driver_sql('DROP TABLE IF EXISTS "any"')
