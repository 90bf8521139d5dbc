"""The folder of models: versions beside each other, and one line that says which is served."""

import os
import re
import shutil
import stat
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from takehome.errors import TakehomeError
from takehome.metadata import Metadata, read_metadata

KEPT = 10
_VERSION = re.compile(r"[0-9]{8}-[0-9]{6}(-[0-9]+)?")
_ABANDONED_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Store:
    """A models folder, `volumes/models` as a rule.

    `current` is one line, the version being served; replacing that file is what commits a model.
    """

    folder: Path

    def sync(self) -> None:
        """Bring here what was saved elsewhere: nothing, where models live in a folder."""

    def current(self) -> str | None:
        """Return the version being served, or None where no model was saved yet.

        Raises
        ------
        TakehomeError
            `current` is no regular file, or doesn't hold the name of a version.
        """
        path = self.folder / "current"
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                raise TakehomeError(f"{path} is not a regular file. Choose a version: takehome models --use VERSION.")
            with path.open("rb") as file:
                name = file.read(100).decode("ascii", "replace").strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise TakehomeError(f"{path} can't be read: {error.strerror}. Check who owns the folder.") from error
        if not is_version(name):
            raise TakehomeError(f"{path} doesn't name a version. Choose one: takehome models --use VERSION.")
        return name

    def path(self, version: str) -> Path:
        """Return the folder of a version, whether it is there or not."""
        return self.folder / version

    def versions(self) -> list[str]:
        """Return the versions that are here, oldest first."""
        return sorted((p.name for p in self.folder.glob("*/") if is_version(p.name)), key=by_age)

    def metadata(self, version: str) -> Metadata:
        """Return the `model.json` of a version.

        Raises
        ------
        TakehomeError
            As `read_metadata` does.
        """
        return read_metadata(self.path(version) / "model.json")

    def stage(self) -> tuple[str, Path]:
        """Return a new version and an empty folder aside to write it into."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for partial in self.folder.glob(".*.partial"):
            _remove_abandoned(partial)
        base, count = datetime.now(UTC).strftime("%Y%m%d-%H%M%S"), 1
        while True:
            version = base if count == 1 else f"{base}-{count}"
            staged = self.folder / f".{version}.partial"
            try:
                staged.mkdir()
            except FileExistsError:
                count += 1
                continue
            if not self.path(version).exists():
                return version, staged
            staged.rmdir()
            count += 1

    def discard(self, staged: Path, version: str) -> None:  # noqa: ARG002  # a store elsewhere knows it by its version
        """Remove a staged folder."""
        shutil.rmtree(staged, ignore_errors=True)

    def commit(self, staged: Path, version: str) -> None:
        """Make a staged folder a version, and serve it; killed at any instant, the one before stays whole."""
        for file in staged.iterdir():
            flush(file)
        flush(staged)
        staged.rename(self.path(version))
        flush(self.folder)
        self._point(version)
        for old in [v for v in self.versions() if v != version][: -(KEPT - 1)]:
            shutil.rmtree(self.path(old), ignore_errors=True)

    def use(self, version: str) -> None:
        """Serve a version that is here.

        Raises
        ------
        TakehomeError
            There is no such version.
        """
        if version not in self.versions():
            known = ", ".join(self.versions()) or "none"
            raise TakehomeError(f"{self.folder}: there is no model {version!r}. Versions here: {known}.")
        self._point(version)

    def _point(self, version: str) -> None:
        # Not named after the process: containers number theirs alike, and threads share one.
        aside = self.folder / f".current.{uuid4().hex}.partial"
        try:
            aside.write_text(version + "\n", encoding="ascii")
            flush(aside)
            aside.replace(self.folder / "current")
        finally:
            aside.unlink(missing_ok=True)
        flush(self.folder)


def _remove_abandoned(partial: Path) -> None:
    try:
        if time.time() - partial.stat().st_mtime < _ABANDONED_SECONDS:
            return
        partial.unlink() if partial.is_file() else shutil.rmtree(partial)
    except OSError:
        pass  # whoever was writing it has just finished, or removes it too


def flush(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_version(name: str) -> bool:
    """Tell whether a name can be that of a version."""
    return _VERSION.fullmatch(name) is not None


def by_age(version: str) -> tuple[str, int]:
    """Return what versions are sorted by, oldest first."""
    date, seconds, *count = version.split("-")
    return f"{date}-{seconds}", int(count[0]) if count else 1
