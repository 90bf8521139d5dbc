"""What else models may be stored in: FTP and SFTP servers. Their paths are those of this machine."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from object_store import ObjectStore
from waiting import eventually

USER, READER, PASSWORD = "takehome", "reader", "a-password-of-the-tests"
FTP = """
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer
port, user, reader, password = sys.argv[1:]
FTPHandler.authorizer = DummyAuthorizer()
FTPHandler.authorizer.add_user(user, password, "/", perm="elradfmwMT")
FTPHandler.authorizer.add_user(reader, password, "/", perm="elr")
FTPServer(("127.0.0.1", int(port)), FTPHandler).serve_forever()
"""
SFTP = """
import asyncio, asyncssh
port, user, _, password = sys.argv[1:]
class Server(asyncssh.SSHServer):
    def begin_auth(self, username):
        return True
    def password_auth_supported(self):
        return True
    def validate_password(self, username, given):
        return (username, given) == (user, password)
async def serve():
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.listen(
        "127.0.0.1", int(port), server_factory=Server, server_host_keys=[key], sftp_factory=True
    )
    await server.wait_closed()
asyncio.run(serve())
"""


@pytest.fixture(scope="module")
def ftp(free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """Give an FTP server that the tests of a file share, with an empty folder."""
    yield from _serving("ftp", free_port(), str(tmp_path_factory.mktemp("ftp")))


@pytest.fixture(scope="module")
def sftp(free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """Give an SFTP server, likewise."""
    yield from _serving("sftp", free_port(), str(tmp_path_factory.mktemp("sftp")))


def _serving(scheme: str, port: int, folder: str) -> Iterator[ObjectStore]:
    program = "import sys\n" + {"ftp": FTP, "sftp": SFTP}[scheme]
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(port), USER, READER, PASSWORD],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        eventually(lambda: _answers(port))
        address = f"127.0.0.1:{port}"
        environment = {f"FSSPEC_{scheme.upper()}": f'{{"username": "{USER}", "password": "{PASSWORD}"}}'}
        yield ObjectStore(address, f"{scheme}://{address}{folder}", environment, process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as door:
        return bool(door.recv(1))
    return False
