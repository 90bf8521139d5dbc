"""The linters: each runs offline in seconds and has nothing to say."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
DOCKERFILES = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("containers/*/Dockerfile"))
SCRIPTS = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("containers/**/*.sh"))
COMMANDS = {
    "ruff": ["ruff", "check", "."],
    "ruff format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy"],
    "bandit": ["bandit", "--quiet", "--recursive", "containers", "--configfile", "tests/bandit.yml"],
    "hadolint": ["hadolint", *DOCKERFILES],
    "compose-lint": ["compose-lint", "--fail-on", "low", "docker-compose.yml"],
    "zizmor": ["zizmor", "--offline", "--quiet", ".github/workflows"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_linter_has_nothing_to_say(name: str) -> None:
    program, *arguments = COMMANDS[name]
    done = subprocess.run([str(BIN / program), *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_line_ends_are_unix() -> None:
    tracked = subprocess.run(["git", "ls-files", "--eol"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not [line for line in tracked.splitlines() if "w/crlf" in line or "w/mixed" in line]
