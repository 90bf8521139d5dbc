"""How far joblib's tasks are."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

from joblib import Parallel
from rich import get_console
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

_SECONDS = 0.5


@contextmanager
def shown() -> Iterator[None]:
    """Show a bar of the tasks of all calls of joblib's `Parallel`, as long as the block runs.

    joblib tells nobody how far it is, and scikit-learn silences what joblib would print: the calls go through here.
    """
    call, bar = Parallel.__call__, _Bar()

    def counted(parallel: Any, tasks: Any) -> Any:
        waiting = deque(tasks)
        with bar.following(parallel, len(waiting)):
            return call(parallel, (waiting.popleft() for _ in range(len(waiting))))

    Parallel.__call__ = counted
    try:
        yield
    finally:
        Parallel.__call__ = call
        bar.close()


class _Bar:
    """One line, which grows on a terminal and in a notebook, and is printed at the end elsewhere."""

    def __init__(self) -> None:
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("tasks"), TimeElapsedColumn())
        self._progress = Progress(*columns, console=Console(stderr=True, force_jupyter=False))
        self._task = self._progress.add_task("", total=0, start=False)
        self._line = _Line(self._progress)
        self._inside = False

    @contextmanager
    def following(self, parallel: Any, tasks: int) -> Iterator[None]:
        """Count the tasks of a call; calls inside it are part of its tasks."""
        if self._inside:
            yield
            return
        before = self._begin(tasks)
        ended = Event()
        thread = Thread(target=self._follow, args=(parallel, before, ended), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self._inside = False

    def close(self) -> None:
        """Leave the line as it stands."""
        self._line.close()

    def _begin(self, tasks: int) -> int:
        """Make room for more tasks; return how many there were."""
        self._inside, before = True, int(self._progress.tasks[0].total or 0)
        self._progress.start_task(self._task)
        self._progress.update(self._task, total=before + tasks)
        return before

    def _follow(self, parallel: Any, before: int, ended: Event) -> None:
        over = False
        while not over:
            over = ended.wait(_SECONDS)
            self._progress.update(self._task, completed=before + parallel.n_completed_tasks)
            self._line.draw()


class _Line:
    """Where the bar stands: in the notebook's cell, else on stderr."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._cell = progress, None
        self._in_notebook = get_console().is_jupyter

    def draw(self) -> None:
        """Show the bar as it is now."""
        if not self._in_notebook:
            self._progress.start()
        elif self._cell:
            self._cell.update(self._progress)
        else:
            from IPython.display import display  # noqa: PLC0415  # only a notebook has it

            self._cell = display(self._progress, display_id=True)

    def close(self) -> None:
        """Leave it as it stands."""
        if not self._in_notebook:
            self._progress.stop()
