"""A journal that tells somebody what is appended to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from oneiric.runtime.passing_journal import PassingJournal

if TYPE_CHECKING:
    from oneiric.runs.event import RunEvent
    from oneiric.runs.journal import Journal, Lease
    from oneiric.runtime.run_measures import RunMeasures


class WatchedJournal(PassingJournal):
    """Pass everything on, and tell a listener what was stored, and what was read from the start.

    Args:
        journal: who keeps the events.
        listener: gives who hears of them.
    """

    __slots__ = ("_listener",)

    def __init__(self, journal: Journal, listener: Callable[[], RunMeasures]) -> None:
        super().__init__(journal)
        self._listener = listener

    async def create(
        self, run_id: str, events: Sequence[RunEvent], *, holder: str = "", seconds: float = 0
    ) -> tuple[Sequence[RunEvent], Lease | None]:
        stored, lease = await super().create(run_id, events, holder=holder, seconds=seconds)
        if holder:
            self._listener().appended(stored)
        return stored, lease

    async def append(
        self, run_id: str, events: Sequence[RunEvent], *, lease: Lease | None = None
    ) -> Sequence[RunEvent]:
        stored = await super().append(run_id, events, lease=lease)
        if lease is not None:
            self._listener().appended(stored)
        return stored

    async def read(self, run_id: str, *, after: int = 0) -> Sequence[RunEvent]:
        events = await super().read(run_id, after=after)
        if not after:
            self._listener().read(events)
        return events

    async def claim(self, run_id: str, *, holder: str, seconds: float) -> Lease | None:
        lease = await super().claim(run_id, holder=holder, seconds=seconds)
        if lease is not None:
            self._listener().claimed(run_id)
        return lease

    async def release(self, lease: Lease) -> None:
        await super().release(lease)
        self._listener().released(lease.run_id)
