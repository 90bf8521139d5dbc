"""Whatever else fsspec can reach: FTP, SFTP, SMB, HDFS, a folder by its URL, and what its plugins add."""

import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import fsspec
from fsspec.core import url_to_fs

from takehome.errors import TakehomeError
from takehome.remote.storage import File, MissingError

Answer = TypeVar("Answer")

# What the kind or the text of an error says, and what to do about it. The texts themselves may hold passwords.
_CAUSES = {
    r"Authentication|No authentication|^error_perm: 530|status=401": "it refuses the credentials. Check {variable}.",
    r"^gaierror|Name or service": "it can't be reached: its name doesn't resolve. Check it and this machine's network.",
    r"^Timeout|timed out|protocol banner|No existing session": "it can't be reached: no answer in time. Check its "
    "address, and this machine's network.",
    r"^Connection|^BrokenPipe|^EOFError|NoValidConnections|Unreachable|Socket is closed": "it can't be reached: nobody "
    "answers there. Check its address, and whether it runs.",
    r"No space|^error_(perm|temp): [45]52": "it has no space left. Free some there.",
    r"^PermissionError|^error_perm: 55[03]|denied|status=403": "access is denied. Check who may write there.",
}
# Without these, paramiko waits for ever, and the others for half a minute.
_PATIENCE_SECONDS = 10
_TIMEOUTS = {
    "ftp": {"timeout": _PATIENCE_SECONDS},
    "sftp": dict.fromkeys(("timeout", "banner_timeout", "auth_timeout"), _PATIENCE_SECONDS),
}
logging.getLogger("paramiko").addHandler(logging.NullHandler())  # else it prints the errors that it also raises


