"""Why a run ended before its end, in a sentence."""

import re
from pathlib import Path

from takehome.errors import TakehomeError
from takehome.notebook import CellFailure
from takehome.verification.code import Code
from takehome.verification.place import Place
from takehome.verification.report import Cause, Kind

_NO_NAME = re.compile(r"name '(\w+)' is not defined|cannot access local variable '(\w+)'")
_NO_MODULE = re.compile(r"No module named '?([\w.]+)")
_FILE = re.compile(r"'([^']+)'|\"([^\"]+)\"|(\S+) not found")
_NETWORK = re.compile(
    r"Name or service not known|name resolution|nodename nor servname|Network is unreachable|Max retries exceeded|"
    r"urlopen error|getaddrinfo"
)
_NO_TABLE = re.compile(r"'(.+)' is neither a table in PostgreSQL nor a file")
_DATABASE_ERRORS = {"OperationalError", "ProgrammingError", "UndefinedTable", "DatabaseError", "InterfaceError"}


def explain(failure: CellFailure, cells: list[Code], place: Place) -> Cause | None:
    """Name the cause of a failed cell, or return None where it is none of the usual."""
    found = _ended(failure) or _lacks(failure, cells, place)
    return Cause(kind=found[0], cell=failure.cell, message=found[1]) if found else None


def _ended(failure: CellFailure) -> tuple[Kind, str] | None:
    if failure.why == "timeout":
        return Kind.TIMEOUT, "it did not end in time. Shorten it, or give it more: --timeout SECONDS"
    if failure.why == "died":
        return Kind.MEMORY, "the kernel died, as it does when memory runs out. Use fewer rows or a smaller model"
    return None


def _lacks(failure: CellFailure, cells: list[Code], place: Place) -> tuple[Kind, str] | None:  # noqa: PLR0911
    """Find what the cell asked for in vain, by its error."""
    name, text = failure.name, failure.text
    if name in ("NameError", "UnboundLocalError") and (match := _NO_NAME.search(text)):
        return Kind.NAME, _name(failure.cell, match.group(1) or match.group(2), cells)
    if name in ("ModuleNotFoundError", "ImportError") and (match := _NO_MODULE.search(text)):
        module = match.group(1).partition(".")[0]
        return Kind.PACKAGE, f"{module!r} is not installed. {_add(module)}"
    if match := _NO_TABLE.search(text):
        return Kind.DATABASE, _table(match.group(1))
    if name in _DATABASE_ERRORS or "psycopg2" in text or "PostgreSQL" in text:
        return Kind.DATABASE, _SQL
    if _NETWORK.search(text):
        return Kind.NETWORK, "it asks the internet. Put what it fetches into volumes/static, and read it from there"
    if name == "FileNotFoundError" or (name != TakehomeError.__name__ and "No such file" in text):
        return _file(text, place)
    return None


_SQL = (
    "it asks PostgreSQL by SQL, and may meet what an earlier run left there; a verification has no server. "
    "Read tables with takehome.read_table, which takes the file where no server answers"
)


def _name(number: int, name: str, cells: list[Code]) -> str:
    later = next((cell.number for cell in cells[number:] if name in cell.defined), None)
    if later:
        return f"{name!r} is defined only later, in cell {later}. Move that cell up"
    return f"{name!r} is defined in no cell: the one that did it was deleted. Write it again"


def _table(name: str) -> str:
    return (
        f"no file of volumes/static gives the table {name!r}: an earlier run, or somebody by hand, left it in "
        "PostgreSQL. Make it from the files in the notebook itself"
    )


def _file(text: str, place: Place) -> tuple[Kind, str]:
    match = _FILE.search(text)
    name = next((group for group in match.groups() if group), "") if match else ""
    if place.is_foreign(name):
        return Kind.PATH, foreign(name)
    there = next((file for file in place.static.rglob(Path(name).name) if name), None)
    hint = (
        f"Read ../static/{there.relative_to(place.static)}" if there else "Put it into volumes/static and read it there"
    )
    return Kind.FILE, f"there is no file {name!r}. {hint}"


def foreign(path: str) -> str:
    """Say what to do about an absolute path."""
    place = f"../static/{Path(path).name}"
    return f"{path!r} is a place of one machine only. Put the file into volumes/static, and read {place}"


def _add(package: str) -> str:
    return f"Name its package in containers/python/environment.yml (and in fastapi's, if the model needs {package!r})"


def add(package: str) -> str:
    """Say what to do about a package that nobody asked for."""
    return f"no environment.yml names {package!r}, so it is missing on every other machine. {_add(package)}"
