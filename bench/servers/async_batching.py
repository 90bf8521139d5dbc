"""FastAPI and `async-batcher`, which gathers the rows of 10 ms."""

import asyncio
from typing import Any

from async_batcher.batcher import AsyncBatcher
from fastapi import FastAPI
from pipeline import Row, probabilities

app = FastAPI()


class Gathered(AsyncBatcher):
    """Predicts what was gathered, in a thread."""

    def process_batch(self, batch: list[dict[str, Any]]) -> list[list[float]]:
        return probabilities(batch)


gathered = Gathered(max_batch_size=64)


@app.post("/predict")
async def predict(row: Row) -> list[float]:
    return await gathered.process(row.model_dump())


@app.post("/predict_many")
async def predict_many(rows: list[Row]) -> list[list[float]]:
    return await asyncio.to_thread(probabilities, [row.model_dump() for row in rows])
