"""Running a notebook from top to bottom without a browser."""

import asyncio
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from takehome.errors import TakehomeError


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
    notebook = _open(path)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="takehome-") as folder:
        # Sockets in a folder closed to others: anybody on this machine could join a kernel over TCP.
        manager = AsyncKernelManager(
            kernel_name="python3",  # this environment's, whatever the notebook was last saved with
            transport="ipc",
            ip=f"{folder}/k",
            connection_file=f"{folder}/kernel.json",
        )
        run = _Run(path, notebook, manager)
        try:
            asyncio.run(run.execute())
        except CellExecutionError as error:
            raise TakehomeError(run.explain(error)) from error
        except DeadKernelError as error:
            raise TakehomeError(
                f"{path.name}, cell {run.cell}: the kernel died, as it does when memory runs out. "
                "Use fewer rows or a smaller model there, or give Docker more memory."
            ) from error
    Console(soft_wrap=True, highlight=False).print(
        f"{path.name}: all {run.total} cells ran in {time.monotonic() - began:.0f} s", markup=False
    )


class _Run:
    """One run of a notebook: where it is, and how it is told."""

    def __init__(self, path: Path, notebook: NotebookNode, manager: AsyncKernelManager) -> None:
        self._path, self._notebook, self._manager = path, notebook, manager
        self._client = NotebookClient(notebook, km=manager, timeout=None)
        self._console = Console(soft_wrap=True, highlight=False, markup=False)
        self._stopped = False
        self.total, self.cell = len(list(_code_cells(notebook))), 0

    async def execute(self) -> None:
        """Run all cells; whatever ends the run ends the kernel too."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def stop() -> None:
            self._stopped = True
            if task:
                task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
        try:
            await self._execute()
        except (asyncio.CancelledError, DeadKernelError):  # nbclient takes the first for the second
            if self._stopped:
                raise KeyboardInterrupt from None
            raise
        finally:
            if self._manager.has_kernel:
                await self._manager.shutdown_kernel(now=True)

    def explain(self, error: CellExecutionError) -> str:
        """Return which cell failed and the last line of its error."""
        last = (error.evalue.strip().splitlines() or [""])[-1]
        reason = last if error.ename == TakehomeError.__name__ else f"{error.ename}: {last}"
        return f"{self._path.name}, cell {self.cell}: {reason.rstrip('.')}. Run the notebook in JupyterLab up to there."

    async def _execute(self) -> None:
        await self._client.async_start_new_kernel(cwd=str(self._path.parent))
        await self._client.async_start_new_kernel_client()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        terminal = self._console.is_terminal
        with Progress(*columns, console=self._console, transient=True, disable=not terminal) as progress:
            task = progress.add_task(self._path.name, total=self.total)
            for index in _code_cells(self._notebook):
                self.cell += 1
                if not terminal:
                    self._console.print(f"{self._path.name}: cell {self.cell} of {self.total} …")
                await self._client.async_execute_cell(self._notebook.cells[index], index)
                progress.update(task, completed=self.cell)


def _open(path: Path) -> NotebookNode:
    try:
        return nbformat.read(path, as_version=4)
    except FileNotFoundError as error:
        raise TakehomeError(f"{path}: there is no such notebook. Name one: takehome train NOTEBOOK.") from error
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, UnicodeDecodeError, AttributeError) as error:
        raise TakehomeError(
            f"{path} is no notebook: {str(error).splitlines()[0]} Save it again in JupyterLab."
        ) from error


def _code_cells(notebook: NotebookNode) -> Iterator[int]:
    return (i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code" and cell.source.strip())
