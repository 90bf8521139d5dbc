"""What a model is worth on rows whose answers it was not told: computed here, from nothing but its answers."""

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import balanced_accuracy_score, r2_score, roc_auc_score

from takehome.metadata import Metadata

MARGIN = 0.05


@dataclass(frozen=True)
class Score:
    """One figure: as `model.json` claims it, and as found on rows of the committee's data.

    Attributes
    ----------
    name : as in `model.json`.
    claimed, found : the values; None where one is not known.
    rows : how many rows were asked.
    message : why nothing was found.
    """

    name: str
    claimed: float | None
    found: float | None
    rows: int
    message: str = ""

    @property
    def holds(self) -> bool:
        """Whether the claim is not far better than what was found, training rows included."""
        return self.claimed is None or self.found is None or self.claimed <= self.found + MARGIN


def score(metadata: Metadata, truth: list[Any], answers: bytes) -> Score:
    """Score the answers of a model.

    Parameters
    ----------
    metadata : what was claimed.
    truth : n values of the target.
    answers : what the process that loaded the model printed: anything at all.
    """
    name = _headline(metadata)
    claimed, rows = metadata.metrics.get(name), len(truth)
    if not truth:
        return Score(name, claimed, None, 0, "no file of volumes/static has the columns of the model")
    try:
        reply = json.loads(answers)
        if "error" in reply:
            return Score(name, claimed, None, rows, f"the model can't be loaded: {str(reply['error'])[:80]}")
        found = _figure(metadata, name, truth, reply["answers"])
    except (ValueError, TypeError, KeyError, LookupError, AttributeError, RecursionError, OverflowError):
        return Score(name, claimed, None, rows, "the model gave no answers that could be scored")
    return Score(name, claimed, found if math.isfinite(found) else None, rows)


def _headline(metadata: Metadata) -> str:
    if metadata.classes is None:
        return "r2"
    return "roc_auc" if len(metadata.classes) == 2 else "balanced_accuracy"


def _figure(metadata: Metadata, name: str, truth: list[Any], answers: list[dict[str, Any]]) -> float:
    if len(answers) != len(truth):
        raise ValueError("an answer is missing")
    if metadata.classes is None:
        return float(r2_score(np.asarray(truth, float), np.asarray([float(a["prediction"]) for a in answers])))
    labels = {item["value"]: item["label"] for item in metadata.classes}
    true = [labels[value] for value in truth]
    if name == "balanced_accuracy":
        return float(balanced_accuracy_score(true, [str(a["prediction"]) for a in answers]))
    positive = metadata.classes[1]["label"]
    chances = [float(a["probabilities"][positive]) for a in answers]
    return float(roc_auc_score([label == positive for label in true], chances))
