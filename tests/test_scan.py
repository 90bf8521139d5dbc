"""Data larger than memory: every part follows the one reading rule, and each way to a model says what it is."""

import gzip
import json
import re
import shutil
import signal
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import dask.dataframe as dd
import httpx
import numpy as np
import pandas as pd
import psycopg2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import takehome
from distributed import Client, LocalCluster
from frames import frames, odd_file
from hypothesis import HealthCheck, given, settings
from object_store import ObjectStore
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier, SGDRegressor
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from takehome.scanning import counted, cuts, parquet_file, table

ROWS = 5_000


def births(rows: int = ROWS, seed: int = 1) -> pd.DataFrame:
    """Return rows that repeat: categories with a gap, a few whole numbers with gaps, and two classes."""
    dice = np.random.default_rng(seed)
    age = pd.Series(dice.choice(["Under 15 yrs", "15 to 17 yrs", "50+ yrs"], rows, p=[0.1, 0.6, 0.3]), dtype="str")
    before = pd.Series(dice.integers(0, 4, rows), dtype="Int64").mask(dice.random(rows) < 0.05)
    preterm = dice.random(rows) < 0.1 + 0.2 * (age == "50+ yrs") + 0.05 * before.fillna(0).astype(float)
    care = pd.Series(dice.choice(["None", "Adequate"], rows), dtype="str").mask(dice.random(rows) < 0.02)
    return pd.DataFrame({"age": age, "before": before, "care": care, "preterm": preterm.astype("int64")})


def write_parts(frame: pd.DataFrame, folder: Path, parts: int = 4) -> Path:
    """Write a frame as several CSV files, in order."""
    folder.mkdir(exist_ok=True)
    for i, part in enumerate(np.array_split(np.arange(len(frame)), parts)):
        frame.iloc[part].to_csv(folder / f"part-{i}.csv", index=False)
    return folder


def computed(data: dd.DataFrame) -> pd.DataFrame:
    return data.compute().reset_index(drop=True)


def encoded(last: object) -> Pipeline:
    return make_pipeline(OneHotEncoder(drop="first", handle_unknown="ignore"), last)


def logistic() -> Pipeline:
    return encoded(LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10))


