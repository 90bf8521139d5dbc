"""The archive: the same files give the same bytes, and one from anyone is unpacked without trusting it."""

import hashlib
import zipfile
import zlib
from pathlib import Path

from takehome.errors import TakehomeError
from takehome.submission.manifest import MOST_BYTES, NAME, File, Manifest, check_names, read_manifest

_LONG_AGO = (1980, 1, 1, 0, 0, 0)
_ENCRYPTED = 1
_MOST_RATIO = 1100  # deflate can't do better than 1032
_MOST_ARCHIVE = 4 << 30


def write(files: dict[str, bytes], path: Path) -> None:
    """Write files to a zip archive, its first one first; times, owners and order depend on nothing else."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _LONG_AGO)
            entry.external_attr, entry.create_system = 0o100644 << 16, 3
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)


def unpack(path: Path, folder: Path) -> Manifest:
    """Unpack a submission that may come from anyone: just the files that its manifest lists, each as it is listed.

    Parameters
    ----------
    path : the archive.
    folder : an empty folder for its files.

    Raises
    ------
    TakehomeError
        It is no such archive, a file is missing, additional, changed or not a plain file, a name is not safe, or it is
        too large. Nothing that was taken from it has been opened.
    """
    try:
        if path.stat().st_size > _MOST_ARCHIVE:
            raise TakehomeError(f"{path.name} has over {_MOST_ARCHIVE >> 30} GB. Ask for one without the data.")
        with zipfile.ZipFile(path) as archive:
            manifest = _manifest(archive)
            for name, listed in manifest.files.items():
                _take(archive, archive.getinfo(name), listed, folder / name)
            return manifest
    # What zipfile gives of itself for broken, encrypted or unknown content; our own refusals are not among them.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, RuntimeError) as error:
        raise TakehomeError(f"{path.name} is no whole zip archive ({str(error)[:120]!a}). Ask for it again.") from None
    except OSError as error:
        raise TakehomeError(f"{path.name} can't be read: {error.strerror}. Name it: SUBMISSION=FILE.") from error


def _manifest(archive: zipfile.ZipFile) -> Manifest:
    entries = archive.infolist()
    try:
        check_names([entry.filename for entry in entries])
    except ValueError as error:
        raise TakehomeError(f"{_name(archive)}: {error}. Nothing was unpacked.") from None
    for entry in entries:
        _refuse_strange(archive, entry)
    names = {entry.filename: entry for entry in entries}
    if NAME not in names or names[NAME].file_size > MOST_BYTES:
        raise TakehomeError(f"{_name(archive)} has no {NAME}: it was not written by `takehome submit`.")
    manifest = read_manifest(_content(archive, names[NAME], MOST_BYTES))
    missing, more = manifest.files.keys() - names.keys(), names.keys() - manifest.files.keys() - {NAME}
    if missing or more:
        what = f"lacks {min(missing)!a}" if missing else f"holds {min(more)!a}, which is not in its {NAME}"
        raise TakehomeError(f"{_name(archive)} {what}. Ask for it again.")
    if manifest.notebook not in manifest.files:
        raise TakehomeError(f"{_name(archive)} lacks its notebook. Ask for it again.")
    return manifest


def _refuse_strange(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    kind = (entry.external_attr >> 16) & 0o170000
    bomb = entry.file_size > _MOST_RATIO * max(entry.compress_size, 1)
    if kind not in (0, 0o100000) or entry.flag_bits & _ENCRYPTED or bomb:
        what = "is a link or a device" if kind not in (0, 0o100000) else "is encrypted or unpacks too large"
        raise TakehomeError(f"{_name(archive)}: {entry.filename!a} {what}. Nothing was unpacked.")


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int) -> bytes:
    with archive.open(entry) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise TakehomeError(f"{_name(archive)}: {entry.filename!a} is larger than it says. Nothing more was unpacked.")
    return content


def _take(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, listed: File, target: Path) -> None:
    """Write one file, and no byte more than its entry in the manifest says."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, left = hashlib.sha256(), listed.bytes
    with archive.open(entry) as source, target.open("xb") as file:
        while piece := source.read(min(left, 1 << 20) + 1):
            left -= len(piece)
            if left < 0:
                break
            digest.update(piece)
            file.write(piece)
    if left or digest.hexdigest() != listed.sha256:
        raise TakehomeError(
            f"{_name(archive)}: {entry.filename!a} is not the file that its {NAME} lists. Ask for it again."
        )


def _name(archive: zipfile.ZipFile) -> str:
    return Path(str(archive.filename)).name
