"""Where the shared folders are: from the environment, else the nearest `volumes/` at or above the working directory."""

from functools import partial
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings


def _nearest(name: str) -> Path:
    here = Path.cwd()
    folders = (parent / "volumes" / name for parent in (here, *here.parents))
    return next((folder for folder in folders if folder.is_dir()), Path("volumes") / name)


class Settings(BaseSettings):
    """`MODELS_DIR`, `STATIC_DIR` and `NOTEBOOKS_DIR`."""

    models_dir: Path = Field(default_factory=partial(_nearest, "models"))
    static_dir: Path = Field(default_factory=partial(_nearest, "static"))
    notebooks_dir: Path = Field(default_factory=partial(_nearest, "notebooks"))
