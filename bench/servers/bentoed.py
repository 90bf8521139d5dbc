"""BentoML's service, with its own batching."""

from typing import Any

import bentoml
from pipeline import probabilities


@bentoml.service(traffic={"timeout": 60})
class Service:
    """Rows in, probabilities out."""

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=1000)
    def predict(self, rows: list[dict[str, Any]]) -> list[list[float]]:
        return probabilities(rows)

    @bentoml.api
    def predict_many(self, rows: list[dict[str, Any]]) -> list[list[float]]:
        return probabilities(rows)
