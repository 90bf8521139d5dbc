"""`takehome new`: a notebook for a file that nobody has seen, or one line that says what is wrong with it."""

import gzip
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
import takehome
from takehome import memory
from takehome.conversion import convert
from takehome.draft.notebook import new

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
ROWS = 60
FIRST = 'lint.isort.known-first-party = ["takehome"]'


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with `static`, `notebooks` and `models`, which are the ones in force."""
    for name in ("static", "notebooks", "models"):
        (tmp_path / "volumes" / name).mkdir(parents=True)
        monkeypatch.setenv(f"{name.upper()}_DIR", str(tmp_path / "volumes" / name))
    monkeypatch.setenv("PGPORT", "1")  # no database: the files are read
    return tmp_path / "volumes"


def loans(rows: int = 400, **columns: Any) -> pd.DataFrame:
    """Return loans of which about a third default, with further columns."""
    r = np.random.default_rng(0)
    grade, income = r.choice(list("ABC"), rows), r.normal(50, 10, rows).round(2)
    bad = r.random(rows) < np.where(grade == "A", 0.1, 0.5)
    return pd.DataFrame({"grade": grade, "income": income, **columns, "defaulted": np.where(bad, "yes", "no")})


def draft(house: Path, frame: pd.DataFrame, target: str = "defaulted") -> str:
    """Write a notebook for a frame; gives the text of its cells."""
    frame.to_csv(house / "static" / "loans.csv", index=False)
    (house / "notebooks" / "loans.ipynb").unlink(missing_ok=True)
    notebook = nbformat.read(new("volumes/static/loans.csv", target), as_version=4)
    nbformat.validate(notebook)
    return "\n".join(cell.source for cell in notebook.cells)


def command(house: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / "takehome"), *arguments], cwd=house.parent, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_from_the_command_line_to_a_model(house: Path) -> None:
    loans().to_csv(house / "static" / "loans.csv", index=False)
    written = command(house, "new", "volumes/static/loans.csv", "--target", "defaulted", "--name", 'Who "defaults"?')
    assert written.returncode == 0, written.stderr
    assert "make train NOTEBOOK=volumes/notebooks/loans.ipynb" in written.stdout
    again = command(house, "new", "loans.csv", "--target", "defaulted")
    assert again.returncode == 1
    assert again.stderr.endswith("loans.ipynb is there already, and is left as it is. "
                                 "Rename it or move it away for a new draft.\n")  # fmt: skip
    trained = command(house, "train", "volumes/notebooks/loans.ipynb")
    assert trained.returncode == 0, trained.stderr
    model = takehome.load_model(models_dir=house / "models")
    assert model.metadata.name == 'Who "defaults"?'
    assert model.metadata.threshold is not None


def test_make_hands_on_names_as_they_are_typed(house: Path) -> None:
    file, target = "O'Brien $x (2).csv", 'it\'s "so" $y$'
    loans().rename(columns={"defaulted": target}).to_csv(house / "static" / file, index=False)
    # Another project than that of containers which may be running here.
    command = ["make", "COMPOSE_PROJECT_NAME=none", "new", f"DATA=volumes/static/{file}", f"TARGET={target}"]
    alone = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # not within `make test`
    done = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith(shlex.quote(f"volumes/notebooks/{Path(file).stem}.ipynb"))
    assert (house / "notebooks" / "O'Brien $x (2).ipynb").exists()


def test_what_goes_wrong_is_found_and_said(house: Path) -> None:
    n = 400
    text = draft(
        house,
        loans(n, loan_id=[f"L{i}" for i in range(n)], currency="EUR", nothing=None).assign(
            recovered=lambda f: np.where(f["defaulted"] == "yes", 10.5, np.nan)
        ),
    )
    for said in (
        "**`loan_id` is no feature:** identifier",
        "**`currency` is no feature:** a single value",
        "**`nothing` is no feature:** all values are missing",
        "**`recovered` is no feature:** alone it tells the target (score 1.00)",
        "**Mostly missing:** `recovered`",
    ):
        assert said in text
    twice = draft(house, pd.concat([loans(200), loans(200)]))
    assert "**Duplicates:** 20" in twice
    r = np.random.default_rng(1)
    rare = draft(house, loans(300).assign(defaulted=np.where(np.arange(300) < 12, "yes", "no")))
    assert "**Fewer than 30 rows in a class:** `yes` (12)" in rare
    opened = pd.Timestamp("2020-01-01") + pd.to_timedelta(r.permutation(n), "D")
    closed = opened + pd.to_timedelta([-5, *[9] * (n - 1)], "D")
    dated = draft(house, loans(n, opened=opened, closed=closed))
    assert "**Split: time:** `opened` orders the rows" in dated
    assert "**Dates out of order:** `opened` is after `closed` in 1 rows" in dated
    assert "**Rows are not in the order of `opened`:**" in dated
    grouped = draft(house, loans(n, customer_id=r.integers(0, 100, n)))
    assert "**Split: group:** `customer_id` repeats" in grouped


TARGETS: dict[str, Callable[[int], Any]] = {
    "text": lambda n: np.resize(["no", "yes"], n),
    "boolean with gaps": lambda n: np.resize([True, False, None], n),
    "whole numbers with gaps": lambda n: np.resize([0, 1, 2, None], n),
    "hundred classes": lambda n: np.resize([f"class {i}" for i in range(100)], n),
    "amounts": lambda n: np.linspace(0, 1, n),
}


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("split", ["chance", "time", "group"])
def test_the_code_is_clean(house: Path, kind: str, split: str) -> None:
    n = 1_200
    more: dict[str, Any] = {
        "chance": {},
        "time": {"day": pd.date_range("2020-01-01", periods=n)},
        "group": {"customer_id": np.arange(n) // 5},
    }[split]
    texts = [f"text {i % 300}" for i in range(n)]
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=n), "texts": texts, **more})
    draft(house, frame.assign(target=pd.Series(TARGETS[kind](n), dtype=object)), "target")
    file, style = str(house / "notebooks" / "loans.ipynb"), ["--isolated", "--line-length=120", "--config", FIRST]
    for check in (["check", "--select=E,F,I,B,UP,SIM", "--ignore=F821"], ["format", "--check", "--diff", "--preview"]):
        done = subprocess.run([str(BIN / "ruff"), *check, *style, file], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_odd_names_and_two_hundred_columns(house: Path) -> None:
    odd = ['a "b"', "it's", "a.b", "Größe", "名前", "x $y$ z", "{brace}", "`tick`", "back\\slash", "two\nlines", "%s|#"]
    r = np.random.default_rng(2)
    noise = {f"c{i}": r.normal(size=150).round(3) for i in range(190)}
    frame = pd.DataFrame({**{name: r.choice(["p", "q"], 150) for name in odd}, **noise})
    target = 'Is it "so"?'
    frame[target] = np.where(frame["it's"] == "p", "ja", "nein")
    frame.loc[:30, target] = np.where(np.arange(31) % 2, "ja", "nein")
    draft(house, frame, target)
    done = command(house, "train", "loans.ipynb")
    assert done.returncode == 0, done.stderr
    assert takehome.load_model(models_dir=house / "models").schema.columns[0].name == odd[0]


HEADER = "a,b,target\n"


def rows(*targets: str) -> str:
    return HEADER + "".join(f"{i % 7},x{i % 3},{target}\n" for i, target in enumerate(targets))


BAD: dict[str, tuple[str, bytes | str, str]] = {
    "target misspelt": ("x.csv", rows(*["p", "q"] * 30).replace("target", "defaulted"), "Did you mean"),
    "target in other letters": ("x.csv", rows(*["p", "q"] * 30).replace("target", "TARGET"), "Did you mean 'TARGET'?"),
    "one class": ("x.csv", rows(*["p"] * ROWS), "a single class, 'p'"),
    "all missing": ("x.csv", rows(*[""] * ROWS), "all its values are missing"),
    "one row": ("x.csv", rows("p"), "1 row with an answer. At least 20 are needed"),
    "header alone": ("x.csv", HEADER.strip(), "there is a header line, and no row"),
    "rare class": ("x.csv", rows(*["p"] * ROWS, "q"), "1 row of 'q'. A class needs 10"),
    "texts": ("x.csv", rows(*[f"text {i}" for i in range(ROWS)]), "60 different texts in 60 rows"),
    "dates": ("x.csv", rows(*[f"2024-01-{i % 28 + 1:02d}" for i in range(ROWS)]), "it holds dates"),
    "empty": ("x.csv", "", "the file is empty"),
    "only the target": ("x.csv", "target\n" + "p\nq\n" * 30, "is the only column"),
    "nothing to learn from": (
        "x.csv",
        "id,target\n" + "".join(f"{i},{i % 2}\n" for i in range(60)),
        "No column is left",
    ),
    "cp1252": ("x.csv", rows(*["é", "ü"] * 30).encode("cp1252"), "it looks like cp1252. Rewrite it: make convert"),
    "utf-16": ("x.csv", rows(*["p", "q"] * 30).encode("utf-16"), "it looks like utf-16."),
    "semicolons": ("x.csv", rows(*["p", "q"] * 30).replace(",", ";"), "separated by semicolons, not by commas"),
    "tabs": ("x.csv", rows(*["p", "q"] * 30).replace(",", "\t"), "separated by tabs, not by commas"),
    "cut": ("x.csv.gz", gzip.compress(rows(*["p", "q"] * 300).encode())[:99], "no whole gzip file"),
    "packed": ("x.csv", gzip.compress(b"a\n"), "packed with gzip. Give it the ending .csv.gz"),
    "no text": ("x.csv", bytes(range(256)) * 9, "the file is no text"),
    "workbook": ("x.csv", b"PK\x03\x04\xff\xfe" * 99, "a workbook or a zip archive"),
}


@pytest.mark.parametrize("name", BAD)
def test_error_is_one_line_and_nothing_is_written(house: Path, name: str) -> None:
    file, content, says = BAD[name]
    (house / "static" / file).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(takehome.TakehomeError) as caught:
        new(f"volumes/static/{file}", "default" if name == "target misspelt" else "target")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list((house / "notebooks").iterdir())


def test_wrong_path_and_wrong_place(house: Path, tmp_path: Path) -> None:
    (house / "static" / "loans.csv").write_text(rows("p"))
    (tmp_path / "away.csv").write_text(rows("p"))
    with pytest.raises(takehome.TakehomeError, match=r"Did you mean volumes/static/loans\.csv\?"):
        new("volumes/static/loan.csv", "target")
    with pytest.raises(takehome.TakehomeError, match=r"In volumes/static there is: loans\.csv\.$"):
        new("volumes/static/cars.csv", "target")
    with pytest.raises(takehome.TakehomeError, match="No file was named"):
        new("", "target")
    with pytest.raises(takehome.TakehomeError, match=r"is not in volumes/static.* Copy it there: cp .*away\.csv"):
        new(tmp_path / "away.csv", "target")


def test_file_larger_than_memory_is_refused(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (house / "static" / "loans.csv").write_text(rows(*["p", "q"] * 5000))
    monkeypatch.setattr(memory, "available", lambda: 100_000)
    with pytest.raises(takehome.TakehomeError, match=r"loans\.csv: reading it takes about .* of memory"):
        new("loans.csv", "target")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_converted_file_reads_as_it_should(tmp_path: Path, encoding: str, separator: str) -> None:
    known = pd.DataFrame({"Straße": [f"Bäcker {i}" for i in range(30)], "price": np.arange(30) / 2, "code": "001"})
    decimal = "." if separator == "," else ","
    file = tmp_path / "loans.csv"
    known.to_csv(file, index=False, sep=separator, decimal=decimal, encoding=encoding)
    if (encoding[:5], separator) == ("utf-8", ","):
        with pytest.raises(takehome.TakehomeError, match="Nothing was changed"):
            convert(file)
    else:
        before = file.read_bytes()
        assert "to UTF-8 with commas, 30 rows." in convert(file)
        assert (tmp_path / "loans.csv.original").read_bytes() == before
    pd.testing.assert_frame_equal(takehome.read_csv(file), known, check_dtype=False)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("имя,город\nИван Петров,Москва\nАнна Смирнова,Санкт-Петербург\n", "cp1251"),  # noqa: RUF001
        ("jméno,město\nJiří Dvořák,Plzeň\nTomáš Říha,České Budějovice\n", "cp1250"),
        ("名前,都市\n山田太郎,東京\n鈴木花子,大阪府\n", "shift_jis"),
    ],
)
def test_usual_encodings_are_named(tmp_path: Path, text: str, encoding: str) -> None:
    (tmp_path / "names.csv").write_bytes(text.encode(encoding))
    with pytest.raises(takehome.TakehomeError, match=f"it looks like {encoding}"):
        takehome.read_csv(tmp_path / "names.csv")


def test_ending_in_capitals_and_header_without_line_end(tmp_path: Path) -> None:
    (tmp_path / "loans.csv.GZ").write_bytes(gzip.compress(b"a,b\n1,2\n"))
    assert takehome.read_csv(tmp_path / "loans.csv.GZ").to_dict("list") == {"a": [1], "b": [2]}
    (tmp_path / "header.csv").write_text("a,b")
    assert takehome.read_csv(tmp_path / "header.csv").shape == (0, 2)
    (tmp_path / "quoted.csv").write_text('"a;b"\n"1;2"\n')
    assert list(takehome.read_csv(tmp_path / "quoted.csv").columns) == ["a;b"]
