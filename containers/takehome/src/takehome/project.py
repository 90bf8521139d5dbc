"""The clone that a command is run in."""

from pathlib import Path

from takehome.errors import TakehomeError


def project() -> Path:
    """Return the folder of the project, at or above the working directory.

    Raises
    ------
    TakehomeError
        This is no clone of the project.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "containers" / "constraints.txt").is_file():
            return folder
    raise TakehomeError(f"{here} is not in a clone of the project. Change to its folder: cd ...")
