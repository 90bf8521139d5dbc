"""What a notebook needs: read data under one rule, save a model that proves itself, load it back."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from takehome.artifact import Model, load_model, save_model
    from takehome.database import engine, read_table
    from takehome.errors import TakehomeError
    from takehome.reading import read_csv
    from takehome.training.cluster import cluster

__all__ = ["Model", "TakehomeError", "cluster", "engine", "load_model", "read_csv", "read_table", "save_model"]
_HOMES = {
    "Model": "artifact",
    "TakehomeError": "errors",
    "cluster": "training.cluster",
    "engine": "database",
    "load_model": "artifact",
    "read_csv": "reading",
    "read_table": "database",
    "save_model": "artifact",
}


def __getattr__(name: str) -> Any:
    # scikit-learn alone takes a second: a command that saves no model should not wait for it
    if name not in _HOMES:
        raise AttributeError(f"module 'takehome' has no attribute {name!r}")
    return getattr(import_module(f"takehome.{_HOMES[name]}"), name)
