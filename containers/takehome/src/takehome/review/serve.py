"""A submitted model's API and page, in containers with limits, on free ports, until Ctrl-C."""

import secrets
import signal
import subprocess
import time

from takehome.errors import TakehomeError
from takehome.review.review import Submission, image
from takehome.review.room import DOCKER, LIMITS, plain

_PORT = "--publish=127.0.0.1:"


def serve(submission: Submission) -> None:
    """Serve the model of a submission; everything goes again at the end, however that comes.

    Raises
    ------
    TakehomeError
        A container can't be started; the message has the engine's reason.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    name = f"takehome-review-{secrets.token_hex(6)}"
    apart = "com.docker.network.bridge.enable_ip_masquerade=false"
    try:
        _docker("network", "create", f"--opt={apart}", name)
        models = f"--mount=type=bind,src={submission.folder / 'models'},dst=/models,readonly"
        options = (
            "--env=PREDICTION_LOG=off",
            "--env=MODELS_DIR=/models",
            "--user=65534:65534",
            models,
            f"{_PORT}:8080",
        )
        _start(name, "fastapi", *options)
        _start(name, "streamlit", "--env=API_URL=http://fastapi:8080", f"{_PORT}:8501")
        print(
            f"API   http://{_address(name, 'fastapi')}/docs\nPage  http://{_address(name, 'streamlit')}\nStop: Ctrl-C",
            flush=True,
        )
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        print("Stopped.")
    finally:
        containers = [f"{name}-{service}" for service in ("fastapi", "streamlit")]
        subprocess.run([DOCKER, "rm", "--force", *containers], capture_output=True, check=False)
        subprocess.run([DOCKER, "network", "rm", name], capture_output=True, check=False)


def _start(name: str, service: str, *options: str) -> None:
    log = ("--log-driver=json-file", "--log-opt=max-size=10m")
    place = (f"--name={name}-{service}", f"--network={name}", f"--network-alias={service}")
    _docker("run", "--detach", *place, *log, *LIMITS, *options, image(service))


def _address(name: str, service: str) -> str:
    port = {"fastapi": "8080", "streamlit": "8501"}[service]
    return _docker("port", f"{name}-{service}", port).splitlines()[0].replace("127.0.0.1", "localhost")


def _docker(*arguments: str) -> str:
    done = subprocess.run([DOCKER, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise TakehomeError(f"The model can't be served: {plain(done.stderr.strip())}. Try: make doctor.")
    return done.stdout.strip()
