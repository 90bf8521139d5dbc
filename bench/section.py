"""The part of the README that a measurement writes, between two markers."""

from dataclasses import dataclass
from pathlib import Path

from takehome.errors import TakehomeError


@dataclass(frozen=True)
class Section:
    """What `make NAME` writes."""

    name: str

    @property
    def begin(self) -> str:
        """The line before it."""
        return f"<!-- {self.name}: written by `make {self.name}` -->"

    @property
    def end(self) -> str:
        """The line after it."""
        return f"<!-- /{self.name} -->"

    def check(self, readme: Path) -> None:
        """Refuse, before anything is measured, a file without the two markers."""
        text = readme.read_text(encoding="utf-8")
        if text.count(self.begin) != 1 or text.count(self.end) != 1 or text.index(self.begin) > text.index(self.end):
            raise TakehomeError(
                f"{readme}: there is no place for the tables. Add two lines: {self.begin} and {self.end}"
            )

    def write(self, readme: Path, text: str) -> None:
        """Put a text between the markers; what stands around them stays."""
        before, _, rest = readme.read_text(encoding="utf-8").partition(self.begin)
        readme.write_text(f"{before}{self.begin}\n{text}\n{self.end}{rest.partition(self.end)[2]}", encoding="utf-8")
