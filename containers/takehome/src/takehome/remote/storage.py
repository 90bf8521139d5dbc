"""What a place for models must be able to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from takehome.errors import TakehomeError


class MissingError(TakehomeError):
    """A path is not there."""


@dataclass(frozen=True)
class File:
    """A file as it is listed: `path` below the place, `size` in bytes, a `stamp` that another content changes."""

    path: str
    size: int
    stamp: str | None
    modified: datetime


class Storage(Protocol):
    """A place, whose paths are relative to it.

    Raises
    ------
    TakehomeError
        By every method: the place can't be reached, or refuses; a `MissingError` where the path is not there.
    """

    def get(self, path: str, most: int, seen: str | None = None) -> tuple[bytes, str | None] | None:
        """Return a content of at most `most` bytes, empty where it has more, and its stamp; None where it is `seen`."""

    def files(self) -> Iterable[File]:
        """List everything."""

    def claim(self, folder: str, file: str) -> bool:
        """Make a folder with an empty file in it; tell whether it is ours, for somebody else may have it."""

    def put(self, path: str, content: bytes) -> None:
        """Replace a content, as a whole."""

    def upload(self, path: str, file: Path) -> None:
        """Store a file of this machine."""

    def download(self, path: str, file: Path) -> None:
        """Write a content into a file of this machine."""

    def check(self, path: str) -> None:
        """Do nothing but raise where the path is not there."""

    def delete(self, paths: list[str]) -> None:
        """Delete files."""
