"""The static folder: which file becomes which table."""

import re
from collections import defaultdict
from pathlib import Path

from takehome.tables import LONGEST_NAME

ENDINGS = (".csv", ".csv.gz", ".parquet")


def table_name(path: str | Path) -> str:
    """Return the table of a file: its name without ending, lower case, `_` for what SQL would want quoted.

    `My data (2).csv.gz` gives `my_data_2`, `2024.csv` gives `t_2024`.
    """
    name = re.sub(r"\W+", "_", stem(path).lower()).strip("_")
    return f"t_{name}" if name[:1].isdigit() else name


def stem(path: str | Path) -> str:
    """Return a file's name without its ending: `loans.csv.gz` gives `loans`."""
    name = Path(path).name
    ending = next((ending for ending in ENDINGS if name.lower().endswith(ending)), "")
    return name.removesuffix(name[len(name) - len(ending) :])


def find_sources(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Return the file of each table, and a sentence for each table that has no single file or no proper name."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        if path.name.lower().endswith(ENDINGS) and not path.name.startswith(".") and path.is_file():
            found[table_name(path)].append(path)
    errors = [error for name, paths in found.items() if (error := _refuse(name, paths))]
    return {name: paths[0] for name, paths in found.items() if not _refuse(name, paths)}, errors


def _refuse(name: str, paths: list[Path]) -> str:
    if len(paths) > 1:
        both = " and ".join(str(path) for path in paths)
        return f"{both}: each of them would be table '{name}'. Rename one, or move it away."
    if not name:
        return f"{paths[0]}: its name gives no name for a table. Rename it to letters, digits and '_'."
    if len(name.encode()) > LONGEST_NAME:
        return f"{paths[0]}: a table's name has at most {LONGEST_NAME} bytes. Give the file a shorter name."
    return ""
