"""`takehome doctor` and its quick part: each finding is a line with the command that mends it."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from work import ROOT, TAKEHOME

QUICK = Path("containers/takehome/src/takehome/doctor/quick.py")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make the parts of a clone that are looked at."""
    for name in ("notebooks", "static", "models", "postgres", "submission"):
        (tmp_path / "volumes" / name).mkdir(parents=True)
    names = (
        "docker-compose.yml",
        "containers/constraints.txt",
        "containers/owner.sh",
        "containers/python/environment.yml",
    )
    for name in (*names, str(QUICK)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def quick(project: Path, way: str, **variables: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-S", str(project / QUICK), way], cwd=project, env=os.environ | variables,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == ""
    return done.returncode, done.stderr


def doctor(project: Path) -> tuple[int, str]:
    done = subprocess.run([str(TAKEHOME), "doctor"], cwd=project, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_a_healthy_folder_starts_without_a_word(project: Path) -> None:
    assert quick(project, "local") == (0, "")


@pytest.mark.parametrize("place", ["PG_VERSION", "16/docker/PG_VERSION"])
def test_data_of_another_postgresql_is_named_with_what_to_do(project: Path, place: str) -> None:
    (project / "volumes/postgres" / place).parent.mkdir(parents=True, exist_ok=True)
    (project / "volumes/postgres" / place).write_text("16\n")
    status, said = quick(project, "local")
    assert status == 1
    assert "has data of PostgreSQL 16; this is 18: mv volumes/postgres" in said


def test_a_missing_folder_is_named(project: Path) -> None:
    (project / "volumes/models").rmdir()
    assert quick(project, "local") == (1, "volumes/models is missing: mkdir -p volumes/models\n")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_named(project: Path) -> None:
    os.chown(project / "volumes/models", 4242, -1)
    status, said = quick(project, "local")
    assert (status, said) == (
        1,
        f"volumes/models belongs to another user: sudo chown -R {os.getuid()} volumes/models\n",
    )


def test_windows_line_ends_are_named_before_a_container_fails_on_them(project: Path) -> None:
    (project / "containers/owner.sh").write_bytes(b"#!/bin/sh\r\n")
    status, said = quick(project, "up")
    assert status == 1
    assert "containers/owner.sh has Windows line ends: git config core.autocrlf input" in said


def test_without_docker_the_local_mode_is_offered(project: Path, tmp_path: Path) -> None:
    status, said = quick(project, "up", PATH=str(tmp_path))
    assert status == 1
    assert "Docker is not installed: install it" in said
    assert "make local" in said


def test_a_port_in_use_is_named_with_who_uses_it(project: Path, free_port: Callable[[], int]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (project / ".env").write_text(f"API_PORT={port}\n")
        others = {f"{name}_PORT": str(free_port()) for name in ("JUPYTER", "POSTGRES", "STREAMLIT")}
        status, said = quick(project, "up", **others)
    assert status == 1
    assert f"port {port} is in use by " in said
    assert str(os.getpid()) in said
    assert f"echo API_PORT={port + 1} >> .env" in said


def test_a_package_that_the_lock_does_not_have_is_named(project: Path) -> None:
    with (project / "containers/python/environment.yml").open("a") as file:
        file.write("      - no-such-package\n")
    assert "names no-such-package, which the lock doesn't have: make lock" in doctor(project)[1]


def test_a_model_that_cannot_be_read_is_named(project: Path) -> None:
    (project / "volumes/models/current").write_text("20260101-000000\n")
    assert "the current model can't be read" in doctor(project)[1]


def test_outside_a_clone_it_says_so(tmp_path: Path) -> None:
    done = subprocess.run([str(TAKEHOME), "doctor"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is not in a clone of the project" in done.stderr
