"""Who may ask: those with a key, of which a file has the hashes."""

import logging
import os
import re
from hashlib import sha256
from pathlib import Path

from app.settings import settings

# Health checks, and the docs: they tell no prediction, and Caddy shows them after a login only.
_OPEN = re.compile(r"/(health|ready|docs|openapi\.json|static-offline-docs/.*)?")
_LINE = re.compile(rb"[\w.-]+ ([0-9a-f]{64})")
_log = logging.getLogger("uvicorn.error")

Headers = list[tuple[bytes, bytes]]


class Keys:
    """The keys that open the API, each line of the file a name and the SHA-256 of a key.

    A file that has changed is read again at the next request; one that can't be read opens nothing. The hash is a
    plain one, since a key of 256 random bits can't be guessed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state: tuple[int, ...] | None = ()  # of the file as it was read; None: it couldn't be
        self._digests: set[bytes] = set()

    def admit(self, path: str, headers: Headers) -> bool:
        """Tell whether a request for a path comes with a key, or needs none."""
        if _OPEN.fullmatch(path):
            return True
        self._renew()
        return sha256(_given(headers)).hexdigest().encode() in self._digests

    def _renew(self) -> None:
        try:
            found = os.stat(self._path)  # noqa: PTH116  # the quicker one, at every request
            state = found.st_ino, found.st_mtime_ns, found.st_size
            if state != self._state:
                lines = self._path.read_bytes().splitlines()
                matches = [_LINE.fullmatch(line.strip()) for line in lines]
                self._digests = {match[1] for match in matches if match}
                self._state = state
                for number in (i for i, match in enumerate(matches, 1) if not match):
                    _log.warning("%s, line %d: no name and SHA-256; it opens nothing.", self._path, number)
        except OSError as error:
            if self._state is not None:
                _log.error("%s can't be read (%s): nobody gets in.", self._path, error.strerror)
            self._state, self._digests = None, set()


def _given(headers: Headers) -> bytes:
    given = {name: value for name, value in headers if name in (b"x-api-key", b"authorization")}
    if key := given.get(b"x-api-key"):
        return key
    scheme, _, key = given.get(b"authorization", b"").partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else b""


keys = Keys(settings.api_keys_file) if settings.api_keys_file else None
