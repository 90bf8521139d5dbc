"""Dates and times on a line of numbers."""

from datetime import UTC, datetime
from typing import Any


def seconds(value: Any) -> float:
    """Give a number as it is, and ISO text as seconds since 1970; a time without a zone is UTC."""
    if not isinstance(value, str):
        return float(value)
    moment = datetime.fromisoformat(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
