"""The command behind `make bench-big`: the births a hundred times over, from Parquet to a served model."""

import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import takehome
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder
from takehome.errors import TakehomeError
from takehome.reading import read_arrow

from bench.contender import FOLDER, ROOT, ours
from bench.running import Running
from bench.workload import Workload

TIMES = 100
TARGET = "preterm_indicator"
BIRTHS = ROOT / "volumes" / "static" / "births.csv.gz"
ROUNDS = 3  # of pandas, whose time is the measure


@dataclass
class Peaks:
    """The largest resident memory that each process below this one has had, found while it lives."""

    found: dict[int, int] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Peaks":
        """Begin to look."""
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join()

    @property
    def highest(self) -> int:
        """Bytes of the process that took most."""
        return max(self.found.values())

    def _look(self) -> None:
        while not self._ended.wait(0.05):
            for process in psutil.Process().children(recursive=True):
                with suppress(OSError, StopIteration, psutil.Error):
                    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
                    kilobytes = next(line.split()[1] for line in lines if line.startswith("VmHWM"))
                    self.found[process.pid] = 1024 * int(kilobytes)


def model() -> Pipeline:
    """Return a logistic regression without a penalty, which alone does not grow weaker with more rows."""
    last = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10)
    return make_pipeline(OneHotEncoder(drop="first"), last)


def write(folder: Path, tell: Callable[[str], None]) -> int:
    """Write the births once a file, each time in another order; return the number of all rows."""
    births = read_arrow(BIRTHS)
    dice = np.random.default_rng(0)
    for i in range(TIMES):
        tell(f"writing file {i + 1} of {TIMES}")
        pq.write_table(births.take(pa.array(dice.permutation(births.num_rows))), folder / f"births-{i:03}.parquet")
    return TIMES * int(births.num_rows)


def fit_here(_: Path) -> np.ndarray:
    """Fit the original file, row by row, in memory; return the coefficients."""
    births = takehome.read_csv(BIRTHS)
    return coefficients(model().fit(births.drop(columns=TARGET), births[TARGET]))


def fit_pandas(folder: Path) -> float:
    """Read, count and fit one of the files with pandas; return the seconds for a row."""
    began = time.perf_counter()
    births = pd.read_parquet(next(folder.glob("*.parquet")))
    rows = births.groupby(list(births.columns), dropna=False).size().rename("births").reset_index()
    weights = {"logisticregression__sample_weight": rows["births"]}
    model().fit(rows.drop(columns=["births", TARGET]), rows[TARGET], **weights)
    return (time.perf_counter() - began) / len(births)


def fit_counted(folder: Path) -> tuple[np.ndarray, float, str]:
    """Scan and fit all files and save the model; return coefficients, seconds until it was fitted, and the version."""
    began = time.perf_counter()
    estimator = model()
    fit = takehome.fit_counted(estimator, takehome.scan(folder), TARGET)
    seconds = time.perf_counter() - began
    version = takehome.save_model(estimator, fit, name="Preterm births", models_dir=folder / "models")
    return coefficients(estimator), seconds, version


def fit_sample(folder: Path) -> float:
    """Scan all files and fit a sample of them; return the seconds."""
    began = time.perf_counter()
    takehome.fit_sample(model(), takehome.scan(folder), TARGET)
    return time.perf_counter() - began


def coefficients(fitted: Pipeline) -> np.ndarray:
    """Return what was learnt, the intercept first."""
    return np.append(fitted[-1].intercept_, fitted[-1].coef_)


def served(folder: Path, version: str) -> None:
    """Start the API on the model and compare its answers with the model's own.

    Raises
    ------
    TakehomeError
        It doesn't answer, or answers otherwise.
    """
    estimator: Any = takehome.load_model(version, models_dir=folder / "models").estimator
    frame = takehome.read_csv(BIRTHS).drop(columns=TARGET).drop_duplicates()
    rows: Any = frame.to_dict("records")
    with Running(ours(), Workload("big", folder, estimator, frame, rows, estimator.predict_proba(frame))) as api:
        api.prove()


def alone(function: Callable[[Path], Any], folder: Path) -> Any:
    """Call a function in a process of its own, which then ends."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, folder).result()


def run(folder: Path, tell: Callable[[str], None]) -> Table:
    """Measure, and return the table."""
    rows = write(folder, tell)
    tell("fitting the original file, and one file with pandas")
    expected = alone(fit_here, folder)
    a_row = median(alone(fit_pandas, folder) for _ in range(ROUNDS))
    with Peaks() as peaks:
        tell(f"fitting {rows:,} rows")
        found, seconds, version = alone(fit_counted, folder)
        tell("serving the model")
        served(folder, version)
    with Peaks() as sampling:
        tell("fitting a sample")
        drawing = alone(fit_sample, folder)
    distance = float(np.max(np.abs(found / expected - 1)))
    table = Table("goal", "bound", "found", title=f"{rows:,} rows in {TIMES} Parquet files, {size(folder)} MB")
    table.add_row("counted rows: coefficients against the original file's", "1e-6 relative", f"{distance:.1e}")
    table.add_row("highest peak of a process: fit, proof, API", "1.5 GB", f"{peaks.highest / 1e9:.2f} GB")
    table.add_row("time a row against pandas on one file", "2 times", f"{seconds / rows / a_row:.2f} times")
    table.add_row("scan, count and fit", "", f"{seconds:.0f} s, {rows / seconds / 1e6:.1f} million rows/s")
    table.add_row("a sample of 100,000 rows, schema from all", "", f"{drawing:.0f} s")
    table.add_row("the same: highest peak", "1.5 GB", f"{sampling.highest / 1e9:.2f} GB")
    return table


def size(folder: Path) -> int:
    """Return the megabytes of the files."""
    return sum(path.stat().st_size for path in folder.glob("*.parquet")) // 10**6


def main() -> None:
    """Run the benchmark; its files are removed afterwards."""
    console = Console(stderr=True)
    FOLDER.mkdir(exist_ok=True)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="big-", dir=FOLDER) as folder,
            console.status("") as status,
            redirect_stdout(sys.stderr),
        ):
            table = run(Path(folder), status.update)
    except TakehomeError as error:
        sys.exit(f"bench-big: {error}")
    Console().print(table)


if __name__ == "__main__":
    main()
