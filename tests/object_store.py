"""Object stores over HTTP: S3 by moto, from an environment of its own since it doesn't fit the lock; Azure by Azurite.

Google's takes the same requests as S3, but for who asks and for conditions: it is moto behind a translator of these.
"""

import base64
import hashlib
import hmac
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

MOTO = "moto[server]==5.2.5"
# Azurite's only account; its key is in its manual.
AZURE = "devstoreaccount1"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
RSA_KEY = """
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import rsa
key = rsa.generate_private_key(65537, 2048)
print(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()).decode())
"""
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
def serving_google(port: int) -> Iterator[ObjectStore]:
    """Run Google's XML API, as far as the tests need it; a signed token is wanted, whoever signed it."""

    class Translator(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def translate(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if not re.fullmatch(r"Bearer [\w-]+\.[\w-]+\.[\w-]+", self.headers.get("Authorization", "")):
                self.answer(httpx.Response(401, content=b"<Error><Code>AuthenticationRequired</Code></Error>"))
                return
            headers = {"Authorization": "AWS4-HMAC-SHA256 Credential=AKIDTESTONLY/20260101/us-east-1/s3/aws4_request"}
            headers |= {name: self.headers[name] for name in ("If-None-Match", "Range") if name in self.headers}
            if self.headers.get("x-goog-if-generation-match") == "0":  # there is no such object
                headers["If-None-Match"] = "*"
            self.answer(httpx.request(self.command, s3.endpoint + self.path, content=body, headers=headers))

        def answer(self, response: httpx.Response) -> None:
            self.send_response(response.status_code)
            kept = ("ETag", "Last-Modified", "Content-Length", "Content-Type", "Content-Range")
            for name in (name for name in kept if name in response.headers):
                self.send_header(name, response.headers[name])
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(response.content)

        def log_message(self, *_: Any) -> None:
            pass

    for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
        setattr(Translator, f"do_{method}", Translator.translate)
    made = subprocess.run([*COMMAND, "python", "-c", RSA_KEY], capture_output=True, text=True, check=True)
    with serving(port) as s3, ThreadingHTTPServer(("127.0.0.1", 0), Translator) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        environment = {
            "GOOGLE_SERVICE_ACCOUNT_KEY": account(made.stdout),
            "GOOGLE_BASE_URL": endpoint,
            "GOOGLE_ALLOW_HTTP": "true",
        }
        yield replace(s3, endpoint=endpoint, url=s3.url.replace("s3", "gs"), environment=environment)
        server.shutdown()


def account(key: str) -> str:
    """Return what Google lets a user download, with this private key."""
    return json.dumps({"client_email": "takehome@example.org", "private_key_id": "1", "private_key": key})


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
    _need_moto(need)
    with serving(free_port()) as store:
        yield store


@pytest.fixture(scope="module")
def google(free_port: Callable[[], int], need: Callable[[str, bool, str], None]) -> Iterator[ObjectStore]:
    """Give Google's object store, likewise."""
    _need_moto(need)
    with serving_google(free_port()) as store:
        yield store


@pytest.fixture(scope="module")
def azure(free_port: Callable[[], int], need: Callable[[str, bool, str], None]) -> Iterator[ObjectStore]:
    """Give Azure's object store, likewise."""
    need("object_store", shutil.which("azurite-blob") is not None, "npm install --global azurite")
    with serving_azure(free_port()) as store:
        yield store


def _need_moto(need: Callable[[str, bool, str], None]) -> None:
    found = subprocess.run([*COMMAND, "python", "-c", ""], capture_output=True, text=True, check=False)
    need("object_store", found.returncode == 0, f"{MOTO} can't be installed: {found.stderr[-200:]}")


def _create(bucket: str, process: subprocess.Popen[bytes], sign: Callable[[], dict[str, str]]) -> None:
    end = time.monotonic() + 60
    while True:
        with suppress(httpx.TransportError):
            assert httpx.put(bucket, headers=sign()).status_code in (200, 201)
            return
        assert process.poll() is None, "the server has ended"
        assert time.monotonic() < end, "the server never answered"
        time.sleep(0.1)
