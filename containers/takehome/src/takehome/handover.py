"""Writing the estimator so that a process without the notebook can load it.

What a fresh process can import is written as a name, as pickle does. What it can't (functions and classes of the
notebook, lambdas, a module beside the notebook) is written with its code.
"""

import pickle  # nosec B403
import site
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import packages_distributions
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import cloudpickle
import joblib

from takehome.errors import TakehomeError

# What pickling is known to end with, by what refuses: pickle, cloudpickle, or the object's own `__reduce__`.
_ERRORS = (pickle.PicklingError, TypeError, AttributeError, ValueError, NotImplementedError, RecursionError)


def hand_over(estimator: Any, path: Path) -> list[str]:
    """Write an estimator to a file that `joblib.load` reads, the same bytes for the same estimator.

    Returns
    -------
    The modules whose code the file carries; `__main__` is the notebook. None of them: the file is joblib's own.

    Raises
    ------
    TakehomeError
        It holds something that lives only in this process, such as an open connection.
    """
    with by_value(beside_the_notebook()):
        looked = _Pickler(_Nowhere(), buffer_callback=lambda _: None)
        try:
            looked.dump(estimator)
            if not looked.carried:
                joblib.dump(estimator, path)
                return []
            with path.open("wb") as file:
                _Pickler(file).dump(estimator)
        except _ERRORS as error:
            raise TakehomeError(_explain(estimator, looked, error)) from error
    return sorted(looked.carried)


class _Nowhere:
    """A file to look what would be written."""

    def write(self, content: Any) -> int:
        """Take note of nothing."""
        return len(content)


class _Pickler(cloudpickle.Pickler):
    """Notes whose code is carried, and leaves out what differs from run to run."""

    def __init__(self, file: Any, **options: Any) -> None:
        super().__init__(file, **options)
        self.carried: set[str] = set()
        self.function: FunctionType | None = None

    def reducer_override(self, obj: Any) -> Any:
        """Say how an object is written: pickle asks this before anything else."""
        if isinstance(obj, CodeType):  # a cell's file name holds the kernel's process number
            return self.dispatch_table[CodeType](obj.replace(co_filename=f"<{Path(obj.co_filename).name}>"))
        reduced = super().reducer_override(obj)
        if reduced is NotImplemented or getattr(obj, "__module__", "builtins") == "builtins":
            return reduced
        self.carried.add(obj.__module__)
        if isinstance(obj, FunctionType):
            self.function = obj
            return reduced
        # No identity across processes: a class of the same name that is served already must not be changed by this one.
        make, made_of, *rest = reduced
        return make, (*made_of[:-2], None, None), *rest


def beside_the_notebook() -> list[ModuleType]:
    """Return the imported top-level modules that belong to no installed package."""
    places = ("stdlib", "platstdlib", "purelib", "platlib")
    installed = [*map(sysconfig.get_path, places), *site.getsitepackages(), site.getusersitepackages()]
    own = [
        module
        for name, module in list(sys.modules.items())
        if "." not in name
        and name not in ("__main__", "takehome")
        and (home := _home(module)) is not None
        and not any(home.is_relative_to(place) for place in installed)
    ]
    packages = packages_distributions() if own else {}
    return [module for module in own if module.__name__ not in packages]


def _home(module: ModuleType) -> Path | None:
    """Return the folder that a module was found in."""
    folders, file = list(getattr(module, "__path__", [])), getattr(module, "__file__", None)
    where = folders[0] if folders else file
    return Path(where).absolute().parent if isinstance(where, str) else None


@contextmanager
def by_value(modules: list[ModuleType]) -> Iterator[None]:
    """Let cloudpickle write these modules with their code, as long as the block runs."""
    known = cloudpickle.list_registry_pickle_by_value()
    modules = [module for module in modules if module.__name__ not in known]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


def _explain(estimator: Any, looked: _Pickler, error: Exception) -> str:
    """Say what can't be written, and which variable it comes from."""
    what = f"The {type(estimator).__name__} can't be pickled: {error}."
    names = _unpicklable(looked.function) if looked.function else []
    if names:
        return (
            f"{what} Its function {looked.function.__name__!r} uses the variable {', '.join(map(repr, names))}, "  # type: ignore[union-attr]
            "which lives only in this process. Make it inside the function, or give the function plain values."
        )
    return (
        f"{what} It holds something that lives only in this process, as a connection, an open file or a lock does. "
        "Keep that out of the estimator, or make it inside predict."
    )


def _unpicklable(function: FunctionType) -> list[str]:
    used = [name for name in function.__code__.co_names if name in function.__globals__]
    return [name for name in used if not _picklable(function.__globals__[name])]


def _picklable(value: Any) -> bool:
    try:
        _Pickler(_Nowhere(), buffer_callback=lambda _: None).dump(value)
    except _ERRORS:
        return False
    return True
