"""A bucket of an object store."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from obstore.exceptions import AlreadyExistsError, BaseError, NotModifiedError
from obstore.store import from_url

from takehome.errors import TakehomeError
from takehome.object_store import NO_BUCKET, RETRIES, VARIABLES, cause, client_options
from takehome.remote.storage import File, MissingError

_QUICK = {"timeout": "5s"}  # for what is small
_PATIENT = {"read_timeout": "60s", "timeout": "1 day"}  # for models: as long as they move
_PARTS = 4  # that are uploaded at once: what a slow line moves within that time


class Bucket:
    """A folder of a bucket, or all of it. Credentials come from the usual variables, and never get into an error.

    Parameters
    ----------
    url : such as `s3://bucket/models`.
    scheme : its kind, one of `VARIABLES`.

    Raises
    ------
    TakehomeError
        The store's variables are wrong, or missing.
    """

    def __init__(self, url: str, scheme: str) -> None:
        self._url, self._scheme = url, scheme
        variable = VARIABLES[scheme].endpoint
        if not re.fullmatch(r"https?://[\w.\[\]:-]+/?[^\s@]*", os.environ.get(variable) or "https://none"):
            raise TakehomeError(f"{variable} is no address. Write it as https://host or http://host:port.")
        with self._told():
            self._quick, self._patient = (
                from_url(url, client_options=client_options(scheme, **timeouts), retry_config=RETRIES)
                for timeouts in (_QUICK, _PATIENT)
            )

    def get(self, path: str, most: int, seen: str | None = None) -> tuple[bytes, str | None] | None:
        """Return a small content and its ETag."""
        with self._told():
            try:
                found = self._quick.get(path, options={"if_none_match": seen} if seen else None)
            except NotModifiedError:
                return None
            content = bytes(found.bytes()) if found.meta["size"] <= most else b""
        return content, found.meta["e_tag"]

    def files(self) -> Iterator[File]:
        """List everything; a stamp is an ETag."""
        with self._told():
            for meta in (meta for page in self._quick.list() for meta in page):
                yield File(meta["path"], meta["size"], meta["e_tag"], meta["last_modified"])

    def claim(self, folder: str, file: str) -> bool:
        """Create an object that holds the folder's place."""
        with self._told():
            try:
                self._quick.put(f"{folder}/{file}", b"", mode="create")
            except AlreadyExistsError:
                return False
        return True

    def put(self, path: str, content: bytes) -> None:
        """Replace an object by one PUT."""
        with self._told():
            self._quick.put(path, content)

    def upload(self, path: str, file: Path) -> None:
        """Store a file, a large one in parts."""
        with self._told():
            self._patient.put(path, file, max_concurrency=_PARTS)

    def download(self, path: str, file: Path) -> None:
        """Write an object into a file."""
        with self._told(), file.open("wb") as target:
            for chunk in self._patient.get(path).stream():
                target.write(chunk)

    def check(self, path: str) -> None:
        """Ask for the object's head."""
        with self._told():
            self._quick.head(path)

    def delete(self, paths: list[str]) -> None:
        """Delete objects."""
        with self._told():
            self._quick.delete(paths)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say in a sentence what the store said in its own words."""
        try:
            yield
        except FileNotFoundError as error:  # obstore's; a 404 of HEAD says no more than that
            if error.errno or NO_BUCKET.search(str(error)):
                raise TakehomeError(f"{self._url}: {cause(str(error), self._scheme)}") from None
            raise MissingError(f"{self._url}: nothing is there. Check the address, or save a model.") from None
        except BaseError as error:
            raise TakehomeError(f"{self._url}: {cause(str(error), self._scheme)}") from None
