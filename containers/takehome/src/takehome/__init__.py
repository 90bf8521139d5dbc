"""What a notebook needs: read data under one rule, save a model that proves itself, load it back."""

from takehome.artifact import Model, load_model, save_model
from takehome.errors import TakehomeError
from takehome.reading import read_csv

__all__ = ["Model", "TakehomeError", "load_model", "read_csv", "save_model"]
