"""Where a value that is new in each run comes from: random numbers without a seed, hash order, clock and host."""

import ast
import re
from collections.abc import Iterable

from takehome.verification.code import Code, dotted

_SEED = re.compile(r"\b(?:random|np\.random|numpy\.random)\.seed\(\s*[^)\s]|\bset_random_seed\(|\bseed_everything\(")
_SKLEARN = re.compile(
    r"(?:Forest|Trees?|Boosting|Boost|KMeans|PCA|TruncatedSVD|NMF|TSNE|UMAP|SGD|MLP|Bagging|Perceptron|Mixture|"
    r"Decision|RandomizedSearch|QuantileTransformer|LGBM|XGB|CatBoost|Ransac)\w*(?:Classifier|Regressor|CV|$)|"
    r"^(?:train_test_split|KFold|StratifiedKFold|ShuffleSplit|StratifiedShuffleSplit|GroupShuffleSplit|shuffle|resample|"
    r"make_\w+|permutation_importance|GaussianMixture)$"
)
_FRESH = {"default_rng": "NumPy", "RandomState": "NumPy", "Random": "random", "SystemRandom": "random"}
_ALWAYS = re.compile(r"^(?:secrets\.\w+|os\.urandom|uuid\.uuid[14]|uuid[14]|token_hex|urandom)$")
_CLOCK = re.compile(
    r"(?:^|\.)(?:now|today|utcnow|ctime|asctime|localtime|gmtime|strftime|gethostname|getfqdn|node|uname|getpid|getuser|"
    r"getlogin|time_ns|perf_counter|monotonic|process_time)$|^time\.time$|^time$"
)
_CLOCK_SHELL = re.compile(r"^\s*!\s*(?:date|hostname|uname|whoami)\b", re.MULTILINE)
_UNORDERED = ("set", "frozenset")
_HARMLESS = {"sorted", "len", "sum", "min", "max", "any", "all", "set", "frozenset", "isin", "print", "display"}


def unseeded(cells: list[Code], used: dict[int, list[str]]) -> list[tuple[int, str]]:
    """Return (cell, source of randomness) of cells that draw random numbers without a seed.

    Parameters
    ----------
    cells : in their order.
    used : for each cell, which of the global generators its run has used, as the witness noted.
    """
    found, seeded = [], set[str]()
    for cell in cells:
        seeded |= {"numpy" if "np" in seed or "numpy" in seed else "random" for seed in _SEED.findall(cell.source)}
        if source := _fresh(cell):
            found.append((cell.number, source))
        elif loose := [name for name in used.get(cell.number, []) if name not in seeded]:
            found.append((cell.number, _user(cell) if "numpy" in loose else "the module random without random.seed"))
    return found


def hash_order(cells: Iterable[Code]) -> list[int]:
    """Return the cells that make an order of a set's elements, or a number of a text's hash."""
    found, sets = [], set[str]()
    for cell in cells:
        assigned = [node for node in ast.walk(cell.tree) if isinstance(node, ast.Assign)]
        sets |= {name for node in assigned if _is_set(node.value, sets) for name in _targets(node)}
        if any(_orders(node, sets) for node in ast.walk(cell.tree)):
            found.append(cell.number)
    return found


def clock(cells: Iterable[Code]) -> list[tuple[int, str]]:
    """Return (cell, call) of cells that ask for the time, the host or the process."""
    found = []
    for cell in cells:
        asked = [name for name, _ in cell.calls if _CLOCK.search(name)] + _CLOCK_SHELL.findall(cell.source)
        if asked:
            found.append((cell.number, asked[0].strip(" .")))
    return found


def _fresh(cell: Code) -> str | None:
    """Return a generator of its own that the cell makes without a seed, or a source that can't have one."""
    for name, call in cell.calls:
        last = name.rpartition(".")[2]
        if _ALWAYS.match(name):
            return f"{name}, which is new each time"
        if last in _FRESH and _first_is_none(call) and not call.keywords:
            return f"{_FRESH[last]}: {last} without a seed"
    return None


def _user(cell: Code) -> str:
    """Say who has used NumPy's global generator."""
    for name, call in cell.calls:
        last = name.rpartition(".")[2]
        state = next((word.value for word in call.keywords if word.arg in ("random_state", "seed")), None)
        if (state is None or _is_none(state)) and (_SKLEARN.search(last) or last == "sample"):
            return (
                f"pandas: {last} without random_state"
                if last == "sample"
                else f"scikit-learn: {last} without random_state"
            )
    if any("random." in name for name, _ in cell.calls):
        return "NumPy without a seed"
    return "scikit-learn or NumPy without random_state"


def _first_is_none(call: ast.Call) -> bool:
    return not call.args or _is_none(call.args[0])


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _orders(node: ast.AST, sets: set[str]) -> bool:
    """Tell whether a set is turned into a sequence here, looped over or joined, or a hash is taken."""
    if isinstance(node, ast.Call):
        name = dotted(node.func).rpartition(".")[2]
        return name == "hash" or (name not in _HARMLESS and any(_is_set(word, sets) for word in node.args))
    if isinstance(node, ast.Starred):
        return _is_set(node.value, sets)
    return isinstance(node, ast.For | ast.comprehension) and _is_set(node.iter, sets)


def _targets(node: ast.Assign) -> Iterable[str]:
    return (target.id for target in node.targets if isinstance(target, ast.Name))


def _is_set(node: ast.expr, names: Iterable[str] = ()) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr | ast.BitAnd | ast.Sub | ast.BitXor):
        return _is_set(node.left, names) or _is_set(node.right, names)
    called = isinstance(node, ast.Call) and dotted(node.func) in _UNORDERED
    return isinstance(node, ast.Set | ast.SetComp) or called or (isinstance(node, ast.Name) and node.id in names)
