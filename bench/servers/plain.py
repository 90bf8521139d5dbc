"""What everybody writes first: one endpoint that predicts on the event loop."""

from fastapi import FastAPI
from pipeline import Row, probabilities

app = FastAPI()


@app.post("/predict")
async def predict(row: Row) -> list[float]:
    return probabilities([row.model_dump()])[0]


@app.post("/predict_many")
async def predict_many(rows: list[Row]) -> list[list[float]]:
    return probabilities([row.model_dump() for row in rows])
