"""The command line: what a person types, a command a function."""

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from takehome.errors import TakehomeError
from takehome.settings import Settings
from takehome.store import Store

app = typer.Typer(help="From a notebook's model to a served one.", no_args_is_help=True, pretty_exceptions_enable=False)


class Task(StrEnum):
    """What a target can be taken for."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"


@app.command()
def load() -> None:
    """Load the files of volumes/static into PostgreSQL: one table a file; what did not change is skipped."""
    from takehome.database import load_static  # noqa: PLC0415  # only what a command needs is imported

    load_static(Settings().static_dir)


@app.command()
def new(
    data: Annotated[str, typer.Argument(help="A file in volumes/static.")],
    target: Annotated[str, typer.Option(help="The column to predict.")],
    name: Annotated[str | None, typer.Option(help="What people call the model.")] = None,
    task: Annotated[Task | None, typer.Option(help="Default: what the target's values suggest.")] = None,
) -> None:
    """Write a notebook for a file: what is in it, what to watch for, models, and the one that is served."""
    from takehome.draft.notebook import new  # noqa: PLC0415

    path = new(data, target, name, task and task.value)
    shown = f"volumes/notebooks/{path.name}"
    print(f"{shown}: written. Edit it in JupyterLab, or run it as it is: make train NOTEBOOK={shlex.quote(shown)}")


@app.command()
def convert(
    data: Annotated[str, typer.Argument(help="A CSV file in volumes/static.")],
    encoding: Annotated[str | None, typer.Option(help="Default: what is found.")] = None,
) -> None:
    """Rewrite a CSV file as UTF-8 with commas; the file as it came stays beside it."""
    from takehome.conversion import convert  # noqa: PLC0415
    from takehome.draft.source import find_source  # noqa: PLC0415

    print(convert(find_source(data, Settings().static_dir), encoding))


@app.command()
def train(notebook: Annotated[Path | None, typer.Argument(help="Default: submission.ipynb.")] = None) -> None:
    """Run a notebook from top to bottom without opening it; the model that it saves is served."""
    from takehome.notebook import train  # noqa: PLC0415

    store = Store(Settings().models_dir)
    before = _current(store)
    train(_found(notebook))
    saved = _current(store)
    print(f"Model {saved} is current." if saved != before else "No model was saved: end with takehome.save_model(...).")


@app.command()
def models(use: Annotated[str | None, typer.Option(help="Serve this version again.")] = None) -> None:
    """List the models that are kept, or go back to one of them."""
    store = Store(Settings().models_dir)
    if use is not None:
        store.use(use)
        print(f"{use} ({store.metadata(use).name}) is current; the API serves it in a few seconds, once it is proved.")
        return
    current, table = _current(store), Table("", "version", "name", "score")
    for version in reversed(store.versions()):
        table.add_row("*" if version == current else "", version, *_described(store, version))
    if not table.row_count:
        raise TakehomeError(f"{store.folder}: no model was saved yet. Run the notebook to its end, or: takehome train.")
    Console().print(table)


@app.command()
def local() -> None:
    """Run the four services on this machine without Docker, until Ctrl-C."""
    from takehome.local import run  # noqa: PLC0415

    run()


@app.command()
def verify(
    notebook: Annotated[Path | None, typer.Argument(help="Default: submission.ipynb.")] = None,
    rtol: Annotated[float, typer.Option(min=0, help="How far numbers may be apart, relative.")] = 1e-6,
    timeout: Annotated[int, typer.Option(min=1, help="Seconds that a cell may take.")] = 600,
    as_json: Annotated[bool, typer.Option("--json", help="The report for machines, and nothing else.")] = False,
) -> None:
    """Run a notebook again in a clean place, and tell whether it gives what it gave; nothing is changed."""
    from takehome.verification.telling import Lines, show  # noqa: PLC0415
    from takehome.verification.verify import verify  # noqa: PLC0415

    console = Console(stderr=as_json, highlight=False)
    with Lines(console) as lines:
        report = verify(_found(notebook), rtol=rtol, timeout=timeout, telling=lines)
    if as_json:
        print(report.model_dump_json(indent=1))
    else:
        show(report, console)
    raise typer.Exit(report.verdict.status)


@app.command()
def submit(
    notebook: Annotated[Path | None, typer.Argument(help="Default: submission.ipynb.")] = None,
    force: Annotated[bool, typer.Option(help="Even where it does not reproduce; the archive says so.")] = False,
    with_data: Annotated[bool, typer.Option(help="Put the data into the archive, too.")] = False,
) -> None:
    """Verify a notebook, then write submission.zip: notebook, page, slides, model card, model, environment."""
    from takehome.submission.submit import submit  # noqa: PLC0415
    from takehome.verification.telling import Lines, show  # noqa: PLC0415
    from takehome.verification.verify import verify  # noqa: PLC0415

    path, console = _found(notebook), Console(highlight=False)
    with Lines(console) as lines:
        report = verify(path, telling=lines)
    show(report, console)
    archive = submit(path.absolute(), report, force=force, with_data=with_data)
    print(f"{archive}: {archive.stat().st_size / 1e6:.1f} MB; the same files unpacked: {archive.with_suffix('')}")


@app.command()
def review(
    submission: Annotated[Path, typer.Argument(help="A submission.zip.")],
    page: Annotated[Path, typer.Option(help="The page to write.")] = Path("review.html"),
    serve: Annotated[bool, typer.Option(help="Then serve its model, on free ports.")] = False,
    trust: Annotated[bool, typer.Option(help="Run it without a container where there is no Docker.")] = False,
) -> None:
    """Run somebody's submission again in a container that reaches nothing, and write what came out as one page."""
    from takehome.review import review as reviewing  # noqa: PLC0415
    from takehome.review.serve import serve as serve_it  # noqa: PLC0415

    with reviewing.opened(submission) as opened:
        print(reviewing.announce(opened), flush=True)
        room = reviewing.find_room(opened, trust=trust)
        verdict = reviewing.review(opened, room, page)
        print(f"{verdict.value}: {page}", flush=True)
        if serve:
            serve_it(opened)
    raise typer.Exit(verdict.status)


