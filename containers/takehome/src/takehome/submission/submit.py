"""Handing in: verify, gather, write; the same work gives the same bytes."""

import os
import shutil
from pathlib import Path

from takehome.errors import TakehomeError
from takehome.submission import archive
from takehome.submission.contents import Places, contents, data, fingerprints
from takehome.submission.manifest import NAME, Manifest, check_names, describe
from takehome.verification.report import Report


def submit(notebook: Path, report: Report, *, force: bool = False, with_data: bool = False) -> Path:
    """Write `submission.zip`, and the same files unpacked beside it.

    Parameters
    ----------
    notebook : run and saved; its model is the current one.
    report : what its verification found.
    force : submit it even so where it differs or fails; the archive says that.
    with_data : put the data files into the archive as well.

    Returns
    -------
    The path of the archive.

    Raises
    ------
    TakehomeError
        The verification failed, or something that belongs to a submission is missing. What was written before stays.
    """
    if report.verdict.status and not force:
        raise TakehomeError(
            f"{notebook.name} {report.verdict.value}, so nothing was written: {report.summary} Mend it, run "
            "it from top to bottom, and save it. Or submit it as it is, marked so: --force."
        )
    places = Places()
    version, files = contents(notebook, places)
    if with_data:
        files |= {f"data/{name}": path.read_bytes() for name, path in data(places.static_dir).items()}
    manifest = Manifest(
        notebook=f"notebooks/{notebook.name}",
        model=version,
        verdict=report.verdict,
        forced=bool(report.verdict.status),
        data=fingerprints(places.static_dir),
        files={name: describe(content) for name, content in _safe(files).items()},
    )
    files = {NAME: manifest.model_dump_json(indent=1).encode() + b"\n", **dict(sorted(files.items()))}
    try:
        return _write(files, places.submission_dir)
    except OSError as error:
        raise TakehomeError(
            f"{places.submission_dir} can't be written: {error.strerror}. Check who owns the folder."
        ) from error


def _safe(files: dict[str, bytes]) -> dict[str, bytes]:
    try:
        check_names(list(files))
    except ValueError as error:
        raise TakehomeError(f"{error}. Rename it: the archive has to unpack everywhere.") from error
    return files


def _write(files: dict[str, bytes], folder: Path) -> Path:
    """Write aside, then rename: killed at any instant, the archive before is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    aside, unpacked = folder / f".{os.getpid()}.partial", folder / "submission"
    try:
        archive.write(files, aside)
        aside.replace(folder / "submission.zip")
        for name, content in files.items():
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            (aside / name).write_bytes(content)
        shutil.rmtree(unpacked, ignore_errors=True)
        aside.rename(unpacked)
    finally:
        aside.unlink() if aside.is_file() else shutil.rmtree(aside, ignore_errors=True)
    return folder / "submission.zip"
