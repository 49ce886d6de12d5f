"""What every answer of a command has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from oneiric.errors import JSONValue


class Answer(Protocol):
    """What a verb came to, for a machine and for a person."""

    @property
    def exit_code(self) -> int:
        """What a command ends with."""
        ...

    def as_json(self) -> Mapping[str, JSONValue]:
        """Return the document that `--json` prints."""
        ...

    def render(self, *, columns: int, colour: bool = False) -> str:
        """Return text that fits so many columns."""
        ...
