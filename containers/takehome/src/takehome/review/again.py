"""The run of a submitted notebook, and nothing else: what it gives is data, for others to compare.

Run as `python -I -m takehome.review.again NOTEBOOK`: rows to ask its model come in as JSON, an `Again` goes out.
Whatever shares a container with a notebook can be forged by it, so no verdict is found here.
"""

import json
import sys
from pathlib import Path

from pydantic import BaseModel, Field

from takehome.answers import Answer
from takehome.errors import TakehomeError
from takehome.notebook import open_notebook
from takehome.settings import Settings
from takehome.store import Store
from takehome.verification.model import ask_one
from takehome.verification.place import Place, clean_copy
from takehome.verification.run import TIMEOUT, Ran, run
from takehome.verification.verify import new_version


class Again(BaseModel):
    """A run, with the model that it saved."""

    ran: Ran
    metadata: str = Field(description="its model.json; empty where it saved no model")
    answers: list[list[Answer]] = Field(description="of its model, for each list of rows")
    message: str = Field(description="why there are none")


def again(notebook: Path, asked: list[list[dict]]) -> Again:
    """Run a notebook, and ask the model that it saves.

    Parameters
    ----------
    notebook : an `.ipynb` file.
    asked : lists of rows.
    """
    saved = open_notebook(notebook.absolute())
    with clean_copy(notebook, Settings()) as place:
        given = Again(ran=run(saved, place, TIMEOUT), metadata="", answers=[], message="")
        model = new_version(Store(place.new_models))
        if model:
            given.metadata = (model / "model.json").read_text(encoding="utf-8")
            try:
                given.answers = ask_one(model, _write(asked, place))
            except TakehomeError as error:
                given.message = str(error)
    return given


def _write(asked: list[list[dict]], place: Place) -> list[Path]:
    files = [place.folder / f"rows_{number}.json" for number in range(len(asked))]
    for file, rows in zip(files, asked, strict=True):
        file.write_text(json.dumps(rows), encoding="utf-8")
    return files


def main() -> None:
    """Run, and print what came of it."""
    sys.stdout.write(again(Path(sys.argv[1]), json.load(sys.stdin)).model_dump_json())


if __name__ == "__main__":
    main()
