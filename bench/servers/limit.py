"""The limit: the same body, read and checked the same way, and an answer that costs nothing."""

from fastapi import FastAPI
from pipeline import Row

app = FastAPI()


@app.post("/predict")
async def predict(_: Row) -> list[float]:
    return [0.5, 0.5]
