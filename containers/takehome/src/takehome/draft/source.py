"""The file that somebody named, found from the host's path as well as from the container's."""

import shlex
from difflib import get_close_matches
from pathlib import Path

from takehome.errors import TakehomeError
from takehome.sources import ENDINGS, find_sources, stem


def find_source(data: str | Path, folder: Path) -> Path:
    """Return the file of the static folder that is meant.

    Parameters
    ----------
    data : its path here, its path on the host (`volumes/static/loans.csv`), or its name.
    folder : the static folder.

    Raises
    ------
    TakehomeError
        There is no such file, it lies elsewhere, or it is neither CSV nor Parquet.
    """
    given = Path(data)
    if given == Path():
        raise TakehomeError("No file was named. For instance: make new DATA=volumes/static/loans.csv TARGET=defaulted")
    path = next((p for p in (given, folder / given.name) if p.is_file()), None)
    if path is None or (path != given and given.parent.name not in ("", folder.name)):
        raise TakehomeError(f"{given}: there is no such file. {_hint(given, folder)}")
    if path.resolve().parent != folder.resolve():
        raise TakehomeError(
            f"{given} is not in volumes/static, where notebook and database look for data. "
            f"Copy it there: cp {shlex.quote(str(given))} volumes/static/"
        )
    if not path.name.lower().endswith(ENDINGS):
        raise TakehomeError(f"{given}: its name ends in none of {', '.join(ENDINGS)}. Save it as one of these.")
    if refused := [error for error in find_sources(folder)[1] if str(path) in error]:
        raise TakehomeError(refused[0])
    return path


def _hint(given: Path, folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    names = [name for name in names if name.lower().endswith(ENDINGS)]
    near = get_close_matches(stem(given), [stem(name) for name in names], 1)
    if near:
        return f"Did you mean volumes/static/{next(name for name in names if stem(name) == near[0])}?"
    return f"In volumes/static there is: {', '.join(names) or 'nothing yet; put your file there'}."
