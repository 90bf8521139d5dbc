"""What keeps the copy of an object store fresh, and knows whether the store can be reached."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Thread

from takehome.errors import TakehomeError
from takehome.remote.mirror import Mirror

log = logging.getLogger("uvicorn.error")

POLL_SECONDS = 1


class Follower(Thread):
    """A thread that brings here what is current in the store; workers that share the copy have one each.

    Parameters
    ----------
    served : tells which version answers meanwhile.
    """

    def __init__(self, mirror: Mirror, served: Callable[[], str | None]) -> None:
        super().__init__(name="follower", daemon=True)
        self._mirror, self._served = mirror, served
        self.looked = False  # for the first time, whatever was found
        self._reason: str | None = f"{mirror.objects.url} is being read for the first time."
        self._since = datetime.now(UTC)

    @property
    def trouble(self) -> str | None:
        """Why what answers may not be what the store's `current` names, if so."""
        reason, served = self._reason, self._served()
        if reason and served:
            return f"{reason} Since {self._since:%Y-%m-%d %H:%M:%S} UTC the copy here answers: {served}."
        return reason

    def run(self) -> None:
        """Follow the store for ever."""
        seen = None
        while True:
            try:
                seen = self._mirror.follow(seen)
            except TakehomeError as error:
                seen = None
                self._fail(str(error))
            except Exception as error:  # were the thread to end, an old model would go on without a word
                seen = None
                self._fail(f"{self._mirror.objects.url} can't be followed: {type(error).__name__}. Restart the API.")
            else:
                if self._reason:
                    log.info("%s is followed.", self._mirror.objects.url)
                self._reason = None
            self.looked = True
            time.sleep(POLL_SECONDS)

    def _fail(self, reason: str) -> None:
        if reason != self._reason:
            log.warning("Models: %s", reason)
            self._since = datetime.now(UTC)
            self._reason = reason
