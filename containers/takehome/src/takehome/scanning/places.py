"""Where the files of a scan are: on this machine or in an object store, by name, folder or pattern."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

import fsspec
from obstore.exceptions import BaseError
from obstore.fsspec import register

from takehome.errors import TakehomeError
from takehome.reading import hint
from takehome.sources import ENDINGS

Source = str | Path | Iterable[str | Path]

# What an error of the store says, and what it means; the texts themselves may hold access keys.
_CAUSES = {
    r"NoSuchBucket": "there is no such bucket. Check its name",
    r"AccessDenied|403 Forbidden|InvalidAccessKeyId|Signature|Token|Unauth|Missing \w+|169\.254": "the credentials are "
    "missing or refused. Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and what they may read",
    r"BadScheme": "its address is http://, which nothing protects. Where that is right, set AWS_ALLOW_HTTP=true",
    r"dns error|[Tt]imed ?[Oo]ut|Timeout|kind: Connect": "the store can't be reached. Check AWS_ENDPOINT_URL",
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
        known = (cause for pattern, cause in _CAUSES.items() if re.search(pattern, str(error)))
        return f"{path}: {next(known, 'the store failed. Try again later')}."
    return f"{path}: it can't be read ({str(error).strip().splitlines()[0]}). Is it whole, and may you read it?"


def _files(path: str) -> Any:
    protocol, separator, _ = path.partition("://")
    if not separator:
        return fsspec.filesystem("file")
    if protocol != "s3":
        raise TakehomeError(f"{path}: '{protocol}' is no store that a scan can read. Name a path or s3://bucket/….")
    register("s3")  # anew in each process that reads
    # The environment's AWS_ALLOW_HTTP doesn't count any more where options are given.
    options = {"allow_http": os.environ.get("AWS_ALLOW_HTTP", "").lower() == "true", "connect_timeout": "5s"}
    retries = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}  # the library's three minutes look like a hang
    return fsspec.filesystem("s3", client_options={**options, "timeout": "60s"}, retry_config=retries)


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
    return sorted(f"s3://{path.removeprefix('s3://')}" if source.startswith("s3://") else path for path in found)


def _list(files: Any, source: str) -> list[str]:
    if _is_pattern(source):
        return [path for path in files.glob(source) if _is_data(path)]
    if files.isfile(source):
        if not _is_data(source):
            raise TakehomeError(f"{source}: its ending is none of {', '.join(ENDINGS)}. Give it the one that it is.")
        return [source if "://" in source else str(Path(source).absolute())]
    return [path for path in files.find(source) if _is_data(path)]


def _is_pattern(source: str) -> bool:
    return any(sign in source for sign in "*?[")


def _is_data(path: str) -> bool:
    name = path.rsplit("/", 1)[-1].lower()
    return name.endswith(ENDINGS) and not name.startswith((".", "_"))
