"""Models in an object store, or where else fsspec gets: the layout of the folder, `current` replaced by one PUT."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from takehome.errors import TakehomeError
from takehome.object_store import VARIABLES
from takehome.remote.bucket import Bucket
from takehome.remote.filesystem import Filesystem
from takehome.remote.storage import File, MissingError, Storage
from takehome.store import KEPT, by_age, is_version

FILES = ("model.joblib", "model.json")  # in this order: a version with `model.json` is whole
_ALIASES = {"s3a": "s3", "abfs": "az", "gcs": "gs"}  # fsspec's
_CHOOSE = "Choose another: takehome models --use VERSION."
_LONGEST = 100  # bytes of `current`
_UNFINISHED = timedelta(hours=24)


class BrokenError(TakehomeError):
    """What was found in the store is no whole model; another try will find the same."""


@dataclass(frozen=True)
class Current:
    """What `current` held: a version, and the ETag by which it is known again."""

    version: str
    e_tag: str | None


Listing = dict[str, dict[str, File]]  # version: name: file


class Objects:
    """A models folder elsewhere. Credentials come from the usual variables, and never get into an error.

    Parameters
    ----------
    url : such as `s3://bucket/models`, or another that fsspec knows.

    Raises
    ------
    TakehomeError
        By every method: the store can't be reached, or refuses; by the constructor: the URL is none of a store.
    """

    def __init__(self, url: str) -> None:
        self.url, scheme = _known(url.rstrip("/"))
        kind = Bucket if scheme in VARIABLES else Filesystem
        self._storage: Storage = kind(self.url, scheme)

    def current(self, seen: Current | None = None) -> Current | None:
        """Return what is current: `seen` itself where nothing has changed since, None where nothing was saved."""
        try:
            found = self._storage.get("current", _LONGEST, seen.e_tag if seen else None)
        except MissingError:
            return None
        if found is None:
            return seen
        content, e_tag = found
        name = content.decode("ascii", "replace").strip()
        if not is_version(name):
            raise BrokenError(f"{self.url}/current doesn't name a version. {_CHOOSE}")
        return Current(name, e_tag)

    def listing(self) -> Listing:
        """Return the files of each version, whole or not."""
        found: Listing = {}
        for file in self._storage.files():
            version, _, name = file.path.partition("/")
            if is_version(version) and name in FILES:
                found.setdefault(version, {})[name] = file
        return found

    def claim(self, version: str) -> bool:
        """Take the name of a version, unless somebody has it; an empty file holds its place."""
        return self._storage.claim(version, FILES[0])

    def release(self, version: str) -> None:
        """Give the name of a version back that was never uploaded as a whole."""
        if FILES[-1] not in self.listing().get(version, {}):
            self._storage.delete([f"{version}/{FILES[0]}"])

    def upload(self, folder: Path, version: str) -> None:
        """Store the files of a version."""
        for file in FILES:
            self._storage.upload(f"{version}/{file}", folder / file)

    def download(self, version: str, folder: Path) -> None:
        """Write the files of a version into a folder."""
        with self._there():
            for file in reversed(FILES):
                self._storage.download(f"{version}/{file}", folder / file)

    def use(self, version: str) -> None:
        """Make a version current that is there as a whole."""
        with self._there():
            for file in FILES:
                self._storage.check(f"{version}/{file}")
        self._storage.put("current", f"{version}\n".encode())

    def prune(self) -> None:
        """Delete all but the last ten versions and the current one, and what was begun a day ago and never finished."""
        current, found = self.current(), self.listing()
        kept = {current and current.version, *whole(found)[-KEPT:]}
        begun = {version: max(file.modified for file in files.values()) for version, files in found.items()}
        now = max(begun.values(), default=datetime.min)  # by the store's own clock
        old = [
            file.path
            for version, files in found.items()
            if version not in kept and (len(files) == len(FILES) or now - begun[version] > _UNFINISHED)
            for file in files.values()
        ]
        if old:
            self._storage.delete(old)

    @contextmanager
    def _there(self) -> Iterator[None]:
        try:
            yield
        except MissingError:
            raise BrokenError(f"{self.url}: the model is not there any more. {_CHOOSE}") from None


def whole(listing: Listing) -> list[str]:
    """Return the versions that have all their files, oldest first."""
    return sorted((version for version, files in listing.items() if len(files) == len(FILES)), key=by_age)


def _known(url: str) -> tuple[str, str]:
    """Return an address and its scheme, or refuse it; what may hold a password is not repeated."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise TakehomeError("MODELS_DIR is no address. Write it as s3://bucket/models, or as a path.") from None
    scheme = _ALIASES.get(parts.scheme, parts.scheme)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise TakehomeError("MODELS_DIR holds more than a place and a folder. Credentials go into variables.")
    here = not parts.netloc and parts.path.startswith("/") and scheme == "file"
    if "::" in url or scheme == "memory" or not (parts.netloc or here) or (scheme == "file" and not here):
        raise TakehomeError("MODELS_DIR names no place. Write it as s3://bucket/models, file:///folder, or as a path.")
    return parts._replace(scheme=scheme).geturl(), scheme
