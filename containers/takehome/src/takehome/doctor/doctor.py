"""The whole examination: what stops a start, and what will hurt later."""

import platform
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from takehome.doctor.quick import Finding, engine, folders, line_ends, major, ports, run
from takehome.doctor.quick import database as database_version
from takehome.errors import TakehomeError
from takehome.project import project
from takehome.settings import Settings
from takehome.verification.environment import find_lock, normal

_DISK, _MEMORY = 5 << 30, 4 << 30
_LAN_SAFE_ENGINE = 28


def main() -> int:
    """Print one line a finding; return 1 if one of them stops a start."""
    console, found = Console(soft_wrap=True, highlight=False), list(examine(project()))
    for finding in found:
        mark = "[bold red]stops[/]" if finding.stops else "[yellow]notice[/]"
        console.print(mark, end=" ")
        console.print(f"{finding.what}: {finding.mend}", markup=False)
    if not found:
        console.print("Nothing is wrong here.")
    return int(any(finding.stops for finding in found))


def examine(root: Path) -> Iterator[Finding]:
    """Give all findings."""
    found = list(engine())
    yield from found
    if not any(finding.stops for finding in found):
        yield from neighbours()
        yield from emulation()
        yield from memory()
    yield from ports(root)
    yield from line_ends(root)
    yield from folders(root)
    yield from database_version(root)
    yield from disk(root)
    yield from lock(root)
    yield from model(root)


def neighbours() -> Iterator[Finding]:
    """Look for an engine that lets neighbours on the network through to ports of 127.0.0.1."""
    version = run("docker", "version", "--format", "{{.Server.Version}}")
    if 0 < major(version) < _LAN_SAFE_ENGINE and platform.system() == "Linux":
        what = f"Docker Engine {version} lets neighbours on the same network reach the four ports"
        yield Finding(what, f"update Docker to {_LAN_SAFE_ENGINE}, or use it on networks that you trust", stops=False)


def emulation() -> Iterator[Finding]:
    """Look for images of another processor, which Apple silicon runs many times slower."""
    here = run("sysctl", "-n", "hw.optional.arm64") == "1" or platform.machine() in ("arm64", "aarch64")
    engine_is = run("docker", "version", "--format", "{{.Server.Arch}}")
    if here and engine_is == "amd64":
        yield Finding("Docker emulates another processor", "install Docker for Apple silicon", stops=False)
    image = run("docker", "image", "inspect", "--format", "{{.Architecture}}", "postgres:18")
    if image and image != engine_is:
        mend = "docker image rm postgres:18 && docker compose build --pull"
        yield Finding(f"the image postgres:18 is for {image}, and this machine is {engine_is}", mend, stops=False)


def memory() -> Iterator[Finding]:
    """Look at the memory that containers can have."""
    total = run("docker", "info", "--format", "{{.MemTotal}}")
    if total.isdigit() and int(total) < _MEMORY:
        what = f"Docker has {int(total) / 2**30:.1f} GB of memory, and 4 are needed"
        yield Finding(what, "Docker Desktop: Settings, Resources, Memory", stops=False)


def disk(root: Path) -> Iterator[Finding]:
    """Look at the space that is left."""
    free = shutil.disk_usage(root).free
    if free < _DISK:
        yield Finding(f"{free / 2**30:.1f} GB of disk are free, and 5 are needed", "docker builder prune", stops=False)


def lock(root: Path) -> Iterator[Finding]:
    """Look for packages that are named, but not in the lock."""
    locked = find_lock(root)
    for path in sorted((root / "containers").glob("*/environment.yml")):
        _, _, pip = path.read_text(encoding="utf-8").partition("- pip:\n")
        named = {normal(line) for line in re.findall(r"^\s*-\s*([A-Za-z0-9][\w.-]*)", pip, re.M)}
        if missing := sorted(named - locked.keys()):
            what = f"{path.relative_to(root)} names {', '.join(missing)}, which the lock doesn't have"
            yield Finding(what, "make lock", stops=False)


def model(root: Path) -> Iterator[Finding]:
    """Look for a model that was saved with other versions than the lock has."""
    try:
        store = Settings().store()
        version = store.current()
        packages = store.metadata(version).packages if version else {}
    except TakehomeError as error:
        yield Finding(f"the current model can't be read ({error})", "make train", stops=False)
        return
    locked = find_lock(root)
    other = [f"{name} {saved}" for name, saved in packages.items() if saved not in locked.get(normal(name), {saved})]
    if other:
        what = f"model {version} was saved with {', '.join(other)}, and the lock has other versions"
        yield Finding(what, "docker compose up --build, then make train", stops=False)
