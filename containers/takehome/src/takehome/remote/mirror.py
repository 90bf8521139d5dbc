"""The models of an object store in a folder of one's own: served from there, and when the store is away."""

import errno
import fcntl
import math
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from takehome.errors import TakehomeError
from takehome.metadata import read_metadata, sha256
from takehome.remote.objects import FILES, BrokenError, Current, Objects, whole
from takehome.remote.storage import File
from takehome.store import KEPT, Store, by_age, flush

_ROOM = 1 << 20  # bytes that stay free
_PATIENCE_SECONDS = 5


@dataclass(frozen=True)
class Mirror(Store):
    """A copy of the models in an object store; several processes may share it.

    What is written goes into the store first. `current` is, as far as this folder knows, what the store's was at the
    last `sync`.
    """

    objects: Objects
    _broken: dict[str, tuple[Any, BrokenError]] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, url: str, mirrors: Path) -> "Mirror":
        """Return the mirror of a store, in a folder of its own among those of others; raises as `Objects` does."""
        objects = Objects(url)
        return cls(mirrors / quote(objects.url, safe=""), objects)

    def sync(self) -> None:
        """Fetch what is in the store; raises as `follow` does."""
        self.follow(None)

    def follow(self, seen: Current | None) -> Current | None:
        """Fetch what is current in the store, then the other versions; what is broken or has no room is left out.

        Parameters
        ----------
        seen : what the last call returned: nothing is done where that is still current.

        Raises
        ------
        TakehomeError
            The store can't be reached or refuses, its current model is not whole, or there is no room here for it.
            This folder is as it was then.
        """
        with self._alone():
            found = self.objects.current(seen)
            if found and found == seen:
                return found
            if found is None:
                if super().current():
                    raise TakehomeError(f"{self.objects.url} holds no current model any more. Save a model.")
                return None
            listing = self.objects.listing()
            self._fetch(found.version, listing.get(found.version, {}))
            super()._point(found.version)
            kept = {found.version, *whole(listing)[-KEPT:]}
            for version in set(self.versions()) - kept:
                shutil.rmtree(self.path(version), ignore_errors=True)
        for version in sorted(kept - set(self.versions()), key=by_age, reverse=True):
            with suppress(TakehomeError), self._alone():
                self._fetch(version, listing[version])
        return found

    def stage(self) -> tuple[str, Path]:
        """Return a new version, which nobody else has in the store, and an empty folder aside to write it into."""
        while True:
            version, staged = super().stage()
            try:
                if self.objects.claim(version):
                    return version, staged
            except TakehomeError:
                staged.rmdir()
                raise
            staged.rmdir()
            time.sleep(0.1)  # until the second is over in which somebody else saves

    def discard(self, staged: Path, version: str) -> None:
        """Remove what was staged, here and in the store."""
        super().discard(staged, version)
        with suppress(TakehomeError):  # the error that led here is the one to be told
            self.objects.release(version)

    def commit(self, staged: Path, version: str) -> None:
        """Upload a staged folder and make it current everywhere; killed at any instant, the one before stays whole."""
        self.objects.upload(staged, version)
        with self._alone():
            super().commit(staged, version)
        with suppress(TakehomeError):  # the model is saved; the next save tries to tidy up again
            self.objects.prune()

    def use(self, version: str) -> None:
        """Serve a version that is here, everywhere; not while another is being fetched for long."""
        with self._alone(_PATIENCE_SECONDS):
            super().use(version)

    def _point(self, version: str) -> None:
        self.objects.use(version)
        super()._point(version)

    def _fetch(self, version: str, files: dict[str, File]) -> None:
        """Bring a version here, checked; one that is here already is looked at again."""
        if not _fault(self.path(version)):
            return
        if missing := [file for file in FILES if file not in files]:
            raise self._not_whole(version, f"{missing[0]} is missing. Save it again")
        stamp = [files[file].stamp for file in FILES]
        tried, error = self._broken.get(version, (None, None))
        if error and tried == stamp:  # not downloaded again and again
            raise error
        arriving = self.folder / ".arriving" / version
        shutil.rmtree(arriving.parent, ignore_errors=True)  # of a process that was killed
        try:
            if sum(file.size for file in files.values()) + _ROOM > shutil.disk_usage(self.folder).free:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            arriving.mkdir(parents=True)
            self.objects.download(version, arriving)
            if fault := _fault(arriving):
                self._broken[version] = stamp, self._not_whole(version, fault)
                raise self._broken[version][1]
            for path in (*arriving.iterdir(), arriving):
                flush(path)
            shutil.rmtree(self.path(version), ignore_errors=True)
            arriving.rename(self.path(version))
            flush(self.folder)
        finally:
            shutil.rmtree(arriving.parent, ignore_errors=True)

    def _not_whole(self, version: str, what: str) -> BrokenError:
        what = what.removesuffix(".")
        return BrokenError(
            f"{self.objects.url}: model {version} is not whole: {what}, or: takehome models --use VERSION."
        )

    @contextmanager
    def _alone(self, seconds: float = math.inf) -> Iterator[None]:
        """Keep other processes that share this folder out, once they have left it."""
        until = time.monotonic() + seconds
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / ".lock").open("w") as file:
                while not _locked(file):
                    if time.monotonic() > until:
                        raise TakehomeError(
                            f"{self.objects.url}: another model is being fetched. Try again in a minute."
                        )
                    time.sleep(0.05)
                yield
        except OSError as error:
            raise TakehomeError(
                f"{self.folder} can't take a model: {error.strerror}. Free some space there, or check its owner."
            ) from error


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _fault(folder: Path) -> str | None:
    """Return what is wrong with the files of a version, if they don't belong together as they are."""
    try:
        same = sha256(folder / "model.joblib") == read_metadata(folder / "model.json").sha256
    except TakehomeError as error:
        return str(error)
    except OSError as error:
        return f"model.joblib can't be read: {error.strerror}. Save it again."
    return None if same else "model.joblib was changed or cut since it was saved. Save it again."
