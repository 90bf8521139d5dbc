"""The usual causes why a notebook does not give again what it gave, each with the cell."""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

from takehome.notebook import CellFailure, code_cells
from takehome.verification import environment, failure, randomness
from takehome.verification.code import Code, upstream
from takehome.verification.place import Place
from takehome.verification.report import Cause, DataReport, Kind, Outcome, Package

_WRITES = re.compile(r"\.(?:to_\w+|savefig|dump|savez?|save_\w+|mkdir|makedirs|write\w*)$")
_SECONDS = 60  # files of one checkout differ in age by less


@dataclass(frozen=True)
class Evidence:
    """What is known once the run is over."""

    saved: NotebookNode
    cells: list[Code]
    place: Place
    differing: list[int]
    failed: CellFailure | None
    used: dict[int, list[str]]  # global random generators, by cell
    data: DataReport
    packages: list[Package]
    lock: dict[str, set[str]]
    saved_at: float  # when the kept model, else the notebook, was saved, in seconds since 1970
    foreign: frozenset[str]  # paths of one machine only, named by the notebook, that were there before the run


def find(evidence: Evidence) -> list[Cause]:
    """Return the causes, each once, in the order of the cells."""
    found = [*_order(evidence), *_paths(evidence), *_packages(evidence)]
    if evidence.failed and (cause := failure.explain(evidence.failed, evidence.cells, evidence.place)):
        found.append(cause)
    for number in evidence.differing:
        here = list(_difference(number, evidence))
        if not here and evidence.packages:
            here = [Cause(kind=Kind.VERSION, cell=number, message=_versions(evidence.packages))]
        found += here
    found += _claimed(evidence.data)
    once = {(cause.kind, cause.cell): cause for cause in reversed(found)}
    return sorted(once.values(), key=lambda cause: (cause.cell or 0, cause.kind))


def foreign_paths(cells: Iterable[Code], place: Place) -> frozenset[str]:
    """Return the paths outside of the project that the code names, that are here, and that it does not write itself."""
    cells = list(cells)
    written = {text for cell in cells for name, call in cell.calls if _writes(name, call) for text in _texts(call)}
    named = {text for cell in cells for text in cell.texts if "\n" not in text and len(text) < 500}
    return frozenset(text for text in named - written if place.is_foreign(text) and _is_there(text))


def _order(evidence: Evidence) -> Iterator[Cause]:
    counts = [evidence.saved.cells[index].get("execution_count") for index in code_cells(evidence.saved)]
    if not any(counts):
        return
    last = 0
    for number, count in enumerate(counts, 1):
        again = "Restart the kernel, run all cells, and save"
        if count is None:
            yield Cause(kind=Kind.ORDER, cell=number, message=f"it was not run before the notebook was saved. {again}")
            continue
        if count < last:
            yield Cause(
                kind=Kind.ORDER,
                cell=number,
                message=f"it ran before the one above it ([{count}] after [{last}]). {again}",
            )
        elif last and count > last + 1:
            yield Cause(
                kind=Kind.ORDER,
                cell=number,
                message=f"something else ran before it ([{count}] after [{last}]). {again}",
            )
        last = count


def _paths(evidence: Evidence) -> Iterator[Cause]:
    for cell in evidence.cells:
        for path in sorted(evidence.foreign.intersection(cell.texts)):
            yield Cause(kind=Kind.PATH, cell=cell.number, message=failure.foreign(path), breaks=True)


def _packages(evidence: Evidence) -> Iterator[Cause]:
    project, lock = evidence.place.project, evidence.lock
    known = environment.declared(project) or frozenset(lock)
    for cell in evidence.cells:
        local = {path.stem for path in evidence.place.notebook.parent.iterdir()}
        modules = [name for name in cell.imports() if name not in sys.stdlib_module_names and name not in local]
        packages = [package for name in modules if (package := environment.undeclared(name, project, lock))]
        packages += [name for name in cell.installs if known and environment.normal(name) not in known]
        for package in dict.fromkeys(packages):
            yield Cause(kind=Kind.PACKAGE, cell=cell.number, message=failure.add(package), breaks=True)


def _difference(number: int, evidence: Evidence) -> Iterator[Cause]:
    """Name what may have made a cell's output another one, in it or in the cells that it builds on."""
    before = upstream(evidence.cells, number)
    chain = {cell.number for cell in before}
    seen = "" if len(chain) == 1 else f" (seen in cell {number})"
    loose = [(at, source) for at, source in randomness.unseeded(evidence.cells, evidence.used) if at in chain]
    for at, source in loose:
        where = seen if at != number else ""
        yield Cause(
            kind=Kind.RANDOM, cell=at, message=f"{source}{where}. Give it a seed, or tag the cell nondeterministic"
        )
    asked = randomness.clock(before)
    for at, call in asked:
        where = seen if at != number else ""
        message = f"{call} gives something else each time or on each machine{where}. Leave it out of the result"
        yield Cause(kind=Kind.CLOCK, cell=at, message=message)
    if loose or asked:
        return
    changed = [cause for cell in before if (cause := _changed(cell, evidence))]
    yield from changed
    if changed:
        return
    for at in randomness.hash_order(before):
        where = seen if at != number else ""
        message = f"the order of a set, or a hash, is another one in each run{where}. Sort it: sorted(...)"
        yield Cause(kind=Kind.RANDOM, cell=at, message=message)


def _changed(cell: Code, evidence: Evidence) -> Cause | None:
    """Name a data file that the cell reads, and that is younger than what was saved."""
    for file in (file for file in evidence.data.files if file.sha256):
        path = evidence.place.static / file.name
        table = re.sub(r"\.(?:csv|csv\.gz|parquet)$", "", path.name)
        read = any(text in (path.name, table) or text.endswith(f"/{path.name}") for text in cell.texts)
        # Files that were handed over are as young as the copy: what they were is known then.
        younger = path.stat().st_mtime > evidence.saved_at + _SECONDS
        if read and (younger if file.expected is None else file.expected != file.sha256):
            message = f"{path.name} was changed after the notebook was saved. Run the notebook again, and save it"
            return Cause(kind=Kind.DATA, cell=cell.number, message=message)
    return None


def _claimed(data: DataReport) -> Iterator[Cause]:
    for file in data.files:
        if file.expected not in (None, file.sha256):
            what = "is another file than" if file.sha256 else "is missing here; it is part of"
            message = f"{file.name} {what} the one that the submission was made with (by its SHA-256)"
            yield Cause(kind=Kind.DATA, cell=None, message=message)


def _versions(packages: list[Package]) -> str:
    shown = ", ".join(f"{p.name} {p.here} instead of {p.expected}" for p in packages[:3])
    return f"other versions than expected: {shown}. Build the environment from the lock: make up, or make local"


def _writes(name: str, call: ast.Call) -> bool:
    mode = [
        word.value for word in [*call.args[1:2], *(k.value for k in call.keywords)] if isinstance(word, ast.Constant)
    ]
    opened = name.endswith("open") and any(isinstance(word, str) and re.match(r"[wax]", word) for word in mode)
    return bool(_WRITES.search(name)) or opened


def _texts(call: ast.Call) -> Iterator[str]:
    for node in ast.walk(call):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _is_there(path: str) -> bool:
    try:
        return Path(path).expanduser().exists()
    except (OSError, RuntimeError, ValueError):
        return False


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the worst of some outcomes."""
    return max(outcomes, key=lambda outcome: outcome.rank, default=Outcome.SAME)
