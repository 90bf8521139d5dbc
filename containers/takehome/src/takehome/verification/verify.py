"""Run a notebook again in a clean place, and hold all that comes out against what is saved."""

import time
from pathlib import Path

from takehome.errors import TakehomeError
from takehome.metadata import Metadata
from takehome.notebook import open_notebook
from takehome.settings import Settings
from takehome.store import Store
from takehome.verification import model
from takehome.verification.comparison import RTOL, Comparison
from takehome.verification.data import fingerprints
from takehome.verification.place import clean_copy
from takehome.verification.report import Report
from takehome.verification.run import TIMEOUT, run
from takehome.verification.telling import Telling


def verify(notebook: Path, *, rtol: float = RTOL, timeout: int = TIMEOUT, telling: Telling | None = None) -> Report:
    """Run a notebook again and compare: its cells, its model, the environment and the data.

    The folders are those of `Settings`; nothing in them is changed. The model is held against the one of its name that
    is served, or else was saved last.

    Parameters
    ----------
    notebook : an `.ipynb` file.
    rtol : relative tolerance of numbers.
    timeout : seconds that a cell may take.
    telling : who is told how far it is; default: nobody.

    Returns
    -------
    The report; a notebook that fails is a finding, no error.

    Raises
    ------
    TakehomeError
        The file is no notebook, or there is no room for a clean copy.
    KeyboardInterrupt
        SIGTERM or Ctrl-C came; kernel and copy are gone.
    """
    began, settings = time.monotonic(), Settings()
    saved = open_notebook(notebook.absolute())
    files = fingerprints(settings.static_dir)
    with clean_copy(notebook, settings) as place:
        comparison = Comparison(saved, place, rtol, telling)
        ran = run(saved, place, timeout, comparison)
        found = new_version(Store(place.new_models))
        new = _metadata(found)
        kept = model.find_kept(Store(place.models), new.name) if new else None
        old = _metadata(kept)
        models = model.compare(old, new, lambda: model.ask(kept, found, place.witness), rtol)
        report = comparison.report(ran, models, old=old, new=new, files=files)
    report.seconds = round(time.monotonic() - began, 1)
    return report


def new_version(store: Store) -> Path | None:
    """Return the folder of the model that a run saved, or None."""
    try:
        version = store.current()
    except TakehomeError:
        return None
    return store.path(version) if version else None


def _metadata(folder: Path | None) -> Metadata | None:
    try:
        return Store(folder.parent).metadata(folder.name) if folder else None
    except TakehomeError:
        return None
