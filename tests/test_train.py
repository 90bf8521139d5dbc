"""`takehome train`: a kernel that nobody can join, and that goes when the run goes."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import psutil
import pytest
from waiting import PATIENCE, eventually

TAKEHOME = str(Path(sys.executable).with_name("takehome"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_kernel_ends_with_the_run(tmp_path: Path, number: signal.Signals) -> None:
    mark = tmp_path / "running"
    code = f"import pathlib, time; pathlib.Path({str(mark)!r}).touch(); time.sleep(600)"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)]), tmp_path / "long.ipynb")
    run = subprocess.Popen([TAKEHOME, "train", "long.ipynb"], cwd=tmp_path, stdout=subprocess.DEVNULL)
    eventually(mark.exists)
    kernels = psutil.Process(run.pid).children(recursive=True)
    assert kernels
    connection = Path(next(word for word in kernels[0].cmdline() if word.endswith(".json")))
    assert json.loads(connection.read_text())["transport"] == "ipc"
    assert connection.parent.stat().st_mode & 0o077 == 0
    run.send_signal(number)
    run.wait(PATIENCE)
    eventually(lambda: not any(k.is_running() and k.status() != psutil.STATUS_ZOMBIE for k in kernels))
