"""Where the shared folders are: from the environment, else the nearest `volumes/` at or above the working directory."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field
from pydantic_settings import BaseSettings

if TYPE_CHECKING:
    from takehome.store import Store


def _nearest(name: str) -> Path:
    here = Path.cwd()
    folders = (parent / "volumes" / name for parent in (here, *here.parents))
    return next((folder for folder in folders if folder.is_dir()), Path("volumes") / name)


class Settings(BaseSettings):
    """`MODELS_DIR`, which may be a folder or a URL, `MODELS_MIRROR`, `STATIC_DIR` and `NOTEBOOKS_DIR`."""

    models_dir: str = Field(default_factory=lambda: str(_nearest("models")))
    models_mirror: Path = Field(default_factory=partial(_nearest, "models"))
    static_dir: Path = Field(default_factory=partial(_nearest, "static"))
    notebooks_dir: Path = Field(default_factory=partial(_nearest, "notebooks"))

    def store(self) -> "Store":
        """Return the models as they are now.

        Raises
        ------
        TakehomeError
            They are in an object store that can't be reached or refuses.
        """
        store = open_store(self.models_dir, self.models_mirror)
        store.sync()
        return store


def open_store(place: str | Path, mirror: Path) -> "Store":
    """Return the models of a folder or of an object store.

    Parameters
    ----------
    place : a folder, or a URL such as `s3://bucket/models`.
    mirror : the folder in which a copy is kept of what is in an object store, each in a folder of its own.

    Raises
    ------
    TakehomeError
        The URL is none that fsspec knows.
    """
    # To read settings must not take a second: a store brings pandas along.
    from takehome.remote.mirror import Mirror  # noqa: PLC0415
    from takehome.store import Store  # noqa: PLC0415

    return Mirror.of(str(place), mirror) if is_url(place) else Store(Path(place))


def is_url(place: str | Path) -> bool:
    """Tell whether models are elsewhere than in a folder."""
    return "://" in str(place)
