"""joblib's way to the workers of a Dask cluster."""

import weakref
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

from distributed import Client, Future
from joblib.parallel import AutoBatchingMixin, ParallelBackendBase

from takehome.training import parcel
from takehome.training.versions import Versions


class Backend(AutoBatchingMixin, ParallelBackendBase):
    """Sends batches of tasks to workers.

    joblib's own backend of this kind waits for ever on a task that ended its worker, and loses the data that it has
    sent ahead when their worker dies. Here data is the result of a task, which the scheduler repeats.
    """

    supports_retrieve_callback = True

    def __init__(self, client: Client, versions: Versions) -> None:
        super().__init__()
        self._client, self._versions = client, versions
        self._data: dict[int, Future] = {}  # by the identity of what was sent, as long as that lives

    def configure(self, n_jobs: int = 1, parallel: Any = None, **options: Any) -> int:
        """Look at each worker before work begins; return how many there are."""
        self._versions.check(self._client)
        return super().configure(n_jobs, parallel, **options)

    def effective_n_jobs(self, n_jobs: int) -> int:
        """Return the number of tasks to be cut; 1 would mean: in this process."""
        return 1 if n_jobs == 1 else max(2, sum(self._client.nthreads().values()))

    def submit(self, func: Any, callback: Callable[[Future], None] | None = None) -> Future:
        """Send a batch, and its data where that was not sent before."""
        needed: dict[int, Future] = {}
        packed = parcel.pack(func, partial(self._send, needed))
        name = getattr(func.items[0][0], "__name__", "task")
        future = self._client.submit(parcel.run, packed, needed, key=f"{name}-{uuid4().hex}", pure=False)
        future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, future: Future) -> Any:
        """Return a batch's results, or raise what it raised."""
        return parcel.unpack(future.result())

    def stop_call(self) -> None:
        """Forget the data: it may be changed before the next call."""
        self._data.clear()

    def terminate(self) -> None:
        """End a call; the workers stay."""
        self.reset_batch_stats()

    def _send(self, needed: dict[int, Future], data: Any) -> int:
        name = id(data)
        if name not in self._data:
            key = f"{type(data).__name__}-{uuid4().hex}"
            self._data[name] = self._client.submit(parcel.unpack, parcel.pack(data), key=key, pure=False)
            weakref.finalize(data, self._data.pop, name, None)
        needed[name] = self._data[name]
        return name
