"""Names and messages shown as they are, whatever Markdown would make of them."""

import re

# Words and numbers, joined by single marks that mean nothing to Markdown there.
_PLAIN = re.compile(r"[^\W_]+(?:(?:[ _-]|, |(?<=\d)[.,](?=\d))[^\W_]+)*")


def literal(text: object) -> str:
    """Give the Markdown that shows `text` character by character, on one line.

    Escaping is no way: emoji codes, arrows and bare addresses are replaced after Markdown has been read.
    Only inline code is left alone, so whatever is not plain words becomes that.
    """
    line = re.sub(r"\s*[\r\n]+\s*", " ", str(text)).strip()
    if not line or _PLAIN.fullmatch(line):
        return line
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    return f"{fence} {line} {fence}" if "`" in line else f"{fence}{line}{fence}"
