"""Numbers and times as words."""

from datetime import UTC, datetime
from typing import Any

METRICS = {
    "brier_score": "Brier score",
    "f1": "F1",
    "f1_macro": "F1, mean of the classes",
    "r2": "R²",
    "roc_auc": "ROC AUC",
    "roc_auc_ovr": "ROC AUC, each class against the rest",
}
STEPS = ((86400, "day"), (3600, "hour"), (60, "minute"))


def percent(share: float) -> str:
    """Give the share in percent; only 0 and 1 are shown as 0 % and 100 %."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    if 0.9995 <= share < 1:
        return "> 99.9 %"
    return f"{100 * share:.1f} %"


def number(value: float) -> str:
    """Give a prediction with six digits, more only before the point."""
    return f"{value:,.0f}" if abs(value) >= 1e6 else f"{value:,.6g}"


def figure(value: float) -> str:
    """Give three decimals for shares, and no more digits than matter for the rest."""
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}" if abs(value) < 1000 else f"{value:,.0f}"


def metric(name: str) -> str:
    """Give the name of a metric as people write it."""
    return METRICS.get(name, name.replace("_", " "))


def is_number(value: Any) -> bool:
    """Tell numbers from all else; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def count(number: int, word: str) -> str:
    """Give "1 row", "2,000 rows"."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def age(created: datetime) -> str:
    """Say how long ago that was; a time without a zone is UTC."""
    moment = created if created.tzinfo else created.replace(tzinfo=UTC)
    seconds = (datetime.now(UTC) - moment).total_seconds()
    for size, word in STEPS:
        if seconds >= size:
            return f"{count(int(seconds // size), word)} ago"
    return "just now"
