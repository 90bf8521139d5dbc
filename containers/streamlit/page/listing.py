"""A small table as HTML: read by screen readers, in the page's own type, and narrow enough for a phone."""

from collections.abc import Iterable, Sequence
from html import escape


def listing(header: Sequence[str], rows: Iterable[Sequence[object]], caption: str) -> str:
    """Give the HTML of a table; every text in it is escaped."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows)
    return (
        f'<div class="listing"><table aria-label="{escape(caption)}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(value: object) -> str:
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return f"<td>{escape(text)}</td>"
