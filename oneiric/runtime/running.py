"""Which components are up: what an observer of the lifecycle has seen come and go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from oneiric.runtime.lifecycle_log import LifecycleLog

if TYPE_CHECKING:
    from oneiric.core.candidate import Candidate
    from oneiric.core.generation import Generation
    from oneiric.core.lifecycle import LifecycleManager
    from oneiric.core.ref import ComponentRef
    from oneiric.errors import OneiricError


class Running(LifecycleLog):
    """Log what happens to components, and know which are up.

    Any thread may ask.
    """

    __slots__ = ("_lifecycle", "_up")

    def __init__(self) -> None:
        self._up: dict[Generation[Any], None] = {}
        self._lifecycle: LifecycleManager | None = None

    def watch(self, lifecycle: LifecycleManager) -> None:
        """Tell of the components of *lifecycle*, whose observer this is."""
        self._lifecycle = lifecycle

    def activated(self, generation: Generation[Any], duration_ms: float) -> None:
        """Log `component-activated`, and remember it."""
        self._up[generation] = None
        super().activated(generation, duration_ms)

    def closed(self, generation: Generation[Any], errors: Sequence[OneiricError]) -> None:
        """Log `cleanup-failed` and `component-closed`, and forget it."""
        self._up.pop(generation, None)
        super().closed(generation, errors)

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

    def offers(self) -> Iterable[Candidate]:
        """Return everything that is up and not about to end."""
        return [generation.candidate for generation in self._present()]

    def _present(self) -> list[Generation[Any]]:
        return [generation for generation in tuple(self._up) if not generation.retired]
