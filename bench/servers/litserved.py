"""LitServe, with its own batching: it waits up to 5 ms for up to 64 rows."""

import sys
from typing import Any

import litserve
from pipeline import probabilities


class Probabilities(litserve.LitAPI):
    """Rows in, probabilities out."""

    def setup(self, device: str) -> None:
        """Load nothing: the pipeline came with the import."""

    def batch(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return inputs

    def predict(self, rows: list[dict[str, Any]]) -> list[list[float]]:
        return probabilities(rows)

    def unbatch(self, output: list[list[float]]) -> list[list[float]]:
        return output


if __name__ == "__main__":
    api = Probabilities(max_batch_size=64, batch_timeout=0.005)
    server = litserve.LitServer(api, accelerator="cpu", timeout=60)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="error")
