"""The command behind `make bench`."""

import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from takehome.errors import TakehomeError

from bench import report
from bench.contender import LIMIT, PEERS, PLAIN, ROOT, Contender, ours
from bench.database import database, logged
from bench.race import CLIENTS, Race
from bench.running import Running
from bench.swap import Swaps, swap
from bench.workload import Workload, births, mixed

console = Console(stderr=True)


def bench(  # noqa: PLR0913, PLR0917  # the options of the command
    rounds: Annotated[int, typer.Option(min=1, help="Repetitions of everything; the medians are reported.")] = 3,
    seconds: Annotated[int, typer.Option(min=1, help="How long each server is asked in a turn.")] = 2,
    swaps: Annotated[int, typer.Option(min=1, help="How often the model changes under load.")] = 20,
    only: Annotated[list[str] | None, typer.Option(help="Compare with these alone, by a part of the name.")] = None,
    readme: Annotated[Path, typer.Option(help="The file to write the tables into.")] = ROOT / "README.md",
    chart: Annotated[Path, typer.Option(help="The picture to write.")] = ROOT / "resources" / "bench.svg",
) -> None:
    """Measure this project's API beside others on this machine; the tables go to README.md, the chart to resources/."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    report.SECTION.check(readme)
    began = time.monotonic()
    with console.status("") as status:
        race = Race(rounds, seconds, status.update)
        there = _installed(
            race, [one for one in (PLAIN, *PEERS, LIMIT) if not only or any(w in one.name for w in only)]
        )
        found = _measure(race, there, swaps)
    text = report.write(readme, chart, race.results, found, list(dict.fromkeys(one.version() for one in there)))
    print(text)
    console.print(f"{(time.monotonic() - began) / 60:.1f} minutes. Written: {readme}, {chart}", highlight=False)


def _installed(race: Race, contenders: list[Contender]) -> list[Contender]:
    """Return those whose packages are here or could be had."""
    there = []
    for one in contenders:
        race.tell(f"installing {one.name}")
        try:
            one.install()
        except TakehomeError as error:
            race.results.refused.append(f"{one.name} {error}")
        else:
            there.append(one)
    return there


def _measure(race: Race, others: list[Contender], swaps: int) -> Swaps | None:
    """Race on both kinds of rows, then change the model under load."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="takehome-bench-")))
        race.tell("fitting the pipelines")
        where = stack.enter_context(database())
        rows = births(folder / "births")
        race.run(rows, [ours(), ours(report.UNKEPT, ANSWER_CACHE="0"), *others])
        race.alternate(rows, [ours(), *_rivals(race, rows, others)])
        rows = mixed(folder / "mixed")
        logging = ours(report.LOGGED, PREDICTION_LOG="on", **where)
        race.run(rows, [ours(), logging, *others])
        race.alternate(rows, [ours(), logging, *_rivals(race, rows, others)])
        if not logged(where):
            race.results.refused.append(f"{report.LOGGED}: nothing was logged")
        race.tell(f"swapping the model {swaps} times under load")
        try:
            with Running(ours(), rows) as running:
                running.prove()
                return swap(running, race.load, count=swaps)
        except TakehomeError as error:  # what was measured before is worth keeping
            race.results.refused.append(f"{swaps} swaps: {error}")
            return None


def _rivals(race: Race, rows: Workload, others: list[Contender]) -> list[Contender]:
    """Return those that the goals compare with."""
    names = PLAIN.name, LIMIT.name, report.best(race.results, rows.name, CLIENTS, "rate", max)
    return [one for one in others if one.name in names]


def main() -> None:
    """Run the command; what is wrong is one message."""
    try:
        typer.run(bench)
    except TakehomeError as error:
        sys.exit(f"bench: {error}")


if __name__ == "__main__":
    main()
