"""A Dask dataframe of files or a table, with the types that all rows together ask for."""

from collections.abc import Sequence
from typing import Protocol

import dask
import dask.dataframe as dd
import pandas as pd
import pyarrow as pa

from takehome.errors import TakehomeError
from takehome.scanning import csv_file, parquet_file
from takehome.scanning.fields import Fields
from takehome.scanning.places import Source, find_files
from takehome.scanning.scheme import Scheme, check_names
from takehome.scanning.table import survey as survey_table


class Part(Protocol):
    """Rows that are read together."""

    @property
    def path(self) -> str:
        """Where they are from."""

    def read(self, scheme: Scheme, columns: list[str]) -> pa.Table:
        """Return them with the types of the whole scan."""


def scan(source: Source | None = None, *, table: str | None = None) -> dd.DataFrame:
    """Read data larger than memory, part by part, under the reading rule.

    Types are decided over all rows: CSV files are read once for that, Parquet files say it themselves, PostgreSQL is
    asked. A part is about 32 MB of a CSV file (a packed one is a part), a million rows of a Parquet file, 32 MB of a
    table. Dask computes with its scheduler in force: this process, or a cluster.

    Parameters
    ----------
    source : CSV, CSV.gz or Parquet: a file, a folder with everything below it, a pattern with `*`, or several of
        these; also `s3://bucket/…`, with the credentials of the `AWS_*` variables. Files have the same columns.
    table : in place of it, a table in PostgreSQL.

    Returns
    -------
    Dask dataframe with the dtypes that `read_csv` gives; rows in the order of the files' names and of their lines.

    Raises
    ------
    TakehomeError
        There is no such file, store or table, it can't be read, or files differ in their columns.
    """
    if (source is None) == (table is None):
        raise TakehomeError("scan takes files, scan('volumes/static/births'), or a table, scan(table='births').")
    scheme, parts = survey_table(table) if table is not None else _survey_files(find_files(source or ""))
    if not parts:
        raise TakehomeError(f"{source or table}: there are no rows to scan. Add some.")
    with dask.config.set({"dataframe.convert-string": False}):  # text has the dtype of read_csv
        return dd.from_map(_read, list(parts), scheme=scheme, meta=scheme.empty(), label="scan")


def _read(part: Part, scheme: Scheme, columns: list[str] | None = None) -> pd.DataFrame:
    wanted = list(scheme.types) if columns is None else list(columns)
    return scheme.frame(part.read(scheme, wanted), part.path)


def _survey_files(paths: list[str]) -> tuple[Scheme, Sequence[Part]]:
    packed = {path.lower().endswith(".parquet") for path in paths}
    if len(packed) > 1:
        raise TakehomeError(f"{paths[0]} and others: CSV and Parquet files together. Name one kind: folder/*.parquet")
    return _survey_parquet(paths) if packed == {True} else _survey_csv(paths)


def _survey_csv(paths: list[str]) -> tuple[Scheme, Sequence[Part]]:
    first, *others = found = dask.compute(*[dask.delayed(csv_file.survey)(path) for path in paths])
    fields: dict[str, Fields] = dict(first.fields)
    for other in others:
        check_names(first.path, fields, other.path, other.fields)
        fields = {name: known.merge(other.fields[name]) for name, known in fields.items()}
    gaps = frozenset(name for name, known in fields.items() if known.gaps)
    return Scheme({name: known.type for name, known in fields.items()}, gaps), [p for one in found for p in one.parts]


def _survey_parquet(paths: list[str]) -> tuple[Scheme, Sequence[Part]]:
    first, *others = found = dask.compute(*[dask.delayed(parquet_file.survey)(path) for path in paths])
    for other in others:
        check_names(first.path, first.types, other.path, other.types)
    gaps = frozenset(name for one in found for name in one.gaps)
    return Scheme(parquet_file.unify(found), gaps), [part for one in found for part in one.parts]
