"""Where a notebook's parallel work runs: on the workers of a Dask scheduler, else on the cores of this machine."""

import os
import socket
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager

import dask
from distributed import Client
from distributed.comm import CommClosedError, get_address_host_port
from distributed.scheduler import KilledWorker, NoWorkerError
from joblib import cpu_count, parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError
from threadpoolctl import threadpool_limits

from takehome.errors import TakehomeError
from takehome.handover import beside_the_notebook, by_value
from takehome.training.backend import Backend
from takehome.training.progress import shown
from takehome.training.versions import Versions

_SECONDS = 5  # to connect, and then for the first worker
_LARGE_DATA = {"distributed.admin.large-graph-warning-threshold": "1 TiB"}  # once a call is what a call costs
_LESS = "Use fewer rows or a smaller model, or raise mem_limit of `{}` in docker-compose.yml."


@contextmanager
def cluster() -> Iterator[None]:
    """Run scikit-learn's parallel work in a cluster, without one on the cores of this machine.

    Parallel are searches, cross-validation, forests and whatever else takes `n_jobs`.
    The scheduler is the one that the variable `DASK_SCHEDULER_ADDRESS` names. Where none answers, or it has no worker,
    joblib uses the cores of this machine. Either way the tasks and their seeds are the same, and linear algebra takes
    one thread, so that scores agree bit for bit. A bar counts the tasks. A worker that is lost costs the time of its
    tasks, which others repeat. Dask's collections are computed in the cluster, too.

    Raises
    ------
    TakehomeError
        A worker has other packages than this process, memory ran out, or the scheduler was lost.
    """
    client = _connect(os.environ.get("DASK_SCHEDULER_ADDRESS"))
    with threadpool_limits(1, user_api="blas"), shown():
        if client is None:
            with _explained("python"), parallel_config(n_jobs=-1):
                yield
            return
        with client, by_value(beside_the_notebook()), _explained("worker"):
            versions = Versions()
            with parallel_config(backend=Backend(client, versions), n_jobs=-1), dask.config.set(_LARGE_DATA):
                yield
            versions.check(client)  # somebody may have come in the middle


def _connect(address: str | None) -> Client | None:
    """Return a connection to a scheduler that has workers, and say where the work will run."""
    client, why_not = (None, "no scheduler is named") if not address else _reach(address)
    if client is None:
        print(f"Parallel work runs on {_counted(cpu_count(), 'core')} of this machine: {why_not}.")
    else:
        print(f"Parallel work runs on {_counted(len(client.nthreads()), 'worker')} of {address}.")
    return client


def _reach(address: str) -> tuple[Client | None, str]:
    """Return a connection, or the reason why there is none."""
    try:
        host, port = get_address_host_port(address)
    except ValueError:
        raise TakehomeError(f"DASK_SCHEDULER_ADDRESS={address!r} is no address. Write it as tcp://HOST:8786.") from None
    try:
        with socket.create_connection((host, port), _SECONDS) as connection:
            connection.recv(1)  # a scheduler speaks first; with another server the client would wait for ever
        client = Client(address, timeout=_SECONDS)
    except OSError as error:
        return None, f"{address} does not answer ({(error.strerror or str(error)).lower()})"
    try:
        client.wait_for_workers(1, timeout=_SECONDS)
    except TimeoutError:
        client.close()
        return None, f"{address} has no worker"
    return client, ""


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


@contextmanager
def _explained(service: str) -> Iterator[None]:
    """Say in a sentence how a task was lost."""
    try:
        yield
    except (KilledWorker, TerminatedWorkerError) as error:
        raise TakehomeError(
            "A task ended each process that tried it, as one does that takes more memory than there is. "
            + _LESS.format(service)
        ) from error
    except MemoryError as error:
        raise TakehomeError("Memory ran out. " + _LESS.format(service)) from error
    except NoWorkerError as error:
        raise TakehomeError(
            "The last worker is gone, and none came back. See: docker compose logs worker. Then run the cell again."
        ) from error
    except (CancelledError, CommClosedError) as error:
        raise TakehomeError(
            "The connection to the scheduler was lost, and with it what was not finished. See: docker compose logs "
            "scheduler. Then run the cell again."
        ) from error
