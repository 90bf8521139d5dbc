"""What every server shares: the pipeline, the row as a body model, and the way from rows to probabilities."""

import json
import os
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from pydantic import create_model

FOLDER = Path(os.environ["WORKLOAD"])
ESTIMATOR = joblib.load(FOLDER / "model.joblib")
TYPES: dict[str, Any] = {"float64": float | None, "int64": int, "bool": bool, "str": str | None}
DTYPES: dict[str, str] = json.loads((FOLDER / "dtypes.json").read_text())
Row = create_model("Row", **{name: (TYPES[dtype], ...) for name, dtype in DTYPES.items()})  # type: ignore[call-overload]


def frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the rows as a dataframe; None, which the pipeline would take for a category, becomes NaN."""
    return pd.DataFrame(rows).fillna(np.nan)


def probabilities(rows: list[dict[str, Any]]) -> list[list[float]]:
    """Return the probabilities of each row."""
    return ESTIMATOR.predict_proba(frame(rows)).tolist()
