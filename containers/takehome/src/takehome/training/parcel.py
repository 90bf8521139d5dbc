"""What goes to a worker and back: code of the notebook by value, large data apart from the tasks that use it."""

import io
import pickle  # nosec B403
from collections.abc import Callable
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
from dask.sizeof import sizeof

_LARGE = 100_000  # bytes


def pack(content: Any, apart: Callable[[Any], int] | None = None) -> np.ndarray:
    """Write something so that a worker can read it.

    Parameters
    ----------
    apart : takes each large array or frame in it and returns a name, under which `run` will find it.

    Returns
    -------
    (n,) bytes; an array, since Dask hands that on without a copy.
    """
    file = io.BytesIO()
    _Pickler(file, apart).dump(content)
    return np.frombuffer(file.getbuffer(), dtype=np.uint8)


def unpack(packed: np.ndarray, data: dict[int, Any] | None = None) -> Any:
    """Return what was packed."""
    content = _Unpickler(io.BytesIO(packed.data), data or {}).load()
    if isinstance(content, np.ndarray):
        content.flags.writeable = False  # as joblib's processes get it: other tasks read the same
    return content


def run(packed: np.ndarray, data: dict[int, Any]) -> np.ndarray:
    """Run a batch of tasks in a worker; return their results, packed."""
    return pack(unpack(packed, data)())


class _Pickler(cloudpickle.Pickler):
    def __init__(self, file: io.BytesIO, apart: Callable[[Any], int] | None) -> None:
        super().__init__(file)
        self._apart = apart

    def persistent_id(self, obj: Any) -> int | None:
        """Name what is large."""
        if self._apart and isinstance(obj, np.ndarray | pd.DataFrame | pd.Series) and sizeof(obj) > _LARGE:
            return self._apart(obj)
        return None


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, data: dict[int, Any]) -> None:
        super().__init__(file)
        self._data = data

    def persistent_load(self, pid: Any) -> Any:
        """Return what was named; a frame as a copy on write."""
        data = self._data[pid]
        return data if isinstance(data, np.ndarray) else data.copy(deep=False)
