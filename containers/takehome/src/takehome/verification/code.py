"""What can be read from the code of the cells without running it."""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from nbformat import NotebookNode

from takehome.notebook import code_cells

_INSTALL = re.compile(r"^\s*[%!]\s*(?:python3? -m |uv )?(?:pip3?|conda|mamba) install\s+(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Code:
    """The code of one cell, numbered as a run numbers it."""

    number: int
    source: str
    tree: ast.Module
    defined: frozenset[str]
    used: frozenset[str]
    changed: frozenset[str] = field(default_factory=frozenset)  # names of objects that it may change in place

    @cached_property
    def texts(self) -> list[str]:
        """The string constants."""
        return [
            node.value for node in ast.walk(self.tree) if isinstance(node, ast.Constant) and type(node.value) is str
        ]

    @cached_property
    def calls(self) -> list[tuple[str, ast.Call]]:
        """The calls, with the dotted name of what is called: `np.random.rand`, or `.sample` of any expression."""
        return [(dotted(node.func), node) for node in ast.walk(self.tree) if isinstance(node, ast.Call)]

    @cached_property
    def installs(self) -> list[str]:
        """The packages that a `%pip install` line names."""
        words = " ".join(_INSTALL.findall(self.source)).split()
        return [re.split(r"[<>=!\[~;]", word)[0] for word in words if re.match(r"[A-Za-z]", word)]

    def imports(self) -> Iterator[str]:
        """Yield the modules that it needs; what stands in a `try` is no need."""
        tried = {inner for node in ast.walk(self.tree) if isinstance(node, ast.Try) for inner in ast.walk(node)}
        for node in ast.walk(self.tree):
            if node in tried:
                continue
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]


def read(notebook: NotebookNode) -> list[Code]:
    """Return the code of a notebook's cells, in their order; what is no Python counts as empty."""
    cells = [_code(number, notebook.cells[index].source) for number, index in enumerate(code_cells(notebook), 1)]
    modules = {name for cell in cells for name in _imported(cell.tree)}
    return [replace(cell, changed=cell.changed - modules) for cell in cells]


def upstream(cells: list[Code], number: int) -> list[Code]:
    """Return a cell and those before it that its values may come from, in their order."""
    wanted, found = set(cells[number - 1].used), [cells[number - 1]]
    for cell in reversed(cells[: number - 1]):
        if wanted & (cell.defined | cell.changed):
            wanted |= cell.used
            found.append(cell)
    return found[::-1]


def dotted(node: ast.expr) -> str:
    """Return `a.b.c` of an expression; a part that is no name is left empty."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _code(number: int, source: str) -> Code:
    try:
        tree = ast.parse(_plain(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        tree = ast.Module([], [])
    defined, used, changed = set(_imported(tree)), set[str](), set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else defined).add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            defined.add(node.name)
        elif isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            changed.add(dotted(node.value).partition(".")[0])
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            changed |= _touched(node.value)
    return Code(number, source, tree, frozenset(defined), frozenset(used), frozenset(changed - {""}))


def _touched(call: ast.Call) -> set[str]:
    """Return the names of what a call whose value nobody takes may change: its object, and what it is given."""
    owner, _, method = dotted(call.func).partition(".")
    if not method:  # print and its like change nothing
        return set()
    return {owner, *(word.id for word in call.args if isinstance(word, ast.Name))}


def _imported(tree: ast.Module) -> Iterable[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)


def _plain(source: str) -> str:
    """Leave out what only IPython understands."""
    first, _, rest = source.partition("\n")
    if first.startswith("%%"):
        source = rest if first.split()[0] in ("%%time", "%%timeit", "%%capture") else ""
    return re.sub(r"^(\s*)[%!?].*$|^(\s*)\S+\?+\s*$", r"\1pass", source, flags=re.MULTILINE)
