"""Formulas without a script: TeX becomes MathML, which browsers draw by themselves."""

import re
from contextlib import suppress
from html import escape, unescape

from latex2mathml.converter import convert

_MOST_LETTERS = 2000
_REACHING = re.compile(r"\\(href|style|class|url)\b")  # would put addresses and style into the page
_MARKED = re.compile(r"<code>\ue000(inline|block) (.*?)\ue001</code>", re.S)


def mark(tex: str, display: str) -> str:
    """Return HTML that stands for a formula until the page has been cleaned; `display` is `inline` or `block`."""
    return f"<code>\ue000{display} {escape(tex)}\ue001</code>"


def draw(html: str) -> str:
    """Put MathML in the place of each formula that was marked; one that can't be converted stays TeX."""
    return _MARKED.sub(lambda found: _mathml(unescape(found[2]), found[1]), html)


def _mathml(tex: str, display: str) -> str:
    with suppress(Exception):  # whatever a converter raises about a text
        if len(tex) <= _MOST_LETTERS and not _REACHING.search(tex):
            return str(convert(tex, display=display))
    return f"<code>{escape(tex)}</code>"
