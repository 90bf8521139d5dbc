"""A process of its own for each model that is asked: `python -I -m ….answering MODELS VERSION FILE...`.

A pickle can run any code, so whoever compares the answers does not load the model. Each FILE holds a frame (`.joblib`)
or rows (`.json`); the answers go out as one line of JSON.
"""

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import joblib

from takehome.artifact import Model, load_model
from takehome.errors import TakehomeError


def _answers(models: str, version: str, files: list[str]) -> dict[str, Any]:
    try:
        model = load_model(version, models_dir=models)
        return {"answers": [model.predict(_read(model, Path(file))) for file in files]}
    except TakehomeError as error:
        return {"error": str(error)}
    except Exception as error:  # whatever an estimator raises
        return {"error": f"Model {version} can't answer: {type(error).__name__}: {error}"}


def _read(model: Model, file: Path) -> Any:
    if file.suffix == ".json":
        return model.schema.to_frame(json.loads(file.read_text(encoding="utf-8")))
    return joblib.load(file)


def main() -> None:
    """Answer over the pipe that standard output was; what the model prints goes elsewhere."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    json.dump(_answers(sys.argv[1], sys.argv[2], sys.argv[3:]), out)
    out.flush()


if __name__ == "__main__":
    main()
