"""The command line: what a person types, a command a function."""

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
    print(f"{shown}: written. Edit it in JupyterLab, or run it as it is: make train NOTEBOOK='{shown}'")


@app.command()
def train(notebook: Annotated[Path | None, typer.Argument(help="Default: submission.ipynb.")] = None) -> None:
    """Run a notebook from top to bottom without opening it; the model that it saves is served."""
    from takehome.notebook import train  # noqa: PLC0415

    folder, store = Settings().notebooks_dir, Store(Settings().models_dir)
    before, path = _current(store), notebook or Path("submission.ipynb")
    here = folder / path.name  # also where the path is the host's
    train(path if path.exists() or not here.exists() else here)
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
