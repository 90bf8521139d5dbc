"""Answers for a part of a file: a row that is refused does not lose the others."""

import time
from collections import defaultdict

from page.api import Api, Row
from page.contract import Answer, Answers, Problem, Refusal, TooLarge, Unavailable

TRIES = 10
ROUNDS = 3
Outcome = Answer | list[Problem]


class StoppedError(RuntimeError):
    """The API gives no answers any more; the message says why."""


class Scorer:
    """Asks the API for many rows, of one and the same model."""

    def __init__(self, api: Api, version: str) -> None:
        self._api, self._version = api, version

    def score(self, rows: list[Row]) -> list[Outcome]:
        """Give for each row its answer, or what is wrong with it.

        Raises
        ------
        StoppedError
            The API can't be reached or has another model by now.
        """
        found: dict[int, Outcome] = {}
        self._solve(rows, list(range(len(rows))), found)
        return [found[i] for i in range(len(rows))]

    def _solve(self, rows: list[Row], places: list[int], found: dict[int, Outcome]) -> None:
        """Fill in the outcomes at `places`: without the rows that were refused, by halves where that goes slowly."""
        for _ in range(ROUNDS):
            if not places:
                return
            result = self._ask([rows[i] for i in places])
            if isinstance(result, Answers):
                found.update(zip(places, result.answers, strict=True))
                return
            if isinstance(result, TooLarge):
                break
            refused = _by_row(result)
            found.update({places[i]: problems for i, problems in refused.items()})
            places = [place for i, place in enumerate(places) if i not in refused]
        if len(places) == 1:
            found[places[0]] = [Problem(msg="The row is too large for the API.")]
        elif places:
            half = len(places) // 2
            self._solve(rows, places[:half], found)
            self._solve(rows, places[half:], found)

    def _ask(self, rows: list[Row]) -> Answers | Refusal | TooLarge:
        for _ in range(TRIES):
            result = self._api.predict_many(rows)
            if not isinstance(result, Unavailable):
                break
            if not result.wait:
                raise StoppedError(result.reason)
            time.sleep(result.wait)
        if isinstance(result, Unavailable):
            raise StoppedError(result.reason)
        if isinstance(result, Answers) and result.version != self._version:
            raise StoppedError(f"The model was replaced by {result.version} meanwhile. Score the file again.")
        return result


def _by_row(refusal: Refusal) -> dict[int, list[Problem]]:
    rows = defaultdict(list)
    for problem in refusal.detail:
        if problem.row is None:
            raise StoppedError(problem.msg)
        rows[problem.row].append(problem)
    if not rows:
        raise StoppedError("The API refuses the rows without saying why.")
    return rows