@pytest.fixture
def cut_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut files and tables into many parts."""
    monkeypatch.setattr(cuts, "BLOCK", 100)
    monkeypatch.setattr(parquet_file, "ROWS", 5)
    monkeypatch.setattr(table, "PAGES", 2)


@pytest.mark.usefixtures("cut_small")
@pytest.mark.parametrize(("mark", "ending"), [("", "\n"), ("", "\r\n"), ("\ufeff", "\r\n")])
def test_parts_of_a_file_mean_what_the_file_means(tmp_path: Path, mark: str, ending: str) -> None:
    file = tmp_path / "odd.csv"
    file.write_bytes((mark + odd_file(ending)).encode())
    with gzip.open(tmp_path / "odd.csv.gz", "wb") as packed:
        packed.write(file.read_bytes())
    whole = takehome.read_csv(file)
    data = takehome.scan(file)
    assert data.npartitions > 5
    assert list(data.dtypes) == list(whole.dtypes)
    pd.testing.assert_frame_equal(computed(data), whole)
    packed = takehome.scan(tmp_path / "odd.csv.gz")
    assert packed.npartitions == 1
    pd.testing.assert_frame_equal(computed(packed), whole)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frame=frames(rows=12))
def test_any_frame_is_read_as_read_csv_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frame: pd.DataFrame
) -> None:
    monkeypatch.setattr(cuts, "BLOCK", 20)
    frame.to_csv(tmp_path / "any.csv", index=False, quoting=1)
    pd.testing.assert_frame_equal(
        computed(takehome.scan(tmp_path / "any.csv")), takehome.read_csv(tmp_path / "any.csv")
    )


def test_types_come_from_all_files(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("code,count,share,day,flag\n1,1,1,2024-01-01,true\n2,2,2,2024-01-02,false\n")
    (tmp_path / "2.csv").write_text("flag,day,share,count,code\n,2024-01-03 10:00,0.5,,001\n")
    data = takehome.scan(tmp_path)
    assert data.dtypes.astype(str).to_dict() == {
        "code": "str",
        "count": "Int64",
        "share": "float64",
        "day": "str",
        "flag": "boolean",
    }
    assert computed(data)["code"].tolist() == ["1", "2", "001"]
    assert computed(data)["count"].tolist() == [1, 2, pd.NA]
    assert data[["code"]].compute().columns.tolist() == ["code"]


@pytest.mark.usefixtures("cut_small")
def test_a_folder_a_pattern_and_a_list_of_files(tmp_path: Path) -> None:
    frame = births(40)
    folder = write_parts(frame, tmp_path / "deep")
    (folder / "notes.txt").write_text("not data")
    (folder / "_part.csv").write_text("half,written")
    for source in (tmp_path, str(folder), folder / "*.csv", [folder / f"part-{i}.csv" for i in range(4)]):
        pd.testing.assert_frame_equal(computed(takehome.scan(source)), frame)


@pytest.mark.parametrize("source", ["../parts", "../parts/", "../parts/*.csv", "../parts/part-0.csv"])
def test_a_worker_needs_no_working_directory_of_the_notebook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    write_parts(births(40), tmp_path / "parts")
    (notebooks := tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(notebooks)
    found = takehome.scan(source)
    monkeypatch.chdir(tmp_path)
    notebooks.rmdir()  # a worker has none
    assert len(computed(found)) == (10 if source.endswith("0.csv") else 40)


@pytest.mark.usefixtures("cut_small")
def test_parquet_files_whose_types_differ_are_read_as_one(tmp_path: Path) -> None:
    frame = births(40)
    frame.to_parquet(tmp_path / "1.parquet", row_group_size=7)
    other = frame.astype({"age": "category", "before": "Int8", "preterm": "float64"})
    other.to_parquet(tmp_path / "2.parquet", row_group_size=7, write_statistics=False)
    data = takehome.scan(tmp_path)
    assert data.npartitions == 12
    both = pd.concat([frame, frame], ignore_index=True).astype({"preterm": "float64"})
    pd.testing.assert_frame_equal(computed(data), both)


@pytest.mark.usefixtures("cut_small")
def test_a_table_is_read_in_parts(
    database: psycopg2.extensions.connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATIC_DIR", str(tmp_path))
    (tmp_path / "odd.csv").write_text(odd_file())
    births(2_000).to_csv(tmp_path / "births.csv", index=False)
    takehome.database.load_static()
    pd.testing.assert_frame_equal(computed(takehome.scan(table="odd")), takehome.read_csv(tmp_path / "odd.csv"))
    data = takehome.scan(table="births")
    assert data.npartitions > 5
    pd.testing.assert_frame_equal(computed(data), takehome.read_table("births"))
    with pytest.raises(takehome.TakehomeError, match=r"no table 'birth'\. Did you mean 'births'\?"):
        takehome.scan(table="birth")
    with database.cursor() as cursor:
        cursor.execute("CREATE VIEW seen AS SELECT * FROM births")
    with pytest.raises(takehome.TakehomeError, match="'seen' is no plain table"):
        takehome.scan(table="seen")
    with database.cursor() as cursor:
        cursor.execute("UPDATE births SET preterm = NULL WHERE age = '50+ yrs'")
    with pytest.raises(takehome.TakehomeError, match="table 'births': it has changed since it was scanned"):
        data.compute()


def test_no_server_is_one_sentence(free_port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", str(free_port()))
    with pytest.raises(takehome.TakehomeError, match=r"can't be used .*Connection refused"):
        takehome.scan(table="births")


BAD = {
    "there is no such file or folder. Did you mean .*loan.csv": ({"loan.csv": "a\n1\n"}, "loans.csv"),
    "there is no CSV or Parquet file": ({"a.txt": "a\n1\n"}, ""),
    "its ending is none of": ({"a.txt": "a\n1\n"}, "a.txt"),
    "column 'b' is not there, unlike in .*1.csv": ({"1.csv": "a,b\n1,2\n", "2.csv": "a\n1\n"}, ""),
    "column 'c' is there, unlike in .*1.csv": ({"1.csv": "a,b\n1,2\n", "2.csv": "a,b,c\n1,2,3\n"}, ""),
    "a.csv, line 20: 3 fields where the header has 2": ({"a.csv": "a,b\n" + '"x\ny",2\n' * 9 + "1,2,3\n"}, "a.csv"),
    "a quote opens after line .* is never closed": ({"a.csv": 'a,b\n1,2\n1,"2\n3,4\n'}, "a.csv"),
    "a field without quotes holds a quote": ({"a.csv": 'a,b\n5" pipe,2\n' * 20}, "a.csv"),
    "separated by semicolons": ({"a.csv": "a;b\n1;2\n"}, "a.csv"),
    "column 'a' is there twice": ({"a.csv": "a,a\n1,2\n"}, "a.csv"),
    "no rows to scan": ({"a.csv": "a,b\n"}, "a.csv"),
    "the file is empty": ({"a.csv": ""}, "a.csv"),
    "no whole gzip file": ({"a.csv.gz": "a,b\n1,2\n"}, "a.csv.gz"),
    "lines end with a carriage return alone": ({"a.csv": "a,b\r1,2\r3,4\r"}, "a.csv"),
    "CSV and Parquet files together": ({"a.csv": "a\n1\n", "b.parquet": "x"}, ""),
    "b.parquet: it can't be read": ({"b.parquet": "no parquet"}, "b.parquet"),
}


@pytest.mark.usefixtures("cut_small")
@pytest.mark.parametrize("sentence", BAD)
def test_what_is_wrong_with_files_is_one_sentence(tmp_path: Path, sentence: str) -> None:
    files, source = BAD[sentence]
    for name, text in files.items():
        (tmp_path / name).write_bytes(text.encode())
    with pytest.raises(takehome.TakehomeError, match=sentence) as caught:
        takehome.scan(tmp_path / source)
    assert "\n" not in str(caught.value)


def test_text_in_one_parquet_file_and_numbers_in_another_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"a": ["x"]}), tmp_path / "2.parquet")
    with pytest.raises(takehome.TakehomeError, match=r"2\.parquet: column 'a' holds string, in .*1\.parquet int64"):
        takehome.scan(tmp_path)
    pq.write_table(pa.table({"a": [[1, 2]]}), tmp_path / "2.parquet")
    with pytest.raises(takehome.TakehomeError, match="column 'a' holds list"):
        takehome.scan(tmp_path / "2.parquet")


@pytest.mark.usefixtures("cut_small")
def test_file_that_changes_after_the_scan_is_told(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a,b\n" + "1,2\n" * 100)
    data = takehome.scan(file)
    for text in ("a,b\n" + "1,x\n" * 100, "a,b\n1,2\n", "a,b\n" + ",22\n" * 100):
        file.write_text(text)
        with pytest.raises(takehome.TakehomeError, match=r"a\.csv: it has changed since it was scanned"):
            data.compute()


@pytest.mark.usefixtures("cut_small")
def test_object_store(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in object_store.environment.items():
        monkeypatch.setenv(name, value)
    frame = births(40)
    put(object_store, "births/1.csv", frame.iloc[:20].to_csv(index=False).encode())
    put(object_store, "births/2.csv.gz", gzip.compress(frame.iloc[20:].to_csv(index=False).encode()))
    put(object_store, "birth.parquet", frame.to_parquet())
    for source in ("/births", "/births/*.csv*", "/birth.parquet"):
        pd.testing.assert_frame_equal(computed(takehome.scan(object_store.url + source)), frame)
    with pytest.raises(takehome.TakehomeError, match=r"s3://takehome/other: there is no CSV or Parquet file"):
        takehome.scan(f"{object_store.url}/other")
    with pytest.raises(takehome.TakehomeError, match=r"s3://nobodys/x\.csv: there is no such bucket"):
        takehome.scan("s3://nobodys/x.csv")
    with pytest.raises(takehome.TakehomeError, match="'ftp' is no store"):
        takehome.scan("ftp://host/x.csv")
    put(object_store, "latin.csv", "a,b\nü,1\n".encode("latin-1"))
    with pytest.raises(takehome.TakehomeError, match=r"s3://takehome/latin\.csv: it can't be read .*UTF"):
        takehome.scan(f"{object_store.url}/latin.csv")
    data = takehome.scan(f"{object_store.url}/births")
    object_store.send(signal.SIGKILL)
    with pytest.raises(takehome.TakehomeError, match="it can't be reached"):
        data.compute()


class Denying(BaseHTTPRequestHandler):
    """An object store that lets nobody in."""

    def do_GET(self) -> None:
        """Refuse."""
        body = b"<Error><Code>AccessDenied</Code><Message>for AKIDOFMINE</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    do_HEAD = do_GET  # noqa: N815


def test_store_that_lets_nobody_in_or_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Denying)
    Thread(target=server.serve_forever, daemon=True).start()
    known = {"ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}", "ALLOW_HTTP": "true", "REGION": "us-east-1"}
    for name, value in (known | {"ACCESS_KEY_ID": "AKIDOFMINE", "SECRET_ACCESS_KEY": "secret-of-mine"}).items():
        monkeypatch.setenv(f"AWS_{name}", value)
    with pytest.raises(takehome.TakehomeError, match=r"x\.csv: (access is denied|no credentials)") as caught:
        takehome.scan("s3://denied/x.csv")
    server.shutdown()
    server.server_close()
    with pytest.raises(takehome.TakehomeError, match=r"s3://away/x\.csv: it can't be reached") as away:
        takehome.scan("s3://away/x.csv")
    assert "OFMINE" not in str(caught.value) and "of-mine" not in f"{caught.value}{away.value}"


def put(store: ObjectStore, name: str, content: bytes) -> None:
    """Store an object."""
    assert httpx.put(f"{store.endpoint}/takehome/{name}", content=content).status_code == 200


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dd.DataFrame]:
    """Give births in 4 parts."""
    folder = write_parts(births(), tmp_path_factory.mktemp("births"))
    yield takehome.scan(folder)
    shutil.rmtree(folder)


def test_counted_rows_give_the_coefficients_of_all_rows(
    data: dd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = births()
    model, whole = logistic(), logistic()
    fit = takehome.fit_counted(model, data, "preterm")
    whole.fit(frame.drop(columns="preterm"), frame["preterm"])
    np.testing.assert_allclose(model[-1].coef_, whole[-1].coef_, rtol=1e-6)
    assert capsys.readouterr().out == (
        f"Fitted to counted rows: 5,000 are {len(fit.X)} distinct ones, weights for logisticregression; "
        "onehotencoder saw each distinct row once.\n"
    )
    assert fit.weights.sum() == ROWS
    version = takehome.save_model(model, fit, name="Births", models_dir=tmp_path)
    stored = json.loads((tmp_path / version / "model.json").read_text())
    assert stored["training"] == {
        "way": "counted rows",
        "rows": ROWS,
        "held_out": 0,
        "seed": 0,
        "distinct": len(fit.X),
        "weighted": ["logisticregression"],
        "unweighted": ["onehotencoder"],
    }
    plain = takehome.save_model(
        whole, frame.drop(columns="preterm"), frame["preterm"], name="Births", models_dir=tmp_path
    )
    plain = json.loads((tmp_path / plain / "model.json").read_text())
    assert plain["training"] is None
    for field in ("profile", "histogram"):
        assert rounded(stored[field]) == rounded(plain[field])
    del stored["row_schema"]["examples"], plain["row_schema"]["examples"]
    assert stored["row_schema"] == plain["row_schema"]
    assert stored["data"]["rows"] == plain["data"]["rows"] == ROWS
    answers = takehome.load_model(version, models_dir=tmp_path).predict(frame.drop(columns="preterm").head(3))
    assert [a["probabilities"]["1"] for a in answers] == pytest.approx(
        whole.predict_proba(frame.head(3).drop(columns="preterm"))[:, 1]
    )


def rounded(found: object) -> object:
    """Round numbers in nested JSON."""
    return json.loads(json.dumps(found), parse_float=lambda text: round(float(text), 9))


def test_rows_held_out_are_no_part_of_the_fit(data: dd.DataFrame) -> None:
    for fit in (
        takehome.fit_counted(logistic(), data, "preterm", test_rows=1_000),
        takehome.fit_sample(logistic(), data, "preterm", rows=10**9, test_rows=1_000),
        takehome.fit_incremental(encoded(SGDClassifier(loss="log_loss")), data, "preterm", test_rows=1_000),
    ):
        assert fit.training["held_out"] == fit.test[2].sum() == 1_000
        assert fit.training["rows"] == ROWS - 1_000
        weights = np.ones(len(fit.X)) if fit.weights is None else fit.weights
        assert weights.sum() == ROWS - 1_000
        both = [fit.X.assign(preterm=fit.y, n=weights), fit.test[0].assign(preterm=fit.test[1], n=fit.test[2])]
        columns = ["age", "before", "care", "preterm"]
        counts = pd.concat(both).groupby(columns, dropna=False)["n"].sum().astype(int)
        pd.testing.assert_series_equal(counts, births().groupby(columns, dropna=False).size(), check_names=False)


def test_a_sample_is_the_same_in_any_parts(
    data: dd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    births().to_parquet(tmp_path / "births.parquet", row_group_size=333)
    model = logistic()
    one = takehome.fit_sample(model, data, "preterm", rows=500, seed=7)
    said = "Fitted to a random sample: 500 of 5,000 rows, drawn with seed 7."
    assert said in capsys.readouterr().out and repr(one) == said
    other = takehome.fit_sample(logistic(), takehome.scan(tmp_path / "births.parquet"), "preterm", rows=500, seed=7)
    pd.testing.assert_frame_equal(one.X, other.X)
    assert one.data == other.data
    assert not one.X.equals(takehome.fit_sample(logistic(), data, "preterm", rows=500, seed=8).X)
    rare = (births()["age"] == "50+ yrs").mean()
    assert abs((one.X["age"] == "50+ yrs").mean() - rare) < 0.1
    version = takehome.save_model(model, one, name="Births", models_dir=tmp_path)
    metadata = takehome.load_model(version, models_dir=tmp_path).metadata
    assert metadata.training == {"way": "sample", "rows": 500, "held_out": 0, "seed": 7}
    assert metadata.data.rows == ROWS
    assert sum(metadata.profile["age"]["shares"]) == pytest.approx(1)


def test_the_row_schema_comes_from_all_rows_not_from_the_sample(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": np.arange(100_000) % 997, "kind": "usual", "y": np.arange(100_000) / 7})
    frame.loc[77_777, ["x", "kind"]] = [10**6, "rare"]
    frame["gap"] = pd.Series(1.5, frame.index).mask(frame.index == 5)
    frame.to_parquet(tmp_path / "a.parquet")
    data = takehome.scan(tmp_path)
    model = encoded(LinearRegression())
    fit = takehome.fit_sample(model, data, "y", rows=50)
    x, kind, gap = fit.schema.columns
    assert (x.maximum, kind.categories, gap.nullable) == (10**6, ("rare", "usual"), True)
    assert "rare" not in set(fit.X["kind"])


def test_incremental_fit_goes_through_every_part(
    data: dd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = births()
    model, by_hand = (make_pipeline(OneHotEncoder(), SGDClassifier(loss="log_loss", random_state=0)) for _ in range(2))
    fit = takehome.fit_incremental(model, data, "preterm", passes=2)
    assert capsys.readouterr().out == (
        "Fitted to parts one after the other: 5,000 rows, 2 times; "
        "the steps before the last to 5,000 of them, drawn with seed 0.\n"
    )
    by_hand[0].fit(frame.drop(columns="preterm"))
    for _ in range(2):
        for part in np.array_split(np.arange(ROWS), 4):
            X = by_hand[0].transform(frame.iloc[part].drop(columns="preterm"))
            by_hand[-1].partial_fit(X, frame["preterm"].iloc[part], classes=[0, 1])
    np.testing.assert_allclose(model[-1].coef_, by_hand[-1].coef_)
    version = takehome.save_model(model, fit, name="Births", models_dir=tmp_path)
    assert takehome.load_model(version, models_dir=tmp_path).metadata.training == {
        "way": "incremental",
        "rows": ROWS,
        "held_out": 0,
        "seed": 0,
        "passes": 2,
        "preprocessing_rows": ROWS,
    }


def test_all_three_ways_on_a_cluster_are_what_they_are_here(data: dd.DataFrame) -> None:
    here = takehome.fit_counted(logistic(), data, "preterm", test_rows=500)
    drawn = takehome.fit_sample(logistic(), data, "preterm", rows=500)
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, processes=True, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        there = takehome.fit_counted(logistic(), data, "preterm", test_rows=500)
        again = takehome.fit_sample(logistic(), data, "preterm", rows=500)
        takehome.fit_incremental(SGDRegressor(), data[["before", "preterm"]].dropna(), "preterm")
    pd.testing.assert_frame_equal(here.X, there.X)
    np.testing.assert_array_equal(here.weights, there.weights)
    pd.testing.assert_frame_equal(drawn.X, again.X)
    assert here.data == there.data == drawn.data


def test_what_a_way_can_not_do_is_one_sentence(data: dd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [
        (takehome.fit_counted, KNeighborsClassifier(), data, "preterm", {}, "takes no sample_weight.*fit_sample"),
        (takehome.fit_incremental, logistic(), data, "preterm", {}, "LogisticRegression has no partial_fit"),
        (takehome.fit_counted, logistic(), data, "pretrm", {}, "no column 'pretrm'"),
        (takehome.fit_counted, logistic(), births(), "preterm", {}, "Pass the Dask dataframe of takehome.scan"),
        (takehome.fit_sample, logistic(), data, "care", {}, r"'care' is missing in \d+ rows.*notnull"),
        (takehome.fit_sample, logistic(), data, "preterm", {"test_rows": 6_000}, "0 and 6,000 rows can't be drawn"),
        (takehome.fit_counted, DummyClassifier(), data, "preterm", {"test_rows": -1}, "-1 rows can't be drawn"),
        (
            takehome.fit_incremental,
            make_pipeline(OneHotEncoder(), SGDClassifier()),
            data,
            "preterm",
            {"preprocessing_rows": 3},
            "can't take a row that was not drawn.*preprocessing_rows",
        ),
    ]
    for way, estimator, given_data, target, options, sentence in cases:
        with pytest.raises(takehome.TakehomeError, match=sentence) as caught:
            way(estimator, given_data, target, **options)
        assert "\n" not in str(caught.value)
    monkeypatch.setattr(counted, "MOST_DISTINCT", 10)
    with pytest.raises(takehome.TakehomeError, match=r"more than 10 distinct rows.* takehome\.fit_incremental"):
        takehome.fit_counted(logistic(), data, "preterm")


def test_numbers_of_too_many_values_keep_their_ends_and_quantiles(tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    frame = pd.DataFrame({"x": dice.lognormal(0, 2, 400_000), "name": [f"n{i}" for i in range(400_000)]})
    frame["y"] = 2 * frame["x"] + 1
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=50_000)
    model = make_pipeline(StandardScaler(), SGDRegressor(eta0=1e-3))
    fit = takehome.fit_incremental(model, takehome.scan(tmp_path)[["x", "y"]], "y")
    (x,) = fit.schema.columns
    assert (x.minimum, x.maximum) == (frame["x"].min(), frame["x"].max())
    version = takehome.save_model(model, fit, name="Line", models_dir=tmp_path / "models")
    profile = takehome.load_model(version, models_dir=tmp_path / "models").metadata.profile["x"]
    shares = np.histogram(frame["x"], profile["edges"])[0] / len(frame)
    assert np.allclose(shares, 0.1, atol=0.001) and np.allclose(profile["shares"], 0.1, atol=0.001)
    named = takehome.fit_sample(LinearRegression(), takehome.scan(tmp_path)[["x", "y"]], "y", rows=100)
    assert re.fullmatch("[0-9a-f]{64}", named.data.sha256)
