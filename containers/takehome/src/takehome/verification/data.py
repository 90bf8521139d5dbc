"""The data that a run read: the files, and the rows that reached the model."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from takehome.metadata import Metadata
from takehome.verification.report import DataFile, DataReport, Outcome


def fingerprints(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file below a folder, by its relative path; hidden files are left out."""
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    names = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: sha256_of(path) for name, path in names.items() if not re.search(r"(^|/)\.", name)}


def compare(
    files: dict[str, str], expected: Mapping[str, str] | None, kept: Metadata | None, found: Metadata | None
) -> DataReport:
    """Compare the files with what a submission claims of them, and the rows of the two models.

    Parameters
    ----------
    files : SHA-256 by name, as they are.
    expected : SHA-256 by name, as claimed; None where nobody claims anything.
    kept, found : `model.json` of the kept and of the new model.
    """
    claimed = expected or {}
    entries = [DataFile(name=name, sha256=sha, expected=claimed.get(name)) for name, sha in files.items()]
    entries += [DataFile(name=name, sha256="", expected=sha) for name, sha in claimed.items() if name not in files]
    outcome = Outcome.SAME if kept and found else Outcome.NOTHING
    if kept and found and kept.data.sha256 != found.data.sha256:
        outcome = Outcome.DIFFERS
    if any(entry.expected not in (None, entry.sha256) for entry in entries):
        outcome = Outcome.DIFFERS
    return DataReport(
        outcome=outcome,
        files=entries,
        saved=kept.data.sha256 if kept else None,
        found=found.data.sha256 if found else None,
        rows=(kept.data.rows if kept else None, found.data.rows if found else None),
    )


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