class Filesystem:
    """A folder that fsspec can reach. Credentials come from fsspec's variables, and never get into an error.

    Parameters
    ----------
    url : such as `sftp://host/models`.
    scheme : its protocol; `FSSPEC_` and its name is the variable that holds credentials and options, as JSON.

    Raises
    ------
    TakehomeError
        fsspec doesn't know the protocol, or a package is missing.
    """

    def __init__(self, url: str, scheme: str) -> None:
        self._url, self._scheme, self._variable = url, scheme, f"FSSPEC_{scheme.upper()}"
        self._connected: Any = None
        self._options = _TIMEOUTS.get(scheme, {}) | _options(self._variable)
        try:
            fsspec.get_filesystem_class(scheme)
        except ValueError:
            raise TakehomeError(
                f"MODELS_DIR={url}: fsspec knows no {scheme}://. It begins with s3://, az://, gs:// or one that fsspec "
                "knows, such as sftp://, or is a path."
            ) from None
        except ImportError as error:
            raise TakehomeError(
                f"MODELS_DIR={url} needs a package ({error}). Add it to the environment.yml of python and fastapi."
            ) from None

    def get(self, path: str, most: int, seen: str | None = None) -> tuple[bytes, str | None] | None:  # noqa: ARG002
        """Return a small content; it has no stamp, and is read each time."""

        def read(fs: Any, root: str) -> bytes:
            size = fs.info(f"{root}/{path}")["size"]
            return bytes(fs.cat_file(f"{root}/{path}")) if size is not None and size <= most else b""

        return self._ask(read), None

    def files(self) -> Iterator[File]:
        """List everything."""
        for path, info in self._ask(_find).items():
            modified = _modified(path, info)
            yield File(path, info["size"], f"{info['size']} {modified}", modified)

    def claim(self, folder: str, file: str) -> bool:
        """Make the folder, which a filesystem does for one of several at once."""

        def make(fs: Any, root: str) -> bool:
            if fs.exists(f"{root}/{folder}"):
                return False
            fs.makedirs(root, exist_ok=True)
            try:
                fs.mkdir(f"{root}/{folder}", create_parents=False)
            except Exception:
                fs.invalidate_cache()
                if fs.exists(f"{root}/{folder}"):
                    return False
                raise
            fs.pipe_file(f"{root}/{folder}/{file}", b"")
            return True

        return self._ask(make)

    def put(self, path: str, content: bytes) -> None:
        """Replace a content by a rename; where that can't replace, write over it."""

        def replace(fs: Any, root: str) -> None:
            aside = f"{root}/.{path}.{uuid4().hex}.partial"
            fs.pipe_file(aside, content)
            try:
                fs.mv(aside, f"{root}/{path}")
                fs.invalidate_cache()
                renamed = not fs.exists(aside)
            except Exception:
                renamed = False
            if not renamed:
                fs.pipe_file(f"{root}/{path}", content)
                fs.rm_file(aside)

        self._ask(replace)

    def upload(self, path: str, file: Path) -> None:
        """Store a file, under its name once it is whole."""

        def store(fs: Any, root: str) -> None:
            fs.put_file(str(file), f"{root}/{path}.partial")
            with suppress(Exception):
                fs.rm_file(f"{root}/{path}")  # what held the place
            fs.mv(f"{root}/{path}.partial", f"{root}/{path}")

        self._ask(store)

    def download(self, path: str, file: Path) -> None:
        """Write a content into a file."""
        self._ask(lambda fs, root: fs.get_file(f"{root}/{path}", str(file)))

    def check(self, path: str) -> None:
        """Ask for the file's size."""
        self._ask(lambda fs, root: fs.info(f"{root}/{path}"))

    def delete(self, paths: list[str]) -> None:
        """Delete files, and the folders that they are in; not by fsspec's `rm`, which takes names for patterns."""

        def remove(fs: Any, root: str) -> None:
            for folder in {path.partition("/")[0] for path in paths}:
                for found in fs.ls(f"{root}/{folder}", detail=True):
                    fs.rm_file(found["name"])
                fs.rmdir(f"{root}/{folder}")

        self._ask(remove)

    def _ask(self, what: Callable[[Any, str], Answer]) -> Answer:
        """Do something with the filesystem and its folder; where a kept connection broke since, with a new one."""
        kept = self._connected is not None
        try:
            fs, root = self._connected = self._connected or self._connect()
            fs.invalidate_cache()
            return what(fs, root.rstrip("/"))
        except TakehomeError:
            raise
        except FileNotFoundError:
            raise MissingError(f"{self._url}: nothing is there. Check the address, or save a model.") from None
        except Exception as error:  # each protocol has its own
            self._leave()
            if not (kept and isinstance(error, OSError | EOFError)):
                raise self._told(error) from None
        return self._ask(what)

    def _connect(self) -> Any:
        try:
            fs, root = url_to_fs(self._url, skip_instance_cache=True, **self._options)
            if self._scheme == "sftp":
                fs.ftp.get_channel().settimeout(_PATIENCE_SECONDS)
        except Exception as error:
            raise self._told(error) from None
        return fs, root

    def _leave(self) -> None:
        if self._scheme == "sftp":  # paramiko's threads would stay
            self._connected[0].client.close()
        self._connected = None

    def _told(self, error: Exception) -> TakehomeError:
        said = f"{type(error).__name__}: {error}"
        known = next((cause for pattern, cause in _CAUSES.items() if re.search(pattern, said)), None)
        unknown = f"it failed ({type(error).__name__}). Check the address and {self._variable}, and try again."
        return TakehomeError(f"{self._url}: {known.format(variable=self._variable) if known else unknown}")


def _options(variable: str) -> dict[str, Any]:
    try:
        found = json.loads(os.environ.get(variable) or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        wanted = '{"username": "...", "password": "..."}'
        raise TakehomeError(f"{variable} is no JSON object. Write it as {wanted}.")
    return found


def _find(fs: Any, root: str) -> dict[str, dict[str, Any]]:
    try:
        found = fs.find(root, maxdepth=2, detail=True, on_error="raise")
    except FileNotFoundError:  # nothing was saved yet
        return {}
    return {path.removeprefix(root).lstrip("/"): info for path, info in found.items()}


def _modified(path: str, info: dict[str, Any]) -> datetime:
    """Return when a file was written by its own filesystem's clock; where that isn't told, the time in its name."""
    found = info.get("mtime") or info.get("modify") or path[:15].replace("-", "")
    try:
        if isinstance(found, int | float):
            return datetime.fromtimestamp(found, UTC)
        if isinstance(found, str):
            found = datetime.strptime(found[:14], "%Y%m%d%H%M%S")
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    except ValueError:  # no date
        return datetime.min.replace(tzinfo=UTC)
