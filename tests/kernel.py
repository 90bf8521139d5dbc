"""A kernel for a notebook, as the product starts it: by sockets that are files, since a free port may be taken."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from jupyter_client import AsyncKernelManager


@contextmanager
def kernel() -> Iterator[AsyncKernelManager]:
    """Give a kernel's manager; its folder is short, as the path of a socket has 107 bytes at most."""
    with tempfile.TemporaryDirectory() as folder:
        yield AsyncKernelManager(transport="ipc", ip=f"{folder}/k", connection_file=f"{folder}/kernel.json")
