"""Planted faults: what makes a notebook not run again, or not give again what it gave, and the name each must get.

{outside} stands for a folder outside of the project that is there.
"""

from dataclasses import dataclass

from corpus.cells import Cell
from takehome.verification.report import Kind

IMPORTS = Cell(
    "import datetime, os, platform, random, secrets, socket, time, uuid\n"
    "import numpy as np\nimport pandas as pd\nfrom pathlib import Path\n"
    "from sklearn.datasets import make_classification\n"
    "from sklearn.linear_model import SGDClassifier\n"
    "from sklearn.model_selection import train_test_split\n"
    "WORDS = ['pear', 'plum', 'quince', 'fig', 'lime', 'kiwi', 'date', 'sloe', 'grape', 'melon', 'peach', 'mango']"
)


@dataclass(frozen=True)
class Drift:
    """A fault that lets the run go on: the cells of one notebook hold many of them."""

    name: str
    kind: Kind
    cells: tuple[Cell, ...]
    at: int = 1  # which of its cells is to be named


@dataclass(frozen=True)
class Stop:
    """A fault that ends a run, or concerns the whole notebook: it has one of its own."""

    name: str
    kind: Kind
    cells: tuple[Cell, ...]
    at: int
    verdict: str = "fails"


def _drift(name: str, kind: Kind, *cells: str | Cell, saved: str = "0.123\n", at: int = 1) -> Drift:
    *first, last = (Cell(cell) if isinstance(cell, str) else cell for cell in cells)
    return Drift(name, kind, (*first, Cell(last.source, saved)), at)


def _stop(name: str, kind: Kind, *cells: str | Cell, at: int, verdict: str = "fails") -> Stop:
    return Stop(name, kind, tuple(Cell(cell) if isinstance(cell, str) else cell for cell in cells), at, verdict)


DRIFTS = [
    _drift("NumPy's global generator", Kind.RANDOM, "print(np.random.rand())"),
    _drift("a generator of NumPy without a seed", Kind.RANDOM, "print(np.random.default_rng().random())"),
    _drift("a RandomState of None", Kind.RANDOM, "print(np.random.RandomState(None).rand())"),
    _drift("the module random", Kind.RANDOM, "print(random.random())"),
    _drift("random.shuffle", Kind.RANDOM, "deck = list(range(50))\nrandom.shuffle(deck)", "print(deck)"),
    _drift("a Random without a seed", Kind.RANDOM, "print(random.Random().random())"),
    _drift(
        "a split without random_state",
        Kind.RANDOM,
        "points = np.arange(1000)",
        "past, future = train_test_split(points)",
        "print(future.sum())",
        at=2,
    ),
    _drift(
        "an estimator without random_state",
        Kind.RANDOM,
        "A, b = make_classification(200, random_state=0)\nsgd = SGDClassifier(max_iter=5, tol=None).fit(A, b)",
        "print(sgd.coef_)",
    ),
    _drift("made data without random_state", Kind.RANDOM, "C, d = make_classification(50)\nprint(C.sum())"),
    _drift(
        "rows sampled without random_state", Kind.RANDOM, "print(pd.DataFrame({'n': range(999)}).sample(5).n.sum())"
    ),
    _drift("a token", Kind.RANDOM, "print(secrets.token_hex(8))", saved="0011223344556677\n"),
    _drift("the order of a set", Kind.RANDOM, "fruit = set(WORDS)\nprint(', '.join(fruit))", saved="lime, fig\n"),
    _drift(
        "a set looped over in a later cell",
        Kind.RANDOM,
        "kinds = {word for word in WORDS}",
        "for kind in kinds:\n    print(kind)",
        saved="pear\n",
        at=2,
    ),
    _drift("the hash of a text", Kind.RANDOM, "print(hash('pear') % 1000003)", saved="7\n"),
    _drift("the date and time", Kind.CLOCK, "print(datetime.datetime.now())", saved="2026-01-31 09:30:12.345678\n"),
    _drift("pandas' now", Kind.CLOCK, "stamp = pd.Timestamp.now()", "print(stamp)", saved="2026-01-31 09:30:12\n"),
    _drift("seconds since 1970 in a number", Kind.CLOCK, "print(time.time() / 7)"),
    _drift("the host's name", Kind.CLOCK, "print(socket.gethostname())", saved="anns-laptop\n"),
    _drift(
        "the host's name in a table",
        Kind.CLOCK,
        "row = {'host': platform.node()}",
        "print(row)",
        saved="{'host': 'x'}\n",
    ),
    _drift("a process id", Kind.CLOCK, "print(os.getpid())", saved="4242\n"),
    _drift("a path of this machine", Kind.PATH, "foreign = pd.read_csv('{outside}/prices.csv')"),
    _drift(
        "a path of this machine in a name", Kind.PATH, "HOME = '{outside}/notes.txt'", "noted = Path(HOME).read_text()"
    ),
    _drift("an installed package nobody named", Kind.PACKAGE, "import hypothesis"),
    _drift("a package installed in a cell", Kind.PACKAGE, "%pip install --quiet nosuchpackage-for-takehome"),
    _drift(
        "a table changed since", Kind.DATA, "import takehome\nloans = takehome.read_table('loans')", "print(len(loans))"
    ),
    _drift("a file changed since", Kind.DATA, "wide = pd.read_csv('../static/loans.csv')\nprint(wide.amount.sum())"),
]

