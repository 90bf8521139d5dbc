"""How a worker ends: at once, since it has nothing to save, and Python would first let a busy one finish its task."""

import signal

from distributed import Worker


def dask_setup(worker: Worker) -> None:  # noqa: ARG001
    """Let the system end the process; Dask calls this when the worker starts."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
