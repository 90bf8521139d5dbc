"""A proved model as it is served: how its rows may be put together, and the answers that can be kept."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import pandas as pd
from takehome.answers import Predictions, agree, predict, predicts_most_probable
from takehome.artifact import Model
from takehome.schema import Row

from app.settings import settings
from app.texts import Text, texts

# Its image has no Arrow; where there is one, it takes longer to hand over a few rows of text than to predict them.
pd.set_option("mode.string_storage", "python")

MANY_ROWS = 1_000  # of which those that are equal are predicted once
REPEATED = {"boolean", "category", "integer"}  # where all columns are of these kinds, many rows are equal
MOST_KEPT_BYTES = 4_000  # a longer body is not kept


class Served:
    """A model, its estimator bound to one thread, tried out on its example rows.

    Parameters
    ----------
    model : that was proved. Its estimator is changed: whatever has an `n_jobs` gets 1.

    Attributes
    ----------
    batched : a row gets the same answer alone and among others, as a proof takes it (to 1e-6: skrub
        computes in single precision); else each row is predicted by itself.
    steady : the same rows get the same answers again, to the last bit.
    here : it predicts on an event loop, too; an estimator that calls `asyncio.run()` would fail there.
    quick : so it does, and the last few rows took but a moment.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.version = model.metadata.version
        _bind_to_one_thread(model.estimator)
        rows = model.metadata.examples.rows
        self._most_probable = False
        together = self._predict(rows).answers()
        alone = [self._predict([row]).answers()[0] for row in rows]
        self.batched = all(map(agree, together, alone))
        self.steady = self.batched and self._predict(rows).answers() == together
        self._most_probable = predicts_most_probable(model.estimator)
        self._most_probable = self._most_probable and self._predict(rows).answers() == together
        self._repeats = self.steady and all(column.kind in REPEATED for column in model.schema.columns)
        self.here = self._predicts_here(rows)
        self.quick = False
        self._kept: OrderedDict[bytes, Text] = OrderedDict()  # a dict takes ever longer to find its oldest

    def answer(self, rows: list[Row]) -> list[Text]:
        """Answer n rows; whatever the estimator raises is raised."""
        if len(rows) < MANY_ROWS or not self._repeats:
            return texts(self._predict(rows))
        values = [tuple(row.values()) for row in rows]  # the reader gives every row the same order
        once = dict(zip(values, rows, strict=True))
        answers = dict(zip(once, texts(self._predict([*once.values()])), strict=True))
        return [answers[each] for each in values]

    def seen(self, content: bytes) -> Text | None:
        """Return what a body was answered with before, if that was kept."""
        return self._kept.get(content) if len(content) <= MOST_KEPT_BYTES else None

    def keep(self, content: bytes, kept: Text) -> None:
        """Keep an answer that the estimator would give again; the oldest makes room."""
        if not self.steady or not settings.answer_cache or len(content) > MOST_KEPT_BYTES:
            return
        if len(self._kept) >= settings.answer_cache:
            self._kept.popitem(last=False)
        self._kept[content] = kept

    def _predicts_here(self, rows: list[Row]) -> bool:
        async def predict() -> None:
            self._predict(rows)

        try:
            asyncio.run(predict())
        except BaseException:  # whatever an estimator raises
            return False
        return True

    def _predict(self, rows: list[Row]) -> Predictions:
        frame, known = self.model.schema.to_frame(rows), self.model.metadata
        return predict(self.model.estimator, frame, known.classes, known.threshold, most_probable=self._most_probable)


def _bind_to_one_thread(estimator: Any) -> None:
    # Fitted parts are not those that `get_params` knows: a ColumnTransformer keeps clones in `transformers_`.
    for part in _parts(estimator):
        if getattr(part, "n_jobs", None) not in (None, 1):
            part.n_jobs = 1


def _parts(estimator: Any) -> Iterator[Any]:
    """Give an estimator and all that it is made of."""
    waiting, met = [estimator], set[int]()
    while waiting:
        part = waiting.pop()
        if id(part) in met:
            continue
        met.add(id(part))
        if isinstance(part, dict):
            waiting.extend(part.values())
        elif isinstance(part, list | tuple | set):
            waiting.extend(part)
        elif hasattr(part, "predict") or hasattr(part, "transform") or hasattr(part, "get_params"):
            yield part
            waiting.extend(getattr(part, "__dict__", {}).values())
