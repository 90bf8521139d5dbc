"""Whatever else fsspec can reach: FTP, SFTP, SMB, HDFS, a folder by its URL, and what its plugins add."""

import json
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
from fsspec.registry import known_implementations

from takehome.errors import TakehomeError
from takehome.remote.storage import File, MissingError

Answer = TypeVar("Answer")

# What the kind or the text of an error says, and what to do about it. The texts themselves may hold passwords.
_CAUSES = {
    r"Authentication|^error_perm: 530|status=401": "it refuses the credentials. Check {variable}.",
    r"^gaierror|Name or service": "it can't be reached: its name doesn't resolve. Check it and this machine's network.",
    r"^Timeout|timed out": "it can't be reached: no answer in time. Check its address, and this machine's network.",
    r"^Connection|^EOFError|NoValidConnections|Unreachable": "it can't be reached: nobody answers there. Check its "
    "address, and whether it runs.",
    r"No space|^error_(perm|temp): [45]52": "it has no space left. Free some there.",
    r"^PermissionError|^error_perm: 55[03]|denied|status=403": "access is denied. Check who may write there.",
}


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
        self._url, self._variable = url, f"FSSPEC_{scheme.upper()}"
        self._connected: Any = None
        try:
            self._options = dict(json.loads(os.environ.get(self._variable) or "{}"))
        except (ValueError, TypeError):
            wanted = '{"username": "...", "password": "..."}'
            raise TakehomeError(f"{self._variable} is no JSON object. Write it as {wanted}.") from None
        try:
            fsspec.get_filesystem_class(scheme)
        except ValueError:
            raise TakehomeError(
                f"MODELS_DIR={url}: fsspec knows no {scheme}://. It begins with s3://, az://, gs:// or one that fsspec "
                "knows, such as sftp://, or is a path."
            ) from None
        except ImportError:
            needed = known_implementations[scheme]["err"]
            raise TakehomeError(
                f"MODELS_DIR={url} needs a package ({needed}). Add it to the environment.yml of python and fastapi."
            ) from None

    def get(self, path: str, most: int, seen: str | None = None) -> tuple[bytes, str | None] | None:  # noqa: ARG002
        """Return a small content; it has no stamp, and is read each time."""
        size = self._ask(lambda fs, root: fs.info(f"{root}/{path}")["size"])
        return (self._ask(lambda fs, root: fs.cat_file(f"{root}/{path}")) if size <= most else b""), None

    def files(self) -> Iterator[File]:
        """List everything; the time is that in the name, since filesystems tell it in many ways, or don't."""
        for path, info in self._ask(_find).items():
            yield File(path, info["size"], repr(sorted(info.items(), key=str)), _begun(path))

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
        """Replace a content by a rename; where that doesn't replace, write over it."""

        def replace(fs: Any, root: str) -> None:
            aside = f"{root}/.{path}.{uuid4().hex}.partial"
            try:
                fs.pipe_file(aside, content)
                with suppress(Exception):
                    fs.mv(aside, f"{root}/{path}")
                if not _holds(fs, f"{root}/{path}", content):
                    fs.pipe_file(f"{root}/{path}", content)
            finally:
                with suppress(Exception):
                    fs.rm_file(aside)

        self._ask(replace)

    def upload(self, path: str, file: Path) -> None:
        """Store a file."""
        self._ask(lambda fs, root: fs.put_file(str(file), f"{root}/{path}"))

    def download(self, path: str, file: Path) -> None:
        """Write a content into a file."""
        self._ask(lambda fs, root: fs.get_file(f"{root}/{path}", str(file)))

    def check(self, path: str) -> None:
        """Ask for the file's size."""
        self._ask(lambda fs, root: fs.info(f"{root}/{path}"))

    def delete(self, paths: list[str]) -> None:
        """Delete files, and the folders that they are in."""

        def remove(fs: Any, root: str) -> None:
            for folder in {path.partition("/")[0] for path in paths}:
                fs.rm(f"{root}/{folder}", recursive=True)

        self._ask(remove)

    def _ask(self, what: Callable[[Any, str], Answer]) -> Answer:
        """Do something with the filesystem and its folder; after an error it is connected to anew."""
        try:
            if self._connected is None:
                self._connected = url_to_fs(self._url, skip_instance_cache=True, **self._options)
            fs, root = self._connected
            fs.invalidate_cache()
            return what(fs, root.rstrip("/"))
        except FileNotFoundError:
            raise MissingError(f"{self._url}: nothing is there.") from None
        except Exception as error:  # each protocol has its own
            self._connected = None
            said = f"{type(error).__name__}: {error}"
            known = next((cause for pattern, cause in _CAUSES.items() if re.search(pattern, said)), None)
            unknown = f"it failed ({type(error).__name__}). Check the address and {self._variable}, and try again."
            told = known.format(variable=self._variable) if known else unknown
            raise TakehomeError(f"{self._url}: {told}") from None


def _find(fs: Any, root: str) -> dict[str, dict[str, Any]]:
    try:
        found = fs.find(root, maxdepth=2, detail=True, on_error="raise")
    except FileNotFoundError:  # nothing was saved yet
        return {}
    return {path.removeprefix(root).lstrip("/"): info for path, info in found.items()}


def _begun(path: str) -> datetime:
    try:
        return datetime.strptime(path[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    except ValueError:  # no version's
        return datetime.min.replace(tzinfo=UTC)


def _holds(fs: Any, path: str, content: bytes) -> bool:
    try:
        return bool(fs.cat_file(path) == content)
    except FileNotFoundError:
        return False
