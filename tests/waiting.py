"""Waiting for what comes in its own time."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import psycopg2
import requests

PATIENCE = 90  # s; a bound, not a promise: the suite shares two processors, which others may slow down
NOT_YET = (httpx.HTTPError, requests.RequestException, psycopg2.OperationalError)


def eventually(
    holds: Callable[[], Any], seconds: float = PATIENCE, not_yet: tuple[type[Exception], ...] = NOT_YET
) -> Any:
    """Return what a function gives as soon as that is true; where it raises one of `not_yet`, it is asked again."""
    end = time.monotonic() + seconds
    while True:
        with suppress(*not_yet):
            if found := holds():
                return found
        assert time.monotonic() < end, f"it did not come to hold within {seconds} s"
        time.sleep(0.05)
