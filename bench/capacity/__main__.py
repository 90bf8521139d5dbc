"""The command behind `make capacity`."""

import os
import signal
import sys
import tempfile
import time
from dataclasses import fields
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
from rich.console import Console
from takehome.errors import TakehomeError

from bench.capacity import comparison, plan
from bench.capacity.measurement import Footprint, Measurement, Round
from bench.capacity.simulation import Costs
from bench.contender import ROOT
from bench.section import Section
from bench.workload import mixed

SECTION = Section("capacity")
QUIET = 0.1
console = Console(stderr=True)


def capacity(
    rounds: Annotated[int, typer.Option(min=1, help="Repetitions of everything; the medians are reported.")] = 5,
    seconds: Annotated[int, typer.Option(min=1, help="How long each load lasts.")] = 10,
    clients: Annotated[int, typer.Option(min=50, max=2_000, help="How many ask at the same time.")] = 1_000,
    late: Annotated[float, typer.Option(min=1, help="What 99 % of the answers must keep within, in ms.")] = 100,
    readme: Annotated[Path, typer.Option(help="The file to write the plan into.")] = ROOT / "README.md",
) -> None:
    """Measure what a request costs here, check a simulation against the API, and write the plan to README.md."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    SECTION.check(readme)
    began = time.monotonic()
    with console.status("fitting the pipeline") as status:
        with tempfile.TemporaryDirectory(prefix="takehome-capacity-") as folder:
            measured = Measurement(seconds, clients, status.update).rounds(mixed(Path(folder) / "mixed"), rounds)
        status.update("simulating")
        text = render(measured, comparison.compare(measured, clients, seconds), late, clients)
    SECTION.write(readme, text)
    print(text)
    console.print(f"{(time.monotonic() - began) / 60:.1f} minutes. Written: {readme}", highlight=False)


def render(rounds: list[Round], lines: list[comparison.Line], late: float, clients: int) -> str:
    """Return plan, costs and comparison in Markdown."""
    checks = [check for one in rounds for check in one.checks]
    costs = _middle(Costs, [check.costs for check in checks])
    footprint = _middle(Footprint, [one.footprint for one in rounds])
    maximum = median(one.maximum.rate for one in rounds)
    each = plan.share(costs, maximum, late, [part for check in checks for part in check.pace])
    if not each:
        raise TakehomeError(f"No load keeps 99 % of the answers within {late:g} ms here. Allow more: --late.")
    told = (
        f"A replica is one process on one core, given {each:,.0f} requests/s (p99 under {late:g} ms; it answers "
        f"{maximum:,.0f} at most); one is to spare. Measured, processor time: {_micro(costs.request)} a request, "
        f"{_micro(costs.batch)} a batch and {_micro(costs.row)} a row in it, {_micro(costs.log)} a row of its log and "
        f"{_micro(footprint.database)} in PostgreSQL, where it takes {footprint.stored:,.0f} bytes. {os.cpu_count()} "
        f"cores, API on one, load and PostgreSQL on another; median of {len(rounds)} runs, {clients:,} clients, "
        "rows that never repeat. A balancer and the page are not counted."
    )
    if (others := max(one.others for one in rounds)) > QUIET:
        told += (
            f" **Other programs took {100 * others:.0f} % of the processor meanwhile: measure again when it is quiet.**"
        )
    return "\n\n".join([plan.render(each, footprint), told, comparison.render(lines)])


def _middle(kind: type, found: list) -> Any:
    """Return the medians of their figures."""
    return kind(**{field.name: median(getattr(one, field.name) for one in found) for field in fields(kind)})


def _micro(seconds: float) -> str:
    return f"{1e6 * seconds:,.0f} µs"


def main() -> None:
    """Run the command; what is wrong is one message."""
    try:
        typer.run(capacity)
    except TakehomeError as error:
        sys.exit(f"capacity: {error}")


if __name__ == "__main__":
    main()
