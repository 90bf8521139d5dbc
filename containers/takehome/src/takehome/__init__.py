"""What a notebook needs: read data under one rule, save a model that proves itself, load it back."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from takehome.artifact import Model, load_model, save_model
    from takehome.database import engine, read_table
    from takehome.errors import TakehomeError
    from takehome.reading import read_csv
    from takehome.scanning.counted import fit_counted
    from takehome.scanning.incremental import fit_incremental
    from takehome.scanning.sampled import fit_sample
    from takehome.scanning.scan import scan
    from takehome.training.cluster import cluster

__all__ = [
    "Model",
    "TakehomeError",
    "cluster",
    "engine",
    "fit_counted",
    "fit_incremental",
    "fit_sample",
    "load_model",
    "read_csv",
    "read_table",
    "save_model",
    "scan",
]
_HOMES = {
    "Model": "artifact",
    "TakehomeError": "errors",
    "cluster": "training.cluster",
    "engine": "database",
    "fit_counted": "scanning.counted",
    "fit_incremental": "scanning.incremental",
    "fit_sample": "scanning.sampled",
    "load_model": "artifact",
    "read_csv": "reading",
    "read_table": "database",
    "save_model": "artifact",
    "scan": "scanning.scan",
}


def __getattr__(name: str) -> Any:
    # scikit-learn alone takes a second: a command that saves no model should not wait for it
    if name not in _HOMES:
        raise AttributeError(f"module 'takehome' has no attribute {name!r}")
    return getattr(import_module(f"takehome.{_HOMES[name]}"), name)
