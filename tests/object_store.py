"""Object stores over HTTP: moto's S3 server, from an environment of its own since it doesn't fit the lock; Azurite."""

import base64
import hashlib
import hmac
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

import httpx
import pytest

MOTO = "moto[server]==5.2.5"
# Azurite's only account; its key is in its manual.
AZURE = "devstoreaccount1"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
COMMAND = (str(Path(sys.executable).with_name("uv")), "tool", "run", "--python", sys.executable, "--from", MOTO)


@dataclass(frozen=True)
class ObjectStore:
    """A running server with one empty bucket.

    Attributes
    ----------
    endpoint : its address over HTTP; that of S3 checks no signature.
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
    endpoint = f"http://{host}:{port}"
    environment = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIDTESTONLY",
        "AWS_SECRET_ACCESS_KEY": "a-secret-of-the-tests",
    }
    with _started([*COMMAND, "moto_server", "-H", host, "-p", str(port)]) as process:
        _create(f"{endpoint}/{bucket}", process, lambda: {})
        yield ObjectStore(endpoint, f"s3://{bucket}", environment, process)


@contextmanager
def serving_azure(port: int, container: str = "takehome") -> Iterator[ObjectStore]:
    """Run Azure's Blob Storage, which checks signatures, and create the container."""
    endpoint = f"http://127.0.0.1:{port}/{AZURE}"
    environment = {
        "AZURE_STORAGE_ENDPOINT": endpoint,
        "AZURE_ALLOW_HTTP": "true",
        "AZURE_STORAGE_ACCOUNT_NAME": AZURE,
        "AZURE_STORAGE_ACCOUNT_KEY": AZURE_KEY,
    }

    def sign() -> dict[str, str]:
        """Sign `PUT /container?restype=container` with the shared key."""
        headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
        lines = [*(f"{name}:{value}" for name, value in headers.items()), f"/{AZURE}/{AZURE}/{container}"]
        text = "PUT" + "\n" * 12 + "\n".join([*lines, "restype:container"])
        signature = hmac.new(base64.b64decode(AZURE_KEY), text.encode(), hashlib.sha256).digest()
        return headers | {"Authorization": f"SharedKey {AZURE}:{base64.b64encode(signature).decode()}"}

    server = ["azurite-blob", "--silent", "--inMemoryPersistence", "--skipApiVersionCheck", "--blobPort", str(port)]
    with _started(server) as process:
        _create(f"{endpoint}/{container}?restype=container", process, sign)
        yield ObjectStore(endpoint, f"az://{container}", environment, process)


@contextmanager
def _started(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield process
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


@pytest.fixture(scope="module")
def azure(free_port: Callable[[], int], need: Callable[[str, bool, str], None]) -> Iterator[ObjectStore]:
    """Give Azure's object store, likewise."""
    need("object_store", shutil.which("azurite-blob") is not None, "npm install --global azurite")
    with serving_azure(free_port()) as store:
        yield store


def _create(bucket: str, process: subprocess.Popen[bytes], sign: Callable[[], dict[str, str]]) -> None:
    end = time.monotonic() + 60
    while True:
        with suppress(httpx.TransportError):
            assert httpx.put(bucket, headers=sign()).status_code in (200, 201)
            return
        assert process.poll() is None, "the server has ended"
        assert time.monotonic() < end, "the server never answered"
        time.sleep(0.1)
