"""What a verb answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from oneiric.errors import JSONValue


class Answer(Protocol):
    """What a verb answers: a document for programs, a text for people, and an exit code.

    Two more members may be there, each with lines for stderr: `errors`, which the document
    tells as well and only who reads the text is told, and `notices`, which everybody is.
    """

    @property
    def exit_code(self) -> int:
        """What a command ends with that gives this answer."""
        ...

    def as_json(self) -> Mapping[str, JSONValue]:
        """Return the document, its schema first."""
        ...

    def render(self, *, columns: int, colour: bool) -> str:
        """Return the text, no table of it wider than *columns*."""
        ...
