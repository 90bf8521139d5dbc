"""Training data as small drawings: no chart library, so that a page holds two hundred of them."""

from base64 import b64encode
from html import escape
from typing import Any

from page.contract import Spread
from page.figures import number, percent
from page.ink import ink
from page.moment import seconds

WIDTH, HEIGHT = 200, 32


def drawing(name: str, spread: Spread, held: Any, height: int = HEIGHT) -> str:
    """Draw the bins of a number or a time as SVG, with a mark where `held` lies; escaped for HTML.

    Bars are as high as the data are dense, so bins of unequal widths compare.
    """
    edges = [seconds(edge) for edge in spread.edges]
    width = edges[-1] - edges[0] or 1.0
    places = [WIDTH * (edge - edges[0]) / width for edge in edges]
    bins = list(zip(places, places[1:], spread.shares, strict=False)) if edges[-1] > edges[0] else []
    dense = [share / max(end - start, 0.5) for start, end, share in bins]
    top = max(dense, default=0) or 1.0
    bars = "".join(
        f'<rect x="{start:.1f}" y="{height - height * d / top:.1f}" width="{max(end - start - 0.6, 0.4):.1f}" '
        f'height="{height * d / top:.1f}" fill="{ink().bar}"/>'
        for (start, end, _), d in zip(bins, dense, strict=True)
    )
    mark = "" if held is None else _mark(WIDTH * (seconds(held) - edges[0]) / width, height)
    return _svg(f"{name}: {_words(spread)}", bars + mark, height)


def strip(name: str, spread: Spread, held: Any, height: int = 14) -> str:
    """Draw the shares of a category as one strip of parts, that of `held` in the accent; escaped for HTML."""
    parts, place = [], 0.0
    names = [*spread.values, None, None]
    for value, share in zip(names, [*spread.shares, spread.other, spread.missing], strict=False):
        here = value == held and value is not None
        fill = ink().accent if here else ink().bar
        wide = max(WIDTH * share - 0.6, 0.4 if share else 0)
        parts.append(f'<rect x="{place:.1f}" y="0" width="{wide:.1f}" height="{height}" fill="{fill}"/>')
        place += WIDTH * share
    return _svg(f"{name}: shares of its values in the training data", "".join(parts), height)


def _mark(place: float, height: int) -> str:
    inside = min(max(place, 1.0), WIDTH - 1.0)
    colour = ink().accent if 0 <= place <= WIDTH else ink().warm
    return f'<rect x="{inside - 1:.1f}" y="0" width="2" height="{height}" fill="{colour}"/>'


def _words(spread: Spread) -> str:
    low, high = (edge if isinstance(edge, str) else number(edge) for edge in (spread.edges[0], spread.edges[-1]))
    empty = f", empty in {percent(spread.missing)}" if spread.missing else ""
    return f"training data from {low} to {high}{empty}"


def _svg(words: str, inner: str, height: int) -> str:
    # As an image: the browser's cleaning of foreign HTML drops SVG that stands by itself.
    box = f'viewBox="0 0 {WIDTH} {height}" preserveAspectRatio="none"'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" {box}>{inner}</svg>'.encode()
    return (
        f'<img alt="{escape(words)}" src="data:image/svg+xml;base64,{b64encode(svg).decode()}" '
        f'style="display:block;width:100%;height:{height}px">'
    )
