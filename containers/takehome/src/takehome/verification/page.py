"""HTML as a person reads it: the words, a table's row in one line; identifiers, styles and scripts are gone."""

from html.parser import HTMLParser

_UNREAD = {"style", "script", "template", "noscript", "title"}
_BREAKS = {
    "tr",
    "p",
    "div",
    "li",
    "br",
    "table",
    "pre",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "ul",
    "ol",
    "section",
    "summary",
}
_CELLS = {"td", "th"}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self._unread = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self._unread += tag in _UNREAD
        if tag in _BREAKS:
            self.words.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._unread = max(0, self._unread - (tag in _UNREAD))
        if tag in _BREAKS:
            self.words.append("\n")
        elif tag in _CELLS:
            self.words.append(" │ ")

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self.words.append(data.replace("\n", " "))


def read(html: str) -> str:
    """Return the text of a piece of HTML."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    rows = "".join(reader.words).split("\n")
    return "\n".join(row.strip(" │") for row in rows if row.strip(" │\t"))


def has_table(html: str) -> bool:
    """Tell whether it holds a table."""
    return "<table" in html.lower()
