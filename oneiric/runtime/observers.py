"""Several who look on while a lifecycle works."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from oneiric.core.observer import Observer

if TYPE_CHECKING:
    from oneiric.core.candidate import Candidate
    from oneiric.core.generation import Generation
    from oneiric.core.swap import SwapReport
    from oneiric.errors import OneiricError


class Observers(Observer):
    """Tell each of several observers, in order; one that comes late is made when it first hears.

    Args:
        first: who is there already.
        late: gives another, asked for at each event.
    """

    __slots__ = ("_first", "_late")

    def __init__(self, first: Observer, late: Callable[[], Observer]) -> None:
        self._first = first
        self._late = late

    def activated(self, generation: Generation[Any], duration_ms: float) -> None:
        """Tell all that an instance is up."""
        self._first.activated(generation, duration_ms)
        self._late().activated(generation, duration_ms)

    def failed(self, candidate: Candidate, error: OneiricError, duration_ms: float) -> None:
        """Tell all that an instance did not come up."""
        self._first.failed(candidate, error, duration_ms)
        self._late().failed(candidate, error, duration_ms)

    def swapped(self, report: SwapReport) -> None:
        """Tell all how a swap ended."""
        self._first.swapped(report)
        self._late().swapped(report)

    def quarantined(self, candidate: Candidate, reason: str, seconds: float) -> None:
        """Tell all that an offer is out for a while."""
        self._first.quarantined(candidate, reason, seconds)
        self._late().quarantined(candidate, reason, seconds)

    def forced(self, generation: Generation[Any], holders: Sequence[str]) -> None:
        """Tell all that an instance is ended although it is held."""
        self._first.forced(generation, holders)
        self._late().forced(generation, holders)

    def closed(self, generation: Generation[Any], errors: Sequence[OneiricError]) -> None:
        """Tell all that an instance has ended."""
        self._first.closed(generation, errors)
        self._late().closed(generation, errors)