STOPS = [
    _stop("a name of a later cell", Kind.NAME, "print(rate)", "rate = 0.1", at=1),
    _stop("a function of a later cell", Kind.NAME, "x = 1", "print(double(x))", "def double(x): return 2 * x", at=2),
    _stop("a name of a deleted cell", Kind.NAME, "x = 1", "print(x * scale)", at=2),
    _stop("an import of a deleted cell", Kind.NAME, "values = np.arange(3)", at=1),
    _stop("a deleted name inside a function", Kind.NAME, "def price(n): return n * tax", "print(price(2))", at=2),
    _stop(
        "cells run out of order", Kind.ORDER, Cell("x = 1", count=2), Cell("y = 2", count=1), at=2, verdict="differs"
    ),
    _stop("a cell run in between", Kind.ORDER, Cell("x = 1"), Cell("y = 2", count=5), at=2, verdict="differs"),
    _stop("a cell not run", Kind.ORDER, Cell("x = 1"), Cell("y = 2", count=None), at=2, verdict="differs"),
    _stop(
        "a seed that comes late",
        Kind.RANDOM,
        Cell("import numpy as np\nprint(np.random.rand())", "0.123\n"),
        "np.random.seed(1)",
        at=1,
        verdict="differs",
    ),
    _stop("a path of another machine", Kind.PATH, "import pandas as pd\npd.read_csv('/home/ann/data.csv')", at=1),
    _stop("a path of Windows", Kind.PATH, "open('C:\\\\Users\\\\ann\\\\data.csv')", at=1),
    _stop("a path in the home folder", Kind.PATH, "import os\nopen(os.path.expanduser('~/none/data.csv'))", at=1),
    _stop("a missing data file", Kind.FILE, "import pandas as pd\npd.read_csv('../static/nothing.csv')", at=1),
    _stop("a missing file beside the notebook", Kind.FILE, "x = 1", "open('features.json')", at=2),
    _stop("a missing array", Kind.FILE, "import numpy as np\nnp.load('weights.npy')", at=1),
    _stop("a package that is not there", Kind.PACKAGE, "import nosuchpackage_for_takehome", at=1),
    _stop(
        "a part of a package that is not there", Kind.PACKAGE, "from nosuchpackage_for_takehome.trees import Tree", at=1
    ),
    _stop("a table that no file gives", Kind.DATABASE, "import takehome", "takehome.read_table('features')", at=2),
    _stop(
        "a table by SQL",
        Kind.DATABASE,
        "import takehome, pandas as pd",
        "pd.read_sql('SELECT * FROM features', takehome.engine())",
        at=2,
    ),
    _stop(
        "a connection of its own", Kind.DATABASE, "import psycopg2\npsycopg2.connect(host='127.0.0.1', port=1)", at=1
    ),
    _stop(
        "a file on the internet", Kind.NETWORK, "import pandas as pd\npd.read_csv('https://data.invalid/x.csv')", at=1
    ),
    _stop("a kernel that dies", Kind.MEMORY, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", at=1),
    _stop("a cell that hangs", Kind.TIMEOUT, "import time\ntime.sleep(600)", at=1),
]
