"""A run that took place elsewhere against what was submitted, where no code of the submission runs.

Run as `python -I -m takehome.review.judge NOTEBOOK`: a line of JSON with the submission's part comes in, then the
`Again` of the run; a verification's report goes out.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from takehome.errors import TakehomeError
from takehome.metadata import Metadata, read_metadata
from takehome.notebook import open_notebook
from takehome.review.again import Again
from takehome.settings import Settings
from takehome.verification import model
from takehome.verification.comparison import RTOL, Comparison
from takehome.verification.data import fingerprints
from takehome.verification.place import Place, clean_copy
from takehome.verification.report import Report


def judge(notebook: Path, again: Again, answers: list[Any], claimed: dict[str, str]) -> Report:
    """Compare a run with what was submitted.

    Parameters
    ----------
    notebook : as it was submitted.
    again : what the run gave; asked were the submitted model's example rows, then other rows.
    answers : of the submitted model, for those other rows.
    claimed : SHA-256 by name of the candidate's data.
    """
    settings = Settings()
    files = fingerprints(settings.static_dir)
    store = settings.store()
    old = store.metadata(store.current() or "")
    with clean_copy(notebook, settings) as place:
        comparison = Comparison(open_notebook(notebook.absolute()), place)
        comparison.replay(again.ran)
        new = _metadata(again, place)
        models = model.compare(old, new, lambda: _asked(again, answers), RTOL)
        here = {name: sha for name, sha in claimed.items() if name in files}
        return comparison.report(again.ran, models, old=old, new=new, files=files, claimed=here)


def _metadata(again: Again, place: Place) -> Metadata | None:
    if not again.metadata:
        return None
    file = place.witness / "model.json"
    file.write_text(again.metadata, encoding="utf-8")
    try:
        return read_metadata(file)
    except TakehomeError:
        return None


def _asked(again: Again, answers: list[Any]) -> model.Asked:
    if len(again.answers) != 2:
        raise TakehomeError(again.message or "The run's model gave no answers.")
    examples, found = again.answers
    return model.Asked(examples, answers, found)


def main() -> None:
    """Print the report; what is no run is none to judge."""
    facts, given = json.loads(sys.stdin.buffer.readline()), sys.stdin.buffer.read()
    try:
        again = Again.model_validate_json(given)
        report = judge(Path(sys.argv[1]), again, facts["answers"], facts["claimed"])
    except ValidationError:
        sys.exit("What the run gave is no record of one: the notebook may have written over it")
    except TakehomeError as error:
        sys.exit(str(error))
    except (LookupError, TypeError, AttributeError, ValueError):
        sys.exit("What the run gave doesn't fit the submission: the notebook may have written over it")
    sys.stdout.write(report.model_dump_json())


if __name__ == "__main__":
    main()
