"""Which components are up, and made with which secrets: what an observer has seen come and go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from oneiric.runtime.lifecycle_log import LifecycleLog

if TYPE_CHECKING:
    from oneiric.core.candidate import Candidate
    from oneiric.core.generation import Generation
    from oneiric.core.lifecycle import LifecycleManager
    from oneiric.core.ref import ComponentRef
    from oneiric.errors import OneiricError
    from oneiric.runtime.secret_references import SecretKey

Marks: TypeAlias = "Mapping[SecretKey, bytes]"
"""What tells the values of secrets from others, in this process only."""
_NONE: Marks = MappingProxyType({})


class Running(LifecycleLog):
    """Log what happens to components, and know which are up.

    Any thread may ask.
    """

    __slots__ = ("_lifecycle", "_marks", "_up", "told")

    def __init__(self) -> None:
        self._up: dict[Generation[Any], Marks] = {}
        self._marks: dict[str, Marks] = {}
        self.told: Callable[[], None] | None = None
        """Who is told when something came up that was made with secrets."""
        self._lifecycle: LifecycleManager | None = None

    def watch(self, lifecycle: LifecycleManager) -> None:
        """Tell of the components of *lifecycle*, whose observer this is."""
        self._lifecycle = lifecycle

    def activated(self, generation: Generation[Any], duration_ms: float) -> None:
        """Log `component-activated`, and remember it."""
        marks = self._up[generation] = self._marks.pop(generation.offer, _NONE)
        super().activated(generation, duration_ms)
        if marks and self.told is not None:
            self.told()

    def closed(self, generation: Generation[Any], errors: Sequence[OneiricError]) -> None:
        """Log `cleanup-failed` and `component-closed`, and forget it."""
        self._up.pop(generation, None)
        super().closed(generation, errors)

    def makes_with(self, candidate: Candidate, marks: Marks) -> None:
        """Note the secrets of which *candidate* is being made; one at a time is, of each offer."""
        self._marks[candidate.offer] = marks

    def made_with(self) -> Mapping[Generation[Any], Marks]:
        """Return what is up and was made with secrets, each with what tells their values."""
        return {each: marks for each in self._present() if (marks := self._up.get(each))}

    def places(self) -> Mapping[ComponentRef[Any], Candidate]:
        """Return what serves each place, as far as it is up."""
        if self._lifecycle is None:
            return {}
        status = self._lifecycle.status
        return {
            each.candidate.ref: each.candidate
            for each in self._present()
            if status(each.candidate.ref).generation == each.number
        }

    def generations(self) -> Iterable[Generation[Any]]:
        """Return everything that is up, what is about to end too."""
        return tuple(self._up)

    def offers(self) -> Iterable[Candidate]:
        """Return everything that is up and not about to end."""
        return [generation.candidate for generation in self._present()]

    def _present(self) -> list[Generation[Any]]:
        return [generation for generation in tuple(self._up) if not generation.retired]
