"""Serve JupyterLab; meanwhile load volumes/static into PostgreSQL, and train a first model where there is none."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Lock, Thread

from pydantic import Field, ValidationError
from takehome import settings
from takehome.errors import TakehomeError

HERE = Path(__file__).resolve().parent
SECONDS_TO_STOP = 4
SECONDS_TO_RETRY = 5


class Settings(settings.Settings):
    """Where JupyterLab listens, beside the folders and the database that `takehome` knows."""

    host: str = "127.0.0.1"
    port: int = Field(8888, ge=1, le=65535)


class Children:
    """Processes that end with this one, each with whatever it has started."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[bytes]] = []
        self._lock, self._stopping = Lock(), False

    def start(self, *command: str, **variables: str) -> subprocess.Popen[bytes]:
        """Start a program of this environment, in this process's group: who ends the group ends all."""
        program = str(Path(sys.executable).with_name(command[0]))
        with self._lock:
            if self._stopping:
                sys.exit()  # the thread that would have gone on
            child = subprocess.Popen([program, *command[1:]], env=os.environ | variables)
            self._running.append(child)
        return child

    def stop(self) -> None:
        """Ask all to end, then make them; nothing is started any more."""
        with self._lock:
            self._stopping = True
        self._signal(signal.SIGTERM)
        for child in self._running:
            try:
                child.wait(SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                continue
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        for child in self._running:
            child.send_signal(number)


def prepare(children: Children, settings: Settings) -> None:
    """Load the data, then train; each reports its own failure, and JupyterLab stays up to mend it."""
    children.start("takehome", "load").wait()
    if _has_no_model(settings):
        children.start("takehome", "train", str(settings.notebooks_dir / "submission.ipynb")).wait()


def _has_no_model(settings: Settings) -> bool:
    """Tell whether there is no model yet, as soon as that can be known: an object store may start later."""
    told = ""
    while True:
        try:
            return settings.store().current() is None
        except TakehomeError as error:
            if str(error) != told:
                print(told := str(error), file=sys.stderr, flush=True)
            time.sleep(SECONDS_TO_RETRY)


def main() -> int:
    """Run until JupyterLab ends or a signal comes; return the exit code."""
    try:
        settings = Settings()
    except ValidationError as error:
        sys.exit("\n".join(f"{str(e['loc'][0]).upper()}={e['input']!r}: {e['msg']}." for e in error.errors()))
    if "PIP_PREFIX" in os.environ:  # a running Python overlooks what `%pip install` puts into a new folder
        Path(os.environ["PYTHONPATH"]).mkdir(parents=True, exist_ok=True)
    children = Children()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    # A short path for the kernels' sockets, which the system cuts at about 100 characters.
    with tempfile.TemporaryDirectory(prefix="jupyter-", dir="/tmp") as runtime:  # nosec B108
        try:
            jupyter = children.start(
                "jupyter", "lab", f"--config={HERE / 'jupyter_server_config.py'}", JUPYTER_RUNTIME_DIR=runtime,
                HOST=settings.host, PORT=str(settings.port), NOTEBOOKS_DIR=str(settings.notebooks_dir.resolve()),
            )  # fmt: skip
            Thread(target=prepare, args=(children, settings), daemon=True).start()
            return jupyter.wait()
        finally:
            children.stop()


if __name__ == "__main__":
    sys.exit(main())
