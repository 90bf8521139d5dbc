"""Which packages a project may use, and which versions of them are expected and here."""

import os
import re
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, packages_distributions, requires
from pathlib import Path

from takehome.metadata import Metadata, installed
from takehome.verification.report import Package

_PIN = re.compile(r"^([\w.-]+)==([^\s;]+)", re.MULTILINE)
_LINE = re.compile(r"^\s+- ([A-Za-z0-9][\w.-]*)", re.MULTILINE)
_NAME = re.compile(r"[\w.-]+")
_OWN = "takehome"


def find_lock(project: Path | None) -> dict[str, set[str]]:
    """Return the versions that the lock allows of each package; {} where no lock is found.

    Parameters
    ----------
    project : the checkout; None inside the container, where the variable UV_CONSTRAINT names the lock.
    """
    place = project / "containers/constraints.txt" if project else Path(os.environ.get("UV_CONSTRAINT", ""))
    pins: dict[str, set[str]] = {}
    if place.is_file():
        for name, version in _PIN.findall(place.read_text(encoding="utf-8")):
            pins.setdefault(normal(name), set()).add(version)
    return pins


def other_versions(lock: dict[str, set[str]], kept: Metadata | None) -> list[Package]:
    """Return the packages that are here in another version than the lock has, or the kept model was saved with."""
    here = {normal(found.name): found.version for found in distributions()}
    packages = [
        Package(name=name, expected=" or ".join(sorted(versions)), here=here[name], by="lock")
        for name, versions in lock.items()
        if name in here and here[name] not in versions
    ]
    for name, saved in (kept.packages if kept else {}).items():
        if (version := installed(name)) != saved:
            packages.append(Package(name=name, expected=saved, here=version, by="model"))
    return packages


def undeclared(module: str, project: Path | None, lock: dict[str, set[str]]) -> str | None:
    """Return the package that a module belongs to, if it is installed but no environment.yml asks for it."""
    packages = [normal(name) for name in packages_distributions().get(module, [])]
    known = declared(project) or frozenset({_OWN, *lock} if lock else ())
    return packages[0] if packages and known and not known.intersection(packages) else None


@cache
def declared(project: Path | None) -> frozenset[str]:
    """Return the packages that the notebook's environment.yml names, with all that they need; else nothing."""
    file = project / "containers/python/environment.yml" if project else None
    if not file or not file.is_file():
        return frozenset()
    names = _LINE.findall(file.read_text(encoding="utf-8"))
    found, waiting = {_OWN}, [*map(normal, names), *_needs(_OWN, extra="notebook")]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _needs(name)
    return frozenset(found)


def _needs(package: str, extra: str | None = None) -> list[str]:
    try:
        lines = requires(package) or []
    except PackageNotFoundError:
        return []
    wanted = [line for line in lines if "extra ==" not in line or (extra and f"'{extra}'" in line.replace('"', "'"))]
    return [normal(match.group()) for line in wanted if (match := _NAME.match(line))]


def normal(name: str) -> str:
    """Return a package's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
