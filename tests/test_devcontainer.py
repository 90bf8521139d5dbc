"""The dev container, opened with the command line that VS Code and Codespaces share."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stack import OWNERS, Stack

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def inside(need: Any, clone: Callable[[int], Stack], tmp_path_factory: Any) -> Callable[..., str]:
    """Open a clone as its owner; return a function that runs a command in there."""
    program = shutil.which("devcontainer")
    need("devcontainer", program is not None, "no devcontainer on the PATH: npm install --global @devcontainers/cli")
    stack = clone(OWNERS[-1])
    command = ["env", f"HOME={stack.folder}", str(program)]
    if os.getuid() == 0:
        engine = Path("/var/run/docker.sock").stat().st_gid
        command = ["setpriv", f"--reuid={stack.owner}", f"--regid={stack.owner}", f"--groups={engine}", *command]
        # The program asks for the name of its user, and has to get into the folder.
        names = tmp_path_factory.mktemp("names") / "passwd"
        names.write_text(f"{Path('/etc/passwd').read_text()}owner:x:{stack.owner}:{stack.owner}::/:/bin/sh\n")
        for parent in (names.parent, *stack.folder.parents[:-2]):
            parent.chmod(parent.stat().st_mode | 0o011)
        names.chmod(0o644)
        command = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"', str(names), *command]
    stack.run(*command, "up", "--workspace-folder", ".")
    return lambda *asked: stack.run(*command, "exec", "--workspace-folder", ".", *asked)


def test_python_knows_the_project_and_its_data(inside: Callable[..., str]) -> None:
    said = inside("python", "-c", "import takehome; print(len(takehome.read_table('births')))")
    assert int(said.split()[-1]) > 1_000_000


def test_a_kernel_runs_and_what_is_written_belongs_to_the_owner(inside: Callable[..., str]) -> None:
    code = "open('/workspace/made.py', 'w').write('print(6 * 7)')"
    inside("python", "-c", code)
    assert "42" in inside("jupyter", "run", "made.py").split()
    assert inside("stat", "-c", "%u", "made.py").split()[-1] == str(OWNERS[-1])
