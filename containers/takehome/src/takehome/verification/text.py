"""Text equal in meaning: what changes from run to run is masked, numbers agree within a tolerance."""

import math
import re
from difflib import SequenceMatcher

from takehome.verification.report import Outcome

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_DURATION = r"\d+(?:[.,]\d+)?\s?(?:ns|µs|us|ms|s|sec|secs|seconds?|mins?|minutes?|hours?|h)"
_BAR = re.compile(
    r"\d+%\|.*\||\d+(?:\.\d+)?\s?(?:it|B|kB|MB|ex|examples|batch(?:es)?)/s\b|\bs/it\b|[━█▏▎▍▌▋▊▉]{2,}|\[=*>?\.*\]"
)
_WARNING = re.compile(r"^\S*:\d+: \w*Warning: .*(?:\n[ \t]+.*)*\n?", re.MULTILINE)
_OWN = re.compile(r"^(?:\S+: read from .*, because .*|Saved '.*' as \d{8}-\d{6}.*|Parallel work runs on \d+ .*)$")
_MASKS = (
    (re.compile(r"\b0x[0-9a-fA-F]{4,}\b"), "<address>"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r"(?:/[\w.@+~-]+)*/ipykernel_\d+/\d+\.py(?::\d+)?"), "<cell>"),
    (re.compile(r"(?:(?<![\w/.:])~?(?:/[\w.@+ -]*\w)+|\b[A-Za-z]:(?:\\[\w.@+ -]+)+)[\\/](?=[\w.@+-])"), "<path>/"),
    (re.compile(r"^(?:CPU times|Wall time): .*$", re.MULTILINE), "<timing>"),
    (re.compile(r".*per loop \(mean ± std\. dev\. of .*"), "<timing>"),
    (re.compile(rf"(?<![\w.])(?:{_DURATION}\s+)*{_DURATION}(?![\w%])"), "<time>"),
    (re.compile(r"(?i)((?:elapsed|runtime|took|duration|time taken)\W{1,3})\d[\d.:,]*(?:e[-+]?\d+)?"), r"\1<time>"),
)
_NUMBER = re.compile(
    r"(?<![\w.])[-+]?(?:\d{1,3}(?:[,_]\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?|(?<=[\s(\[=:,])-?(?:inf|nan)\b"
)
_SET = re.compile(r"\{[^{}]*\}")
_SHOWN = 160


def lines(text: str) -> list[str]:
    """Return what a text says, line by line.

    Terminal colours, progress bars, warnings and takehome's own lines are gone; memory addresses, paths and timings are
    masked; the elements between braces are sorted, since a set has no order; white space is one blank.
    """
    text = _WARNING.sub("", _ESCAPE.sub("", text).replace("\r\n", "\n"))
    text = _SET.sub(_sort, text)
    kept = [line.rpartition("\r")[2] or line.strip("\r") for line in text.split("\n")]
    text = "\n".join(line for line in kept if not _BAR.search(line) and not _OWN.match(line))
    for mask, name in _MASKS:
        text = mask.sub(name, text)
    return [short for line in text.split("\n") if (short := " ".join(line.split()))]


def compare(saved: list[str], found: list[str], rtol: float) -> tuple[Outcome, str | None]:
    """Compare the lines of two texts.

    Parameters
    ----------
    saved, found : as `lines` gives them.
    rtol : two numbers a and b agree where |a - b| ≤ rtol · max(|a|, |b|).

    Returns
    -------
    (outcome, difference) : the first difference as lines that begin with `- ` (saved) and `+ ` (found).
    """
    if saved == found:
        return Outcome.SAME, None
    if len(saved) == len(found) and all(map(_close, saved, found, [rtol] * len(saved))):
        return Outcome.CLOSE, None
    return Outcome.DIFFERS, _difference(saved, found, rtol)


def close(one: float, other: float, rtol: float) -> bool:
    """Tell whether two numbers agree; NaN agrees with NaN."""
    return (
        one == other or (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=rtol, abs_tol=1e-12)
    )


def _close(saved: str, found: str, rtol: float) -> bool:
    if saved == found:
        return True
    if _NUMBER.sub("#", saved) != _NUMBER.sub("#", found):
        return False
    pairs = zip(_NUMBER.findall(saved), _NUMBER.findall(found), strict=True)
    return all(one == other or close(_value(one), _value(other), rtol) for one, other in pairs)


def _value(number: str) -> float:
    return float(number.replace(",", "").replace("_", ""))


def _sort(braces: re.Match[str]) -> str:
    return "{" + ", ".join(sorted(part.strip() for part in braces.group()[1:-1].split(","))) + "}"


def _difference(saved: list[str], found: list[str], rtol: float) -> str:
    """Show the first lines that differ, two on each side at most."""
    if len(saved) == len(found):
        first = next(i for i, (a, b) in enumerate(zip(saved, found, strict=True)) if not _close(a, b, rtol))
        return "\n".join(_around(saved[first], found[first]))
    codes = SequenceMatcher(None, saved, found, autojunk=False).get_opcodes()
    _, a, b, c, d = next(code for code in codes if code[0] != "equal")
    if b - a == d - c == 1:
        return "\n".join(_around(saved[a], found[c]))
    gone, come = [_cut(line) for line in saved[a:b][:2]], [_cut(line) for line in found[c:d][:2]]
    return "\n".join([*(f"- {line}" for line in gone), *(f"+ {line}" for line in come)])


def _around(saved: str, found: str) -> tuple[str, str]:
    """Cut two long lines to where they part."""
    parted = next(
        (i for i, (a, b) in enumerate(zip(saved, found, strict=False)) if a != b), min(len(saved), len(found))
    )
    start = max(0, parted - _SHOWN // 2) if max(len(saved), len(found)) > _SHOWN else 0
    mark = "…" if start else ""
    return f"- {mark}{_cut(saved[start:])}", f"+ {mark}{_cut(found[start:])}"


def _cut(line: str) -> str:
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"
