"""The model being served: picked up when `current` changes, proved aside, swapped between two requests."""

import asyncio
import gc
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

from takehome.artifact import checked, load_model
from takehome.errors import TakehomeError
from takehome.proof.proof import SECONDS, prove
from takehome.remote.mirror import Mirror
from takehome.store import Store

from app.follower import Follower
from app.served import Served
from app.verdicts import Verdicts

log = logging.getLogger("uvicorn.error")

POLL_SECONDS = 1  # a poll, since file events don't cross Docker Desktop
PATIENCE_SECONDS = 3
YOUNG = 20_000  # objects, after which garbage is looked for: 64 requests at a time have thousands that are none
NO_MODEL = (
    "No model was saved yet. The notebook saves one: on the first start it runs by itself, which takes about a minute; "
    "otherwise run volumes/notebooks/submission.ipynb to its end."
)
Stamp = tuple[str, tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True)
class Refusal:
    """A model that is not served, and why."""

    version: str | None
    reason: str
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


class Registry:
    """Holds the served model, if there is one, and the last that was refused."""

    def __init__(self, store: Store, verdicts: Verdicts) -> None:
        self.served: Served | None = None
        self.refused: Refusal | None = None
        self.looked = asyncio.Event()  # once: what was current at the start is served, or refused
        self.store = store
        self.on_swap: Callable[[Served], None] = lambda _: None
        self._tried: Stamp | None = None
        self._verdicts = verdicts
        self._follower = Follower(store, lambda: self.version) if isinstance(store, Mirror) else None
        self._loader = ThreadPoolExecutor(1)  # its own, so that busy predictions can't keep a model out

    @property
    def version(self) -> str | None:
        """The version being served."""
        return self.served.version if self.served else None

    @property
    def reason(self) -> str:
        """Why no model is served."""
        if told := self.store_trouble or (self.refused and self.refused.reason):
            return told
        return f"Model {self._tried[0]} is being proved, which takes a few seconds." if self._tried else NO_MODEL

    @property
    def store_trouble(self) -> str | None:
        """What keeps the object store's current model from being known here, if anything does."""
        return self._follower.trouble if self._follower else None

    @property
    def passed_over(self) -> str | None:
        """Why the model that `current` names is not the one being served, if it is not."""
        refused, tried = self.refused, self._tried
        newest = refused and (refused.version is None or (tried is not None and tried[0] == refused.version))
        return refused.reason if refused and newest else None

    async def watch(self) -> None:
        """Follow `current` for ever."""
        if self._follower:
            self._follower.start()
        while True:
            here = self._follower is None or self._follower.looked
            await self._follow()
            if here:
                self.looked.set()
            await asyncio.sleep(POLL_SECONDS)

    async def _follow(self) -> None:
        try:
            version = self.store.current()
        except TakehomeError as error:
            return self._refuse(None, str(error))
        if self.refused and self.refused.version is None:  # `current` is mended
            self.refused = None
        if version is None or (stamp := self._stamp(version)) == self._tried:
            return None
        self._tried = stamp
        loading = asyncio.get_running_loop().run_in_executor(self._loader, self._load, version)
        done, _ = await asyncio.wait({loading}, timeout=PATIENCE_SECONDS)
        if not done:  # told as refused for now: a model that hangs has its reason in /model from here on
            reason = f"Model {version} is still being proved; it will be refused after {SECONDS} s."
            self.refused = Refusal(version, reason)
        try:
            served = await loading
        except TakehomeError as error:
            return self._refuse(version, str(error))
        except Exception as error:  # a model that was proved may still fail here; the one before goes on
            return self._refuse(version, f"Model {version} can't be loaded: {type(error).__name__}: {error}")
        if self.refused and self.refused.version == version:
            self.refused = None
        if self.served is None:  # libraries stay for good: to look through them for garbage took longer than predicting
            gc.collect()
            gc.freeze()
            gc.set_threshold(YOUNG)
        self.served = served
        self.on_swap(served)
        alone = "" if served.batched else ", each row by itself: among others it would get another answer"
        log.info("Serving model %s (%s)%s.", version, served.model.metadata.name, alone)
        return None

    def _load(self, version: str) -> Served:
        metadata = checked(self.store, version)
        self._verdicts.settle(self._stamp(version), lambda: prove(self.store.path(version), metadata))
        return Served(load_model(version, models_dir=self.store.folder))

    def _stamp(self, version: str) -> Stamp:
        """Return what changes when a version or its files are replaced."""
        return version, *(_identity(self.store, version, file) for file in ("model.json", "model.joblib"))  # type: ignore[return-value]

    def _refuse(self, version: str | None, reason: str) -> None:
        if self.refused is None or (self.refused.version, self.refused.reason) != (version, reason):
            log.warning("Refused: %s", reason)
            self.refused = Refusal(version, reason)


def _identity(store: Store, version: str, file: str) -> tuple[int, ...]:
    try:
        found = (store.path(version) / file).stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns
