"""What would stop a start with an error that confuses, found in a second.

Runs as a script of its own, by any Python 3.9 or newer, without the package: `python3 quick.py up` or `local`.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

POSTGRES = "18"
PORTS = {"JUPYTER_PORT": 8888, "POSTGRES_PORT": 5432, "API_PORT": 8080, "STREAMLIT_PORT": 8501}
_OLDEST_ENGINE, _OLDEST_COMPOSE = 25, (2, 20)


@dataclass(frozen=True)
class Finding:
    """Something to mend, and whether a start would fail because of it."""

    what: str
    mend: str
    stops: bool = True


def quick(root: Path, way: str) -> Iterator[Finding]:
    """Give what would stop a start; `way` is `up` for containers or `local`."""
    if way == "up":
        yield from engine()
        yield from ports(root)
        yield from line_ends(root)
    yield from folders(root)
    yield from database(root)


def engine() -> Iterator[Finding]:
    """Look for an engine and a Compose that are new enough."""
    if not shutil.which("docker"):
        yield Finding("Docker is not installed", "install it: https://docs.docker.com/get-docker, or: make local")
        return
    said = run("docker", "version", "--format", "{{.Server.Version}}")
    if not said:
        yield Finding("the Docker engine doesn't answer", "start Docker Desktop, or: sudo systemctl start docker")
    elif major(said) < _OLDEST_ENGINE:
        yield Finding(f"Docker Engine {said} is older than {_OLDEST_ENGINE}", "update Docker, or: make local")
    compose = run("docker", "compose", "version", "--short")
    if tuple(map(int, re.findall(r"\d+", compose)[:2])) < _OLDEST_COMPOSE:
        yield Finding(f"Docker Compose {compose or 'is missing or'} is too old", "update Docker, or: make local")


def ports(root: Path) -> Iterator[Finding]:
    """Look for ports that somebody else listens on."""
    taken = {name: port for name, port in wanted(root).items() if is_taken(port)}
    if not taken:
        return
    label = f"label=com.docker.compose.project.working_dir={root}"
    ours = run("docker", "ps", "--filter", label, "--format={{.Ports}}")
    for name, port in taken.items():
        if f":{port}->" not in ours:
            mend = f"stop it, or: echo {name}={port + 1} >> .env"
            yield Finding(f"port {port} is in use by {user(port)}", mend)


def line_ends(root: Path) -> Iterator[Finding]:
    """Look for scripts with Windows line ends, which no container can run."""
    scripts = [*root.glob("containers/*.sh"), *root.glob("containers/*/*.sh"), root / "containers/python/bin/takehome"]
    broken = [path for path in scripts if path.is_file() and b"\r\n" in path.read_bytes()]
    if broken:
        which = broken[0].relative_to(root)
        yield Finding(f"{which} has Windows line ends", "git config core.autocrlf input && git checkout-index -fa")


def folders(root: Path) -> Iterator[Finding]:
    """Look for mounted folders that are missing (the engine would make them as root) or belong to somebody else."""
    owner = root.stat().st_uid
    for name in ("notebooks", "static", "models", "postgres", "submission"):
        folder = root / "volumes" / name
        if not folder.is_dir():
            yield Finding(f"volumes/{name} is missing", f"mkdir -p volumes/{name}")
        elif folder.stat().st_uid != owner and name != "postgres":
            yield Finding(f"volumes/{name} belongs to another user", f"sudo chown -R {owner} volumes/{name}")


def database(root: Path) -> Iterator[Finding]:
    """Look for data of another major version of PostgreSQL, which this one doesn't read."""
    volume = root / "volumes" / "postgres"
    with suppress(OSError):
        for file in [*volume.glob("PG_VERSION"), *volume.glob("*/PG_VERSION"), *volume.glob("*/*/PG_VERSION")]:
            found = file.read_text().strip()
            if found != POSTGRES:
                where = file.parent.relative_to(root)
                mend = f"mv {where} volumes/postgres-{found} && mkdir -p volumes/postgres"
                yield Finding(f"{where} has data of PostgreSQL {found}; this is {POSTGRES}", mend)


def wanted(root: Path) -> dict:
    """Return the four ports: from the environment, else `.env`, else the defaults."""
    knobs = {}
    with suppress(OSError):
        knobs = dict(re.findall(r"^\s*(\w+)\s*=\s*[\"']?([^\"'#\s]*)", (root / ".env").read_text(), re.M))
    chosen = {name: os.environ.get(name) or knobs.get(name) or str(port) for name, port in PORTS.items()}
    return {name: int(port) for name, port in chosen.items() if port.isdigit() and 0 < int(port) < 65536}


def is_taken(port: int) -> bool:
    """Tell whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def user(port: int) -> str:
    """Return who listens on a port, as well as this user may know."""
    for line in run("docker", "ps", "--format", "{{.Names}}\t{{.Ports}}").splitlines():
        if f":{port}->" in line:
            return f"the container {line.split(chr(9))[0]}"
    if found := run("lsof", "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fcp"):
        return " ".join(f"{line[1:]}" for line in reversed(found.splitlines()[:2]))
    return _listener(port) or "another program"


def _listener(port: int) -> str:
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            rows = (line.split() for line in Path(table).read_text().splitlines()[1:])
            inodes |= {f"socket:[{row[9]}]" for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "0A"}
    for process in Path("/proc").glob("[0-9]*") if inodes else ():
        with suppress(OSError):
            if any(os.readlink(end) in inodes for end in (process / "fd").iterdir()):  # noqa: PTH115
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return ""


def run(*command: str) -> str:
    """Return what a command prints, nothing where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def major(version: str) -> int:
    """Return the first number of a version."""
    return int(re.findall(r"\d+", version)[0]) if re.search(r"\d", version) else 0


def main() -> int:
    """Print what stops a start; return 1 if there is something."""
    root = Path(__file__).resolve().parents[5]
    found = [finding for finding in quick(root, sys.argv[1]) if finding.stops]
    for finding in found:
        print(f"{finding.what}: {finding.mend}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
