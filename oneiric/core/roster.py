"""Which instances are up, and which of them need which."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oneiric.core.generation import Generation


class Roster:
    """Keep every instance from the moment it is up until it is cleaned up."""

    __slots__ = ("_stayed", "_up")

    def __init__(self) -> None:
        self._up: dict[Generation[Any], None] = {}
        self._stayed: dict[Generation[Any], None] = {}

    def __iter__(self) -> Iterator[Generation[Any]]:
        return iter(tuple(self._up))

    def __len__(self) -> int:
        return len(self._up)

    def enter(self, generation: Generation[Any]) -> None:
        """Add an instance that came up."""
        self._up[generation] = None

    def strike(self, generation: Generation[Any]) -> None:
        """Take an instance off; one that is not there any more is no error."""
        self._up.pop(generation, None)
        self._stayed.pop(generation, None)

    def of(self, ref: str) -> list[Generation[Any]]:
        """Return the instances for a place, or of one offer."""
        return [one for one in self if ref in (one.candidate.ref, one.offer)]

    def may_go(self, generation: Generation[Any]) -> bool:
        """Tell whether nothing requires this very offer, not just its place.

        One that must stay is among the `released` when what required it has ended.
        """
        if not self._is_pinned(generation):
            return True
        self._stayed[generation] = None
        return False

    def released(self) -> list[Generation[Any]]:
        """Return, once, the instances that stayed and need not any longer."""
        free = [one for one in self._stayed if not self._is_pinned(one)]
        for one in free:
            del self._stayed[one]
        return free

    def next_to_close(self) -> list[Generation[Any]]:
        """Return the instances that nothing on the roster may call; all, if each is needed."""
        return [one for one in self if not self._is_required(one)] or list(self)

    def _is_pinned(self, generation: Generation[Any]) -> bool:
        return any(
            generation.offer in other.candidate.requires.values()
            for other in self._up
            if other is not generation
        )

    def _is_required(self, generation: Generation[Any]) -> bool:
        names = (generation.offer, generation.candidate.ref)
        return any(
            required in names
            for other in self._up
            if other is not generation
            for required in other.candidate.requires.values()
        )
