"""Models in an object store: the layout of the folder, an object a file, and `current` replaced by one PUT."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from obstore.exceptions import AlreadyExistsError, BaseError, NotModifiedError
from obstore.store import from_url

from takehome.errors import TakehomeError
from takehome.object_store import NO_BUCKET, RETRIES, VARIABLES, cause, client_options
from takehome.store import KEPT, by_age, is_version

FILES = ("model.joblib", "model.json")  # in this order: a version with `model.json` is whole
_ALIASES = {"s3a": "s3", "abfs": "az", "gcs": "gs"}  # fsspec's
_QUICK = {"timeout": "5s"}  # for what is small
_PATIENT = {"read_timeout": "60s", "timeout": "1 day"}  # for models: as long as they move
_PARTS = 4  # that are uploaded at once: what a slow line moves within that time
_CHOOSE = "Choose another: takehome models --use VERSION."
_UNFINISHED = timedelta(hours=24)


class BrokenError(TakehomeError):
    """What was found in the store is no whole model; another try will find the same."""


@dataclass(frozen=True)
class Current:
    """What `current` held: a version, and the ETag by which it is known again."""

    version: str
    e_tag: str | None


Listing = dict[str, dict[str, Any]]  # version: file: size, e_tag and last_modified


class Objects:
    """A models folder in an object store. Credentials come from the usual variables, and never get into an error.

    Parameters
    ----------
    url : such as `s3://bucket/models`.

    Raises
    ------
    TakehomeError
        By every method: the store can't be reached, or refuses; by the constructor: the URL is none of a store.
    """

    def __init__(self, url: str) -> None:
        self.url, self._scheme = _known(url.rstrip("/"))
        with self._told():
            self._quick, self._patient = (
                from_url(self.url, client_options=client_options(self._scheme, **timeouts), retry_config=RETRIES)
                for timeouts in (_QUICK, _PATIENT)
            )

    def current(self, seen: Current | None = None) -> Current | None:
        """Return what is current: `seen` itself where nothing has changed since, None where nothing was saved."""
        with self._told():
            try:
                found = self._quick.get("current", options={"if_none_match": seen.e_tag} if seen else None)
                name = bytes(found.bytes()).decode("ascii", "replace").strip() if found.meta["size"] < 100 else "?"
            except NotModifiedError:
                return seen
            except FileNotFoundError as error:
                if NO_BUCKET.search(str(error)):
                    raise
                return None
        if not is_version(name):
            raise BrokenError(f"{self.url}/current doesn't name a version. {_CHOOSE}")
        return Current(name, found.meta["e_tag"])

    def listing(self) -> Listing:
        """Return the files of each version, whole or not."""
        found: Listing = {}
        with self._told():
            for meta in (meta for page in self._quick.list() for meta in page):
                version, _, file = meta["path"].partition("/")
                if is_version(version) and file in FILES:
                    found.setdefault(version, {})[file] = meta
        return found

    def claim(self, version: str) -> bool:
        """Take the name of a version, unless somebody has it; an empty file holds its place."""
        with self._told():
            try:
                self._quick.put(f"{version}/{FILES[0]}", b"", mode="create")
            except AlreadyExistsError:
                return False
        return True

    def release(self, version: str) -> None:
        """Give the name of a version back that was never uploaded as a whole."""
        if FILES[-1] not in self.listing().get(version, {}):
            with self._told():
                self._quick.delete(f"{version}/{FILES[0]}")

    def upload(self, folder: Path, version: str) -> None:
        """Store the files of a version."""
        with self._told():
            for file in FILES:
                self._patient.put(f"{version}/{file}", folder / file, max_concurrency=_PARTS)

    def download(self, version: str, folder: Path) -> None:
        """Write the files of a version into a folder."""
        with self._told():
            for file in reversed(FILES):
                with (folder / file).open("wb") as target:
                    for chunk in self._patient.get(f"{version}/{file}").stream():
                        target.write(chunk)

    def use(self, version: str) -> None:
        """Make a version current that is there as a whole."""
        with self._told():
            self._quick.head(f"{version}/{FILES[-1]}")
            self._quick.put("current", f"{version}\n".encode())

    def prune(self) -> None:
        """Delete all but the last ten versions and the current one, and what was begun a day ago and never finished."""
        current, found = self.current(), self.listing()
        kept = {current and current.version, *whole(found)[-KEPT:]}
        begun = {version: max(meta["last_modified"] for meta in files.values()) for version, files in found.items()}
        now = max(begun.values(), default=None)  # by the store's own clock
        old = [
            meta["path"]
            for version, files in found.items()
            if version not in kept and (len(files) == len(FILES) or now - begun[version] > _UNFINISHED)
            for meta in files.values()
        ]
        if old:
            with self._told():
                self._quick.delete(old)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say in a sentence what the store said in its own words."""
        try:
            yield
        except FileNotFoundError as error:  # obstore's; a 404 of HEAD says no more than that
            if error.errno or NO_BUCKET.search(str(error)):
                raise TakehomeError(f"{self.url}: {cause(str(error), self._scheme)}") from None
            raise BrokenError(f"{self.url}: the model is not there any more. {_CHOOSE}") from None
        except BaseError as error:
            raise TakehomeError(f"{self.url}: {cause(str(error), self._scheme)}") from None


def whole(listing: Listing) -> list[str]:
    """Return the versions that have all their files, oldest first."""
    return sorted((version for version, files in listing.items() if len(files) == len(FILES)), key=by_age)


def _known(url: str) -> tuple[str, str]:
    """Return an address and what kind of store it is of, or refuse it; what may hold a password is not repeated."""
    parts = urlsplit(url)
    scheme = _ALIASES.get(parts.scheme, parts.scheme)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise TakehomeError("MODELS_DIR holds more than a bucket and a folder. Credentials go into variables.")
    if scheme not in VARIABLES or not parts.netloc:
        known = ", ".join(f"{scheme}://" for scheme in VARIABLES)
        raise TakehomeError(f"MODELS_DIR={url} is no folder and no object store. It begins with {known}, or is a path.")
    variable = VARIABLES[scheme].endpoint
    if not re.fullmatch(r"https?://[\w.\[\]:-]+/?[^\s@]*", os.environ.get(variable) or "https://none"):
        raise TakehomeError(f"{variable} is no address. Write it as https://host or http://host:port.")
    return parts._replace(scheme=scheme).geturl(), scheme
