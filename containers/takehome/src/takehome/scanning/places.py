"""Where the files of a scan are: on this machine or in an object store, by name, folder or pattern."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import fsspec
from obstore.exceptions import BaseError
from obstore.fsspec import register

from takehome.errors import TakehomeError
from takehome.object_store import RETRIES, cause, client_options
from takehome.reading import hint
from takehome.sources import ENDINGS

Source = str | Path | Iterable[str | Path]


def find_files(source: Source) -> list[str]:
    """Return the CSV and Parquet files of a source, in the order of their names.

    Parameters
    ----------
    source : a file, a folder with everything below it, a pattern with `*`, or several of these; `s3://…` too.

    Raises
    ------
    TakehomeError
        Nothing is there, the store can't be reached, or a file is neither CSV nor Parquet.
    """
    if isinstance(source, str | Path):
        return _find(str(source))
    found = [path for one in source for path in _find(str(one))]
    if not found:
        raise TakehomeError("The list of files to scan is empty. Name at least one.")
    return list(dict.fromkeys(found))


@contextmanager
def opened(path: str) -> Iterator[IO[bytes]]:
    """Open a file of this machine or of a store for reading.

    Raises
    ------
    TakehomeError
        It is not there any more, or the store can't be reached, now or while it is read.
    """
    files = _files(path)
    try:
        files.info(path)  # obstore's file that can't be opened prints a stack trace when it is thrown away
        with files.open(path, "rb") as file:
            yield file
    except (OSError, BaseError) as error:
        raise TakehomeError(explain(path, error)) from error


def explain(path: str, error: Exception) -> str:
    """Say why a place can't be read."""
    if isinstance(error, FileNotFoundError):
        return f"{path}: there is no such file, or no such bucket. Check the name, and scan again."
    if isinstance(error, BaseError):
        return f"{path}: {cause(str(error))}"
    return f"{path}: it can't be read ({str(error).strip().splitlines()[0]}). Is it whole, and may you read it?"


def _files(path: str) -> Any:
    protocol, separator, _ = path.partition("://")
    if not separator:
        return fsspec.filesystem("file")
    if protocol != "s3":
        raise TakehomeError(f"{path}: '{protocol}' is no store that a scan can read. Name a path or s3://bucket/….")
    register("s3")  # anew in each process that reads
    return fsspec.filesystem("s3", client_options=client_options(timeout="60s"), retry_config=RETRIES)


def _find(source: str) -> list[str]:
    files = _files(source)
    try:
        found = [str(path) for path in _list(files, source)]
    except (OSError, BaseError) as error:
        raise TakehomeError(explain(source, error)) from error
    if not found and "://" not in source and not _is_pattern(source) and not Path(source).exists():
        raise TakehomeError(f"{source}: there is no such file or folder. {hint(Path(source))}")
    if not found:
        raise TakehomeError(
            f"{source}: there is no CSV or Parquet file. Check the path; data belong in volumes/static."
        )
    if "://" in source:
        return sorted(f"s3://{path.removeprefix('s3://')}" for path in found)
    return sorted(map(os.path.abspath, found))  # a worker of a cluster has no such working directory


def _list(files: Any, source: str) -> list[str]:
    if _is_pattern(source):
        return [path for path in files.glob(source) if _is_data(path)]
    if files.isfile(source):
        if not _is_data(source):
            raise TakehomeError(f"{source}: its ending is none of {', '.join(ENDINGS)}. Give it the one that it is.")
        return [source]
    return [path for path in files.find(source) if _is_data(path)]


def _is_pattern(source: str) -> bool:
    return any(sign in source for sign in "*?[")


def _is_data(path: str) -> bool:
    name = path.rsplit("/", 1)[-1].lower()
    return name.endswith(ENDINGS) and not name.startswith((".", "_"))
