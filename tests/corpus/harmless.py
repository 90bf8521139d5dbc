"""Differences that mean nothing: each cell's saved output is not what it gives now, and all of them must pass."""

import base64
import io
from typing import Any

from corpus.cells import Cell
from PIL import Image, ImageDraw
from sklearn.linear_model import Ridge

_DRAW = """
from PIL import Image, ImageDraw
big = Image.new("RGB", (800, 600), "white")
pen = ImageDraw.Draw(big)
pen.line([(40, 560), (300, 200), (500, 400), (780, 40)], fill="navy", width=6)
pen.ellipse((280, 180, 320, 220), fill="darkred")
pen.text((400, 30), "preterm births", fill="black", font_size=40)
small = big.resize((200, 150), Image.Resampling.{how})
"""


def picture(how: str, *, moved: int = 0) -> dict[str, Any]:
    """Draw the curve of `_DRAW` as PNG, its edges smoothed in one way or another, its point moved."""
    names: dict[str, Any] = {"Image": Image, "ImageDraw": ImageDraw}
    exec(_DRAW.format(how=how).replace("(280, 180, 320, 220)", f"({280 + moved}, 180, {320 + moved}, 220)"), names)
    buffer = io.BytesIO()
    names["small"].save(buffer, "PNG")
    return {"image/png": base64.b64encode(buffer.getvalue()).decode(), "text/plain": "<PIL.Image.Image>"}


DRAWN = _DRAW.format(how="LANCZOS") + "display(small)"
_FRAME = "import pandas as pd\ndisplay(pd.DataFrame({'name': ['a', 'b'], 'value': [1 / 3, 2e6 / 3]}))"
_TABLE = (
    "<table id='T_9f3'><thead><tr><th></th><th>name</th><th>value</th></tr></thead><tbody>"
    "<tr><th>0</th><td>a</td><td>0.333333</td></tr>\n<tr><th>1</th>  <td>b</td><td>666666.7</td></tr></tbody></table>"
)
HARMLESS = {
    "imports": Cell("import sys, time, warnings, tempfile, os"),
    "a duration": Cell("print(f'Fitted in {time.process_time():.3f} s')", "Fitted in 181.219 s\n"),
    "a duration in minutes": Cell(
        "print('Training took 0 min 2 s, AUC 0.61')", "Training took 3 min 41.5 s, AUC 0.61\n"
    ),
    "elapsed without a unit": Cell("print('elapsed:', time.process_time())", "elapsed: 12.7\n"),
    "%time": Cell("%time x = 1", "CPU times: user 3 µs, sys: 1 µs, total: 4 µs\nWall time: 6.2 µs\n"),
    "a memory address": Cell("print(object())", "<object object at 0x7f00deadbeef>\n"),
    "a bound method": Cell(
        "class A:\n    def f(self): ...\nprint(A().f)", "<bound method A.f of <__main__.A object at 0x10af3c2b0>>\n"
    ),
    "a progress bar": Cell(
        "for i in range(3):\n"
        "    print(f'\\r{i * 50:3}%|{\"█\" * i}| {i}/2 [00:00<00:0{2 - i}, 91.33it/s]', end='', file=sys.stderr)",
        "\r  0%|          | 0/2 [00:00<?, ?it/s]\r100%|██████████| 2/2 [00:14<00:00,  7.01s/it]\n",
        stream="stderr",
    ),
    "a warning": Cell(
        "warnings.warn('slow')",
        "/tmp/ipykernel_77/1234.py:1: UserWarning: slow\n  warnings.warn('slow')\n",
        stream="stderr",
    ),
    "a warning of another library": Cell("y = 2", "/x/lib/a.py:3: FutureWarning: old\n  y = 2\n", stream="stderr"),
    "a temporary path": Cell(
        "print('in', tempfile.gettempdir() + '/abc/model.bin')", "in /var/folders/x1/T/abc/model.bin\n"
    ),
    "the working folder": Cell(
        "print(os.path.abspath('notes.txt'))", "/home/ann/take-home/volumes/notebooks/notes.txt\n"
    ),
    "the order of a set": Cell("print({'b', 'a', 'c'}, len('abc'))", "{'c', 'a', 'b'} 3\n"),
    "the order of a dictionary": Cell("print({'b': 1, 'a': 2})", "{'a': 2, 'b': 1}\n"),
    "a frozen set": Cell("print(frozenset('xyz'))", "frozenset({'z', 'y', 'x'})\n"),
    "colours": Cell("print('\\x1b[31mred\\x1b[0m')", "red\n"),
    "spaces": Cell("print('a   1\\nb  20')", "a  1\nb 20\n"),
    "a generated id": Cell("import uuid\nprint('run', uuid.UUID(int=5))", "run 7c9e6679-7425-40de-944b-e07fc1f90ae7\n"),
    "takehome's own line": Cell("import takehome\nloans = takehome.read_table('loans')"),
    "the last digits": Cell("print(0.1 + 0.2, 1e-17)", "0.30000000000000010 0.0\n"),
    "a table": Cell(_FRAME, {"text/html": _TABLE, "text/plain": ""}),
    "ids in HTML": Cell(
        "from IPython.display import HTML\n"
        "display(HTML('<style>#u77{}</style><div id=\"u77\">Hello</div><script>f(77)</script>'))",
        {"text/html": '<style>#u12{}</style><div id="u12">Hello</div><script>f(12)</script>', "text/plain": "<HTML>"},
    ),
    "an estimator": Cell(
        "from sklearn.linear_model import Ridge\ndisplay(Ridge(alpha=2.0))",
        {"text/html": Ridge(alpha=2.0)._repr_html_().replace("container-id-1", "container-id-9"), "text/plain": ""},
    ),
    "smoothed edges": Cell(DRAWN, picture("BOX")),
    "ids in SVG": Cell(
        'from IPython.display import SVG\ndisplay(SVG(\'<svg xmlns="http://www.w3.org/2000/svg"><g id="p7"><path d="M0 1.5"/></g></svg>\'))',  # noqa: E501
        {"image/svg+xml": '<svg xmlns="http://www.w3.org/2000/svg"><g id="p3"><path d="M0 1.5000000001"/></g></svg>'},
    ),
    "a tagged cell": Cell("import random\nprint(random.random())", "0.5\n", tags=["nondeterministic"]),
    "standard output in pieces": Cell("print('a', flush=True)\ntime.sleep(0.3)\nprint('b')", "a\nb\n"),
}
