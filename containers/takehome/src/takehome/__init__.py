"""What a notebook needs: read data under one rule, save a model that proves itself, load it back."""

from takehome.artifact import Model, load_model, save_model
from takehome.database import engine, read_table
from takehome.errors import TakehomeError
from takehome.reading import read_csv

__all__ = ["Model", "TakehomeError", "engine", "load_model", "read_csv", "read_table", "save_model"]
