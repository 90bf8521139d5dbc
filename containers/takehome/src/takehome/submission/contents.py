"""What goes into a submission: each file by its name in the archive."""

import os
from collections.abc import Iterator
from pathlib import Path

import nbformat
from pydantic import Field

from takehome.errors import TakehomeError
from takehome.settings import Settings
from takehome.submission.card import card
from takehome.submission.deck import deck
from takehome.submission.manifest import File
from takehome.submission.page import asset, notebook_page
from takehome.verification.data import sha256_of

_MOST_BESIDE = 50 << 20
_MODEL = ("model.json", "model.joblib")
_SKIPPED = ("__pycache__", ".")


def _containers() -> Path:
    here = Path.cwd()
    folders = (parent / "containers" for parent in (here, *here.parents))
    return next((folder for folder in folders if (folder / "constraints.txt").is_file()), Path("containers"))


def _submission() -> Path:
    return Settings().static_dir.with_name("submission")


class Places(Settings):
    """`CONTAINERS_DIR` and `SUBMISSION_DIR`, beside the folders that all commands know."""

    containers_dir: Path = Field(default_factory=_containers)
    submission_dir: Path = Field(default_factory=_submission)


def contents(notebook: Path, places: Places) -> tuple[str, dict[str, bytes]]:
    """Return the version of the model, and the files of a submission but for the data.

    Parameters
    ----------
    notebook : run and saved.
    places : where everything is.

    Raises
    ------
    TakehomeError
        A file is missing or too large, or no model was saved.
    """
    store = places.store()
    version = store.current()
    if version is None:
        raise TakehomeError(f"{store.folder}: no model was saved yet. Run the notebook to its end.")
    parsed = nbformat.read(notebook, as_version=4)
    try:
        files = {
            "REVIEW.md": asset("REVIEW.md").encode(),
            "model-card.md": card(store.metadata(version), parsed).encode(),
            "notebook.html": notebook_page(parsed, notebook.parent).encode(),
            "slides.html": deck(parsed, notebook.parent).encode(),
            **{_beside(notebook, path): path.read_bytes() for path in _kept(notebook)},
            **{f"models/{version}/{name}": (store.path(version) / name).read_bytes() for name in _MODEL},
            **{f"environment/{name}": path.read_bytes() for name, path in _environment(places.containers_dir)},
        }
    except OSError as error:
        raise TakehomeError(f"{error.filename} can't be read: {error.strerror}. Put it back.") from error
    return version, files


def data(folder: Path) -> dict[str, Path]:
    """Return the files of the static folder by name; links and hidden files are left out."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return {path.name: path for path in paths if path.is_file() and not path.is_symlink() and path.name[0] != "."}


def fingerprints(folder: Path) -> dict[str, File]:
    """Return SHA-256 and size of each file of the static folder."""
    return {name: File(sha256=sha256_of(path), bytes=path.stat().st_size) for name, path in data(folder).items()}


def _kept(notebook: Path) -> Iterator[Path]:
    """Give the notebook and what it may read beside it: everything but other notebooks and what is hidden."""
    size = 0
    for folder, folders, names in os.walk(notebook.parent):
        folders[:] = sorted(name for name in folders if not name.startswith(_SKIPPED))
        for path in (Path(folder, name) for name in sorted(names) if not name.startswith(_SKIPPED)):
            if path == notebook or (path.suffix != ".ipynb" and path.is_file() and not path.is_symlink()):
                size += path.stat().st_size
                if size > _MOST_BESIDE:
                    raise TakehomeError(
                        f"{notebook.parent} holds over {_MOST_BESIDE >> 20} MB. "
                        "Move what the notebook doesn't need away, and data to volumes/static."
                    )
                yield path


def _beside(notebook: Path, path: Path) -> str:
    return f"notebooks/{path.relative_to(notebook.parent).as_posix()}"


def _environment(containers: Path) -> Iterator[tuple[str, Path]]:
    yield "constraints.txt", containers / "constraints.txt"
    for path in sorted(containers.glob("*/environment.yml")):
        yield f"{path.parent.name}/{path.name}", path
