"""The rows of one request on their way to the model and back."""

import asyncio
from dataclasses import dataclass, field
from itertools import repeat

from pydantic_core import to_json
from takehome.rows import Finding
from takehome.schema import Row

from app.served import Served
from app.texts import Text, as_object


@dataclass(eq=False, slots=True)
class Job:
    """Rows that were checked, and the answers so far.

    `size` is the length of the body in bytes.
    """

    served: Served
    rows: list[Row]
    size: int
    many: bool
    warnings: list[list[Finding]] | None = None
    position: int = 0
    answers: list[Text] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)
    failure: Exception | None = None
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def left(self) -> int:
        """How many rows wait for an answer."""
        return len(self.rows) - self.position

    def take(self, answers: list[Text]) -> None:
        """Add the answers for the next rows."""
        first = self.position
        self.position += len(answers)
        self.answers += answers
        odd = map(to_json, self.warnings[first : self.position]) if self.warnings else repeat(b"[]")
        self.pieces.append(b",".join(as_object(answer, found) for answer, found in zip(answers, odd, strict=False)))

    def finish(self, failure: Exception | None = None) -> None:
        """Wake whoever waits for the answers, with all of them or with what went wrong."""
        if not self.done.done():
            self.done.set_exception(failure) if failure else self.done.set_result(None)

    def content(self) -> bytes:
        """Return the answers as JSON: an object for an object, a list for a list."""
        return b"[" + b",".join(self.pieces) + b"]" if self.many else self.pieces[0]
