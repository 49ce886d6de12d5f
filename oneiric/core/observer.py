"""Who is told what a lifecycle does, such as a log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oneiric.core.candidate import Candidate
    from oneiric.core.generation import Generation
    from oneiric.core.swap import SwapReport
    from oneiric.errors import OneiricError


class Observer:
    """Look on while a lifecycle works; this one ignores all it is told.

    An observer is called on the lifecycle's loop, in the middle of things: it neither
    blocks nor raises, and nothing it does changes what happens.
    """

    __slots__ = ()

    def activated(self, generation: Generation[Any], duration_ms: float) -> None:
        """Hear that an instance is up and healthy."""

    def failed(self, candidate: Candidate, error: OneiricError, duration_ms: float) -> None:
        """Hear that an instance did not come up; nothing of it is left."""

    def swapped(self, report: SwapReport) -> None:
        """Hear how a swap ended, well or not."""

    def quarantined(self, candidate: Candidate, reason: str, seconds: float) -> None:
        """Hear that an offer takes no part in resolution for so many seconds."""

    def forced(self, generation: Generation[Any], holders: Sequence[str]) -> None:
        """Hear that an instance is ended although *holders* still hold it."""

    def closed(self, generation: Generation[Any], errors: Sequence[OneiricError]) -> None:
        """Hear that an instance that was up has ended, and what failed in its cleanup."""
