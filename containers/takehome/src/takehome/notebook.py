"""Running a notebook from top to bottom without a browser."""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, Protocol

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from takehome.errors import TakehomeError


class CellFailure(Exception):  # noqa: N818  # it is the cell's, not the run's
    """A cell ended the run: it raised an error, took too long, or its kernel died."""

    def __init__(self, cell: int, why: Literal["error", "timeout", "died"], name: str = "", text: str = "") -> None:
        super().__init__(f"cell {cell}: {name or why}: {text}")
        self.cell, self.why, self.name, self.text = cell, why, name, text


class Watch(Protocol):
    """Who is told how far a run is; `cell` counts the code cells from 1, `index` is the place among all cells."""

    def begin(self, cell: int, index: int) -> None: ...
    def end(self, cell: int, index: int) -> None: ...


class _Kernel(AsyncKernelManager):
    """The Python of this environment, whatever kernel the notebook names, or somebody has installed under that name."""

    wrapper: Sequence[str] = ()
    arguments: Sequence[str] = ()

    @property
    def kernel_spec(self) -> KernelSpec:
        launch = [*self.wrapper, sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=[*launch, *self.arguments], display_name="Python", language="python")


class Runner:
    """Runs a notebook in a fresh kernel, which lives as long as the run.

    Parameters
    ----------
    notebook : its outputs are replaced while it runs.
    folder : the working directory.
    environment : the kernel's variables; default: those of this process.
    wrapper : a command that starts the kernel's.
    arguments : more arguments for the kernel.
    timeout : seconds that a cell may take; None: any.
    """

    def __init__(  # noqa: PLR0913
        self,
        notebook: NotebookNode,
        folder: Path,
        *,
        environment: dict[str, str] | None = None,
        wrapper: Sequence[str] = (),
        arguments: Sequence[str] = (),
        timeout: int | None = None,
    ) -> None:
        self._notebook, self._folder, self._environment = notebook, folder, environment
        self._wrapper, self._arguments, self._timeout = wrapper, arguments, timeout
        self._stopped, self._cell = False, 0

    def run(self, watch: Watch) -> None:
        """Run all code cells.

        Raises
        ------
        CellFailure
            A cell ended the run; those after it did not run.
        KeyboardInterrupt
            SIGTERM or Ctrl-C came; the kernel has been ended.
        """
        with tempfile.TemporaryDirectory(prefix="takehome-") as sockets:
            # Sockets in a folder closed to others: anybody on this machine could join a kernel over TCP.
            manager = _Kernel(transport="ipc", ip=f"{sockets}/k", connection_file=f"{sockets}/kernel.json")
            manager.wrapper, manager.arguments = self._wrapper, self._arguments
            try:
                asyncio.run(self._until_stopped(manager, watch))
            except CellTimeoutError as error:
                raise CellFailure(self._cell, "timeout") from error
            except CellExecutionError as error:
                raise CellFailure(self._cell, "error", error.ename, error.evalue) from error
            except DeadKernelError as error:
                raise CellFailure(self._cell, "died") from error

    async def _until_stopped(self, manager: _Kernel, watch: Watch) -> None:
        """Run all cells; whatever ends the run ends the kernel too."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def stop() -> None:
            self._stopped = True
            if task:
                task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(ValueError, RuntimeError):  # only the main thread is told of signals
                loop.add_signal_handler(number, stop)
        try:
            await self._execute(manager, watch)
        except (asyncio.CancelledError, DeadKernelError):  # nbclient takes the first for the second
            if self._stopped:
                raise KeyboardInterrupt from None
            raise
        finally:
            if manager.has_kernel:
                await manager.shutdown_kernel(now=True)

    async def _execute(self, manager: _Kernel, watch: Watch) -> None:
        client = NotebookClient(self._notebook, km=manager, timeout=self._timeout)
        await client.async_start_new_kernel(cwd=str(self._folder), env=self._environment or dict(os.environ))
        await client.async_start_new_kernel_client()
        for index in code_cells(self._notebook):
            self._cell += 1
            watch.begin(self._cell, index)
            await client.async_execute_cell(self._notebook.cells[index], index)
            watch.end(self._cell, index)


def train(path: str | Path) -> None:
    """Run a notebook in memory, with its folder as working directory; the file stays as it is.

    Parameters
    ----------
    path : an `.ipynb` file.

    Raises
    ------
    TakehomeError
        The file is no notebook, a cell failed (its number and the error's last line are told), or the kernel died.
    KeyboardInterrupt
        SIGTERM or Ctrl-C came; the kernel has been ended.
    """
    path = Path(path).absolute()
    notebook = open_notebook(path)
    began, total = time.monotonic(), len(code_cells(notebook))
    try:
        with _Told(path.name, total) as told:
            Runner(notebook, path.parent).run(told)
    except CellFailure as failure:
        raise TakehomeError(_explain(path.name, failure)) from failure
    told.console.print(f"{path.name}: all {total} cells ran in {time.monotonic() - began:.0f} s")


def open_notebook(path: Path) -> NotebookNode:
    """Read a notebook.

    Raises
    ------
    TakehomeError
        There is none, or the file is something else.
    """
    try:
        return nbformat.read(path, as_version=4)
    except FileNotFoundError as error:
        raise TakehomeError(f"{path}: there is no such notebook. Name one: takehome train NOTEBOOK.") from error
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, UnicodeDecodeError, AttributeError) as error:
        raise TakehomeError(
            f"{path} is no notebook: {str(error).splitlines()[0]} Save it again in JupyterLab."
        ) from error


def code_cells(notebook: NotebookNode) -> list[int]:
    """Return the places of the cells that hold code."""
    return [i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code" and cell.source.strip()]


class _Told:
    """A bar on a terminal, elsewhere a line a cell."""

    def __init__(self, name: str, total: int) -> None:
        self.console = Console(soft_wrap=True, highlight=False, markup=False)
        self._name, self._total = name, total
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        terminal = self.console.is_terminal
        self._progress = Progress(*columns, console=self.console, transient=True, disable=not terminal)
        self._task = self._progress.add_task(name, total=total)

    def __enter__(self) -> "_Told":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, cell: int, index: int) -> None:  # noqa: ARG002
        if not self.console.is_terminal:
            self.console.print(f"{self._name}: cell {cell} of {self._total} …")

    def end(self, cell: int, index: int) -> None:  # noqa: ARG002
        self._progress.update(self._task, completed=cell)


def _explain(name: str, failure: CellFailure) -> str:
    """Say which cell failed, with the last line of its error."""
    where = f"{name}, cell {failure.cell}"
    if failure.why == "died":
        return (
            f"{where}: the kernel died, as it does when memory runs out. "
            "Use fewer rows or a smaller model there, or give Docker more memory."
        )
    last = (failure.text.strip().splitlines() or [""])[-1]
    reason = last if failure.name == TakehomeError.__name__ else f"{failure.name}: {last}"
    return f"{where}: {reason.rstrip('.')}. Run the notebook in JupyterLab up to there."
