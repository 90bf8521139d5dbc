"""Where a verification takes place: a clean copy, from which nothing leads back into the work tree."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from takehome.environment import without_secrets
from takehome.errors import TakehomeError
from takehome.settings import Settings
from takehome.verification import sandbox

MOST_BYTES = 512 << 20
_SKIPPED = (".ipynb_checkpoints", "__pycache__", ".virtual_documents", ".git")
_OWN = ("PYTHONHASHSEED", "COLUMNS", "LINES")  # of the terminal or the run that asks
_SYSTEM = ("/usr", "/etc", "/bin", "/dev", "/proc", "/sys", "/opt", "/lib")


@dataclass(frozen=True)
class Place:
    """A temporary folder laid out as a checkout: the notebooks a copy, the data a link, no model yet."""

    folder: Path
    notebook: Path  # the copy
    notebooks: Path  # the original folder
    static: Path
    models: Path
    project: Path | None  # the checkout, where the three folders are in one
    saved_at: float  # when the notebook was saved, in seconds since 1970

    @property
    def new_models(self) -> Path:
        """Where the run's model goes."""
        return self.folder / "volumes/models"

    @property
    def witness(self) -> Path:
        """Where the witness writes."""
        return self.folder / "witness"

    def environment(self) -> dict[str, str]:
        """Return the variables of a kernel that knows no other folder, no database, and no package of HOME."""
        home = os.environ.get("HOME", "/nowhere")
        paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if not path.startswith(home)]
        kept = {name: value for name, value in without_secrets().items() if name not in _OWN}
        volumes = {
            f"{name.upper()}_DIR": str(self.folder / "volumes" / name) for name in ("notebooks", "static", "models")
        }
        return kept | volumes | {
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "PYTHONNOUSERSITE": "1",
            "PIP_NO_INDEX": "1",  # what is no package of the project fails at once
            "PGHOST": "127.0.0.1",
            "PGPORT": "1",  # no server: what an earlier run left there must not be seen
            "IPYTHONDIR": str(self.folder / "ipython"),
            "WITNESS_DIR": str(self.witness),
        }  # fmt: skip

    def wrapper(self) -> list[str]:
        """Return the command that closes the kernel off."""
        folders = [self.project] if self.project else [self.static, self.notebooks, self.models]
        kept = [str(folder.resolve()) for folder in folders if folder.is_dir() and not self._is_in(folder)]
        return [sys.executable, "-I", sandbox.__file__, str(self.folder / "closed.json"), *kept, "--"]

    def closed(self) -> dict[str, bool]:
        """Return what the kernel was closed off from."""
        try:
            had = json.loads((self.folder / "closed.json").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return {}
        return had if isinstance(had, dict) else {}

    def is_mounted_read_only(self) -> bool:
        """Tell whether nobody here can write to the data, as in the container."""
        return self.static.is_dir() and bool(os.statvfs(self.static).f_flag & os.ST_RDONLY)

    def is_foreign(self, path: str) -> bool:
        """Tell whether a path is one that only this machine has."""
        if not (path.startswith(("/", "~")) or path[1:3] in (":\\", ":/")) or path.count("/") + path.count("\\") < 2:
            return False
        mounted = [] if self.project else [str(self.notebooks), str(self.static), str(self.models)]
        known = (*_SYSTEM, *mounted, str(self.folder), sys.prefix)
        return not any(path == one or path.startswith(f"{one}/") for one in known)

    def _is_in(self, folder: Path) -> bool:
        return self.folder.resolve().is_relative_to(folder.resolve())


@contextmanager
def clean_copy(notebook: Path, settings: Settings) -> Iterator[Place]:
    """Yield a place with copies of the notebooks, which is gone afterwards.

    Raises
    ------
    TakehomeError
        The folder of the notebook is too large to be copied, or can't be.
    """
    notebook = notebook.resolve()
    notebooks, static, models = (
        folder.resolve() for folder in (settings.notebooks_dir, settings.static_dir, settings.store().folder)
    )
    source = notebooks if notebook.is_relative_to(notebooks) else notebook.parent
    with tempfile.TemporaryDirectory(prefix="takehome-verify-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        _copy(source, folder / "volumes/notebooks")
        (folder / "volumes/models").mkdir()
        (folder / "volumes/static").symlink_to(static)
        (folder / "witness").mkdir()
        copy = folder / "volumes/notebooks" / notebook.relative_to(source)
        yield Place(folder, copy, source, static, models, _project(static), notebook.stat().st_mtime)


def _copy(source: Path, target: Path) -> None:
    found = (path for path in source.rglob("*") if path.is_file() and not set(_SKIPPED).intersection(path.parts))
    total = 0
    for path in found:
        total += path.stat().st_size
        if total > MOST_BYTES:
            raise TakehomeError(
                f"{source} holds over {MOST_BYTES >> 20} MB, too much for a clean copy. Move data into volumes/static."
            )
    try:
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(*_SKIPPED))
    except (OSError, shutil.Error) as error:
        raise TakehomeError(f"{source} can't be copied to {target}: {error}. Free some space there.") from error


def _project(static: Path) -> Path | None:
    root = static.parents[1] if static.parent.name == "volumes" else None
    return root if root and (root / "containers").is_dir() else None
