"""Pictures that look the same: equal size, and no spot that differs by more than an edge drawn a pixel aside."""

import base64
import io
import re

import numpy as np
from PIL import Image, ImageFilter, UnidentifiedImageError

from takehome.verification.report import Outcome

MOST = 0.15  # of the way from black to white, after blurring by a pixel
_SVG_NOISE = re.compile(r"<metadata>.*?</metadata>|<!--.*?-->|\b(?:xlink:)?(?:id|href|clip-path)=\"[^\"]*\"", re.DOTALL)


def compare(saved: str, found: str) -> tuple[Outcome, str | None]:
    """Compare two PNG or JPEG pictures in base64.

    Returns
    -------
    (outcome, difference) : SAME where every pixel is equal, CLOSE where the distance is at most `MOST`.
    """
    if saved == found:
        return Outcome.SAME, None
    try:
        one, other = _open(saved), _open(found)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError):
        return Outcome.DIFFERS, "- a picture\n+ a picture that can't be compared with it"
    if one.size != other.size:
        return Outcome.DIFFERS, f"- a picture of {_size(one)} pixels\n+ a picture of {_size(other)} pixels"
    if np.array_equal(np.asarray(one), np.asarray(other)):
        return Outcome.SAME, None
    far = distance(one, other)
    if far <= MOST:
        return Outcome.CLOSE, None
    return Outcome.DIFFERS, f"- a picture of {_size(one)} pixels\n+ one that differs from it by up to {far:.0%}"


def distance(one: Image.Image, other: Image.Image) -> float:
    """Return how far the two are apart where they differ most, from 0 to 1.

    A pixel counts as far as it lies outside of what its neighbours (3 by 3) are in the other picture, so that lines
    smoothed otherwise, or set a pixel aside, count little, and a moved or missing one much.
    """
    apart = [_outside(a, b) for a, b in zip(one.split(), other.split(), strict=True)]
    return float(
        max(np.maximum(_outside(b, a), c).max() for a, b, c in zip(one.split(), other.split(), apart, strict=True))
    )


def svg_text(svg: str) -> str:
    """Return an SVG without identifiers and metadata, an element a line."""
    return _SVG_NOISE.sub("", svg).replace("><", ">\n<")


def _open(data: str) -> Image.Image:
    image = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _outside(one: Image.Image, other: Image.Image) -> np.ndarray:
    """Return how far each pixel of `one`, blurred, lies outside of its neighbourhood in `other`, from 0 to 1."""
    blur = ImageFilter.GaussianBlur(1)
    here, there = one.filter(blur), other.filter(blur)
    low, high = (
        np.asarray(there.filter(kind(3)), dtype="int16") for kind in (ImageFilter.MinFilter, ImageFilter.MaxFilter)
    )
    value = np.asarray(here, dtype="int16")
    return np.maximum(np.maximum(value - high, low - value), 0) / 255


def _size(image: Image.Image) -> str:
    return f"{image.width} by {image.height}"
