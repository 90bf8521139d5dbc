"""An object store over HTTP: moto's S3 server, from an environment of its own, since it doesn't fit the lock."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

MOTO = "moto[server]==5.2.5"
COMMAND = (str(Path(sys.executable).with_name("uv")), "tool", "run", "--python", sys.executable, "--from", MOTO)


@dataclass(frozen=True)
class ObjectStore:
    """A running S3 server with one empty bucket.

    Attributes
    ----------
    endpoint : its address over HTTP; it checks no signature.
    url : of the bucket.
    environment : the variables that let a process use it.
    process : leads a group of its own.
    """

    endpoint: str
    url: str
    environment: dict[str, str]
    process: subprocess.Popen[bytes]

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the server: SIGSTOP lets its clients wait, SIGKILL takes it away with all its objects."""
        os.killpg(self.process.pid, number)
        if number == signal.SIGKILL:
            self.process.wait()


@contextmanager
def serving(port: int, host: str = "127.0.0.1", bucket: str = "takehome") -> Iterator[ObjectStore]:
    """Run a server and create the bucket; objects are gone with it."""
    command = [*COMMAND, "moto_server", "-H", host, "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    endpoint = f"http://{host}:{port}"
    environment = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIDTESTONLY",
        "AWS_SECRET_ACCESS_KEY": "a-secret-of-the-tests",
    }
    try:
        _create(f"{endpoint}/{bucket}", process)
        yield ObjectStore(endpoint, f"s3://{bucket}", environment, process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def object_store(free_port: Callable[[], int], need: Callable[[str, bool, str], None]) -> Iterator[ObjectStore]:
    """Give an object store that the tests of a file share."""
    found = subprocess.run([*COMMAND, "python", "-c", ""], capture_output=True, text=True, check=False)
    need("object_store", found.returncode == 0, f"{MOTO} can't be installed: {found.stderr[-200:]}")
    with serving(free_port()) as store:
        yield store


def _create(bucket: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while True:
        with suppress(httpx.TransportError):
            assert httpx.put(bucket).status_code == 200
            return
        assert process.poll() is None, "the server has ended"
        assert time.monotonic() < end, "the server never answered"
        time.sleep(0.1)
