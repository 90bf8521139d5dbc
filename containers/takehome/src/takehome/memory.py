"""How much memory there is to read a file into."""

import os
import struct
from contextlib import suppress
from pathlib import Path

import psutil

from takehome.errors import TakehomeError

# Peak over the file's size, with room to spare: reading 500,000 x 8 distinct floats 2.9 and 1.4; the drafted notebook
# of 5,000,000 rows of numbers, dates and short texts 3.8.
_CSV, _PARQUET = 5, 3
_CGROUP = Path("/sys/fs/cgroup")


def available() -> int:
    """Return the bytes that this process may still take: the machine's, or what the container's limit leaves."""
    free = int(psutil.virtual_memory().available)
    with suppress(OSError, ValueError):  # no container, or no limit: "max"
        limit, used = (int((_CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
        free = min(free, limit - used)
    return free


def check_fits(path: Path) -> None:
    """Refuse a file that memory can't hold, before reading kills the process.

    Raises
    ------
    TakehomeError
        Reading would take more than there is.
    """
    needed, there = _needed(path), available()
    if needed > there:
        raise TakehomeError(
            f"{path}: reading it takes about {_gigabytes(needed)} of memory; {_gigabytes(there)} are free. "
            "Keep fewer columns or rows, or give more: mem_limit of python in docker-compose.yml."
        )


def _needed(path: Path) -> int:
    size = path.stat().st_size
    if path.suffix.lower() == ".parquet":
        return size * _PARQUET
    if path.suffix.lower() == ".gz" and size > 18:
        with path.open("rb") as file:  # the last four bytes: the size of what was packed, modulo 4 GB
            file.seek(-4, os.SEEK_END)
            packed = struct.unpack("<I", file.read(4))[0]
        return max(size, packed) * _CSV if packed < 20 * size else size * _CSV
    return size * _CSV


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
