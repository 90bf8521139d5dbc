"""HTML that may come from anyone, made harmless: no script, no address that a browser would fetch."""

import re
from functools import cache

from bleach.css_sanitizer import ALLOWED_CSS_PROPERTIES, CSSSanitizer
from bleach.sanitizer import Cleaner

TAGS = frozenset(
    """
    a abbr b blockquote br caption cite code col colgroup dd del details div dl dt em figcaption figure h1 h2 h3 h4 h5
    h6 hr i img ins kbd li mark ol p pre q s samp small span strong sub summary sup table tbody td tfoot th thead time
    tr u ul var wbr
    """.split()  # noqa: SIM905  # a list of words is read, not looked up
)
STYLES = frozenset(
    """
    border border-bottom border-left border-radius border-right border-top font-variant-numeric line-height margin
    margin-bottom margin-left margin-right margin-top max-width min-width opacity padding padding-bottom padding-left
    padding-right padding-top text-transform
    """.split()  # noqa: SIM905
)
_ATTRIBUTES = {"colspan", "rowspan", "scope", "title", "alt", "width", "height", "align", "open", "start", "datetime"}
_PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=\s]*")
_UNSEEN = re.compile(r"<(script|style|template|noscript|iframe|object)\b.*?(</\1\s*>|\Z)", re.I | re.S)


def clean(html: str) -> str:
    """Return HTML of which a browser shows text, tables and embedded pictures, and does nothing else.

    Links keep web and mail addresses, which are followed only when clicked; pictures are those that the text carries
    itself. Style is kept as far as it can't move anything over the rest of the page.
    """
    # Their text would be shown: what makes it safe is the cleaner, not this.
    return str(_cleaner().clean(_UNSEEN.sub("", html)))


@cache
def _cleaner() -> Cleaner:
    return Cleaner(
        tags=TAGS,
        attributes=_allowed,
        protocols={"http", "https", "mailto", "data"},
        strip=True,
        strip_comments=True,
        css_sanitizer=CSSSanitizer(allowed_css_properties=(ALLOWED_CSS_PROPERTIES - {"cursor"}) | STYLES),
    )


def _allowed(tag: str, name: str, value: str) -> bool:
    if tag == "img" and name == "src":
        return bool(_PICTURE.fullmatch(value))
    if tag == "a" and name == "href":
        return value.startswith(("https://", "http://", "mailto:", "#"))
    return name in _ATTRIBUTES or (name == "style" and "url(" not in value.lower().replace("\\", ""))
