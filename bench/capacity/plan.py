"""What so many requests a second take, and what breaks first where there are more."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.capacity.measurement import LOOK, Footprint
from bench.capacity.simulation import STEADY, Costs, stream
from bench.report import table

RATES = (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
CHECKED = 0.9  # of the most that a replica answers: beyond that the simulation was not compared with anything
DAY = 86_400  # seconds
CONNECTIONS = 32  # of the role `api`, by containers/postgres/schema.sql
DISK_BYTES, DISK_DAYS = 1e12, 30
NETWORK_BYTES = 1e9 / 8  # a second
_STEPS = 8  # of the search for a replica's share: to 1/256 of the most


@dataclass(frozen=True)
class Need:
    """What a rate takes; `logged` is rows of the database a day, `stored` their bytes."""

    rate: int
    replicas: int
    cores: int
    memory: float
    logged: float
    stored: float


@dataclass(frozen=True)
class Limit:
    """Something that breaks at so many requests a second, and what to do then."""

    rate: float
    what: str
    remedy: str


def share(costs: Costs, maximum: float, late: float, pace: Sequence[float] = STEADY, seconds: float = 5) -> float:
    """Return how many requests a second one replica can be given.

    Parameters
    ----------
    maximum : answers a second that were measured, with clients that never rest.
    late : what 99 % of the answers must keep within, in ms; nobody may get 503.
    pace : of the core, a part for each look at it; all of it is lived through.
    """
    seconds = max(seconds, LOOK * len(pace))

    def fits(rate: float) -> bool:
        seen = stream(costs, rate, seconds, pace=pace)
        return seen.p99 <= late and not seen.refused

    low, high = 0.0, CHECKED * maximum
    if fits(high):
        return high
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def need(rate: int, each: float, footprint: Footprint) -> Need:
    """Return what so many requests a second take: a replica to spare, so that one may fail or be renewed."""
    replicas = math.ceil(rate / each) + 1
    return Need(
        rate,
        replicas,
        cores=replicas + math.ceil(rate * footprint.database),
        memory=replicas * footprint.memory,
        logged=rate * DAY,
        stored=rate * DAY * footprint.stored,
    )


def limits(each: float, footprint: Footprint) -> list[Limit]:
    """Return what breaks, the first first."""
    found = [
        Limit(
            DISK_BYTES / (DISK_DAYS * DAY * footprint.stored),
            "the log fills 1 TB within a month",
            "partition `predictions` by day and drop old ones, or log a sample: `?log=false`",
        ),
        Limit(each, "a single replica's core is full", "`WEB_CONCURRENCY`, then replicas on many hosts"),
        Limit(
            1 / footprint.database,
            "the core on which PostgreSQL writes the log is full",
            "a host of its own for PostgreSQL",
        ),
        Limit(
            CONNECTIONS * each,
            f"the role `api` has {CONNECTIONS} connections: other replicas' logs are dropped",
            "raise `CONNECTION LIMIT` in `schema.sql`, or a database for each group of replicas",
        ),
        Limit(
            NETWORK_BYTES / footprint.sent,
            "the network before the replicas: 1 Gbit/s",
            "several balancers, or 10 Gbit/s",
        ),
    ]
    return sorted(found, key=lambda limit: limit.rate)


def render(each: float, footprint: Footprint) -> str:
    """Return the plan as a table in Markdown; what breaks first is what does so next above the rate."""
    head = [
        "requests/s",
        "replicas",
        "cores",
        "memory, GB",
        "rows a day",
        "GB a day",
        "breaks first",
        "what to do then",
    ]
    known, before, lines = limits(each, footprint), None, []
    for rate in RATES:
        n = need(rate, each, footprint)
        cells = [f"{rate:,}", f"{n.replicas:,}", f"{n.cores:,}", f"{n.memory / 1e9:.1f}"]
        cells += [f"{n.logged / 1e6:,.0f} million", f"{n.stored / 1e9:,.0f}"]
        first = next((limit for limit in known if limit.rate > rate), None)
        if first is None:
            lines.append([*cells, "nothing known", "measure"])
        elif first is before:
            lines.append([*cells, "the same", ""])
        else:
            lines.append([*cells, f"from {_round(first.rate)}/s {first.what}", first.remedy])
        before = first
    return table(head, lines, words=(6, 7))


def _round(rate: float) -> str:
    """Return two digits: more was not measured."""
    return f"{round(rate, 1 - math.floor(math.log10(rate))):,.0f}"
