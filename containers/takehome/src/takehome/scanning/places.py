"""Where the files of a scan are: on this machine or in an object store, by name, folder or pattern."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

import fsspec
from obstore.exceptions import BaseError
from obstore.fsspec import register

from takehome.errors import TakehomeError
from takehome.sources import ENDINGS

Source = str | Path | Iterable[str | Path]
# A store that does not answer is told within seconds; the library's own three minutes look like a hang.
_PATIENCE = {
    "retry_config": {"max_retries": 2, "retry_timeout": timedelta(seconds=10)},
    "client_options": {"connect_timeout": timedelta(seconds=5), "timeout": timedelta(seconds=60)},
}


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


def open_file(path: str) -> IO[bytes]:
    """Open a file of this machine or of a store for reading.

    Raises
    ------
    TakehomeError
        It is not there any more, or the store can't be reached.
    """
    try:
        return _files(path).open(path, "rb")
    except (OSError, BaseError) as error:
        raise TakehomeError(explain(path, error)) from error


def explain(path: str, error: Exception) -> str:
    """Say why a place can't be read."""
    reason = str(error).strip().splitlines()[0][:300] or type(error).__name__
    if isinstance(error, FileNotFoundError):
        return f"{path}: there is no such file. Check the path; data files belong in volumes/static."
    if "://" in path:
        return f"{path}: the store can't be read ({reason}). Check the bucket's name and the AWS_* variables."
    return f"{path}: it can't be read ({reason}). Is it whole, and may you read it?"


def _files(path: str) -> Any:
    protocol, separator, _ = path.partition("://")
    if not separator:
        return fsspec.filesystem("file")
    if protocol != "s3":
        raise TakehomeError(f"{path}: '{protocol}' is no store that a scan can read. Name a path or s3://bucket/….")
    register("s3")  # anew in each process that reads
    return fsspec.filesystem("s3", **_PATIENCE)


def _find(source: str) -> list[str]:
    files = _files(source)
    try:
        found = [str(path) for path in _list(files, source)]
    except (OSError, BaseError) as error:
        raise TakehomeError(explain(source, error)) from error
    if not found:
        raise TakehomeError(
            f"{source}: there is no CSV or Parquet file. Check the path; data belong in volumes/static."
        )
    return sorted(f"s3://{path.removeprefix('s3://')}" if source.startswith("s3://") else path for path in found)


def _list(files: Any, source: str) -> list[str]:
    if any(sign in source for sign in "*?["):
        return [path for path in files.glob(source) if _is_data(path)]
    if files.isfile(source):
        if not _is_data(source):
            raise TakehomeError(f"{source}: its ending is none of {', '.join(ENDINGS)}. Give it the one that it is.")
        return [source if "://" in source else str(Path(source).absolute())]
    return [path for path in files.find(source) if _is_data(path)]


def _is_data(path: str) -> bool:
    name = path.rsplit("/", 1)[-1].lower()
    return name.endswith(ENDINGS) and not name.startswith((".", "_"))
