"""`manifest.json`: every file of a submission with its SHA-256, and what was submitted."""

import hashlib
import re
import unicodedata
from pathlib import PurePosixPath
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from takehome.errors import TakehomeError
from takehome.verification.report import Verdict

NAME = "manifest.json"
MOST_BYTES = 4 << 20
MOST_FILES = 2000
MOST_CONTENT = 4 << 30
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.I)
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')


class File(BaseModel):
    """One file of the archive."""

    model_config = ConfigDict(extra="forbid")

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0, le=MOST_CONTENT)


class Manifest(BaseModel):
    """The contents of `manifest.json`."""

    model_config = ConfigDict(extra="forbid")

    format: Literal[1] = 1
    notebook: str = Field(pattern=r"^notebooks/[^/]+\.ipynb$")
    model: str = Field(pattern=r"^[0-9]{8}-[0-9]{6}(-[0-9]{1,4})?$")
    verdict: Verdict
    forced: bool = Field(description="submitted with --force, against the verdict")
    data: dict[str, File] = Field(description="files of volumes/static that the work was done with")
    files: dict[str, File] = Field(description="all files of the archive but this one")

    @field_validator("files", "data")
    @classmethod
    def _names(cls, files: dict[str, File]) -> dict[str, File]:
        check_names(list(files))
        if sum(file.bytes for file in files.values()) > MOST_CONTENT:
            raise ValueError(f"more than {MOST_CONTENT >> 30} GB")
        return files


def describe(content: bytes) -> File:
    """Return the entry of a file."""
    return File(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def read_manifest(content: bytes) -> Manifest:
    """Read a manifest, which may come from anyone.

    Raises
    ------
    TakehomeError
        It is not what `takehome submit` writes, or names a file that can't be unpacked safely.
    """
    try:
        return Manifest.model_validate_json(content)
    except (ValidationError, RecursionError) as error:
        reason = "it is nested too deep"
        if isinstance(error, ValidationError):
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            reason = f"{'.'.join(map(str, first['loc']))[:80]}: {first['msg'][:200]}"
        raise TakehomeError(f"{NAME} is not what takehome writes ({reason!a}). Nothing was unpacked.") from None


def check_names(names: list[str]) -> None:
    """Refuse names that mean something else on some machine than one plain file below a folder.

    Raises
    ------
    ValueError
        One is absolute, goes up, is a device, ends in a dot or a space, twice the same but for letter case or for how
        its letters are composed, lies below another file, or there are too many.
    """
    if len(names) > MOST_FILES:
        raise ValueError(f"{len(names)} files, more than {MOST_FILES}")
    for name in names:
        parts = name.split("/")
        plain = all(part not in ("", ".", "..") and part == part.strip(" ").rstrip(".") for part in parts)
        devices = any(_DEVICES.fullmatch(part) for part in parts)
        if not plain or devices or _FORBIDDEN.search(name) or len(name) > 240 or not name.isprintable():
            raise ValueError(f"{name[:80]!a} is no name of a file that can be unpacked everywhere")
    folded = {unicodedata.normalize("NFC", name).casefold() for name in names}
    if len(folded) < len(names):
        raise ValueError("two names differ in letter case only")
    if folders := folded & {str(parent) for name in folded for parent in PurePosixPath(name).parents}:
        raise ValueError(f"{min(folders)[:80]!a} is a file and a folder")
