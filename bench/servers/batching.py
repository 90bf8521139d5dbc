"""FastAPI and `batched`, which gathers the rows of 5 ms."""

import asyncio
from typing import Any

from batched import aio
from fastapi import FastAPI
from pipeline import Row, probabilities

app = FastAPI()


@aio.dynamically(batch_size=64)
async def gathered(rows: list[dict[str, Any]]) -> list[list[float]]:
    return await asyncio.to_thread(probabilities, rows)


@app.post("/predict")
async def predict(row: Row) -> list[float]:
    return await gathered(row.model_dump())


@app.post("/predict_many")
async def predict_many(rows: list[Row]) -> list[list[float]]:
    return await asyncio.to_thread(probabilities, [row.model_dump() for row in rows])