@app.command()
def secrets(
    check: Annotated[bool, typer.Option("--check", help="Make nothing; refuse what is missing or an example.")] = False,
) -> None:
    """Make the secrets of compose.public.yml that are missing, and show those to keep: they can't be had again."""
    from takehome import keyring  # noqa: PLC0415

    if not check:
        shown = keyring.make()
        print("\n".join(["Shown this once:", *shown] if shown else ["No secret was missing."]))
    keyring.check()


@app.command()
def key(name: Annotated[str, typer.Argument(help="Whose it is.")]) -> None:
    """Make an API key in the place of the one of that name. To take one back, remove it in secrets/fastapi/keys."""
    from takehome.keyring import add_key  # noqa: PLC0415

    print(f"Shown this once: {add_key(name)}")


@app.command()
def doctor() -> None:
    """Say what is wrong with this machine or this folder, a line each, with the command that mends it."""
    from takehome.doctor import doctor  # noqa: PLC0415

    raise typer.Exit(doctor.main())


def _found(notebook: Path | None) -> Path:
    """Return where a notebook is: as named, or by its name among the notebooks, since the path may be the host's."""
    path = notebook or Path("submission.ipynb")
    here = Settings().notebooks_dir / path.name
    return path if path.exists() or not here.exists() else here


def _current(store: Store) -> str | None:
    try:
        return store.current()
    except TakehomeError as error:  # the list is what one needs to mend it
        print(error)
        return None


def _described(store: Store, version: str) -> tuple[Text, Text]:
    """Return a model's name and the figure that its kind is usually judged by, or what is wrong with it."""
    try:
        metadata = store.metadata(version)
    except TakehomeError as error:
        return Text("?"), Text(str(error))
    headline = next((name for name in ("roc_auc", "r2", "balanced_accuracy") if name in metadata.metrics), None)
    return Text(metadata.name), Text(f"{headline} {metadata.metrics[headline]:.4f}" if headline else "")


def main() -> None:
    """Run a command; what is wrong is one message, not a stack trace."""
    try:
        app()
    except TakehomeError as error:
        sys.exit(f"takehome: {error}")


if __name__ == "__main__":
    main()
