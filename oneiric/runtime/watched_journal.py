"""A journal that tells somebody what is appended to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

from oneiric.runs.journal import Journal, Lease, RunRecord

if TYPE_CHECKING:
    from oneiric.runs.event import RunEvent
    from oneiric.runtime.run_measures import RunMeasures


class WatchedJournal(Journal):
    """Pass everything on, and tell a listener what was stored, and what was read from the start.

    Args:
        journal: who keeps the events.
        listener: gives who hears of them.
    """

    __slots__ = ("_journal", "_listener")

    def __init__(self, journal: Journal, listener: Callable[[], RunMeasures]) -> None:
        self._journal = journal
        self._listener = listener

    async def create(
        self, run_id: str, events: Sequence[RunEvent], *, holder: str = "", seconds: float = 0
    ) -> tuple[Sequence[RunEvent], Lease | None]:
        stored, lease = await self._journal.create(run_id, events, holder=holder, seconds=seconds)
        if holder:
            self._listener().appended(stored)
        return stored, lease

    async def append(
        self, run_id: str, events: Sequence[RunEvent], *, lease: Lease | None = None
    ) -> Sequence[RunEvent]:
        stored = await self._journal.append(run_id, events, lease=lease)
        if lease is not None:
            self._listener().appended(stored)
        return stored

    async def read(self, run_id: str, *, after: int = 0) -> Sequence[RunEvent]:
        events = await self._journal.read(run_id, after=after)
        if not after:
            self._listener().read(events)
        return events

    def follow(self, run_id: str, *, after: int = 0) -> AsyncIterator[RunEvent]:
        return self._journal.follow(run_id, after=after)

    def outside(self) -> AsyncIterator[str]:
        return self._journal.outside()

    async def runs(
        self, *, name: str = "", open_only: bool = False, before: str = "", limit: int = 100
    ) -> Sequence[RunRecord]:
        return await self._journal.runs(name=name, open_only=open_only, before=before, limit=limit)

    async def claim(self, run_id: str, *, holder: str, seconds: float) -> Lease | None:
        lease = await self._journal.claim(run_id, holder=holder, seconds=seconds)
        if lease is not None:
            self._listener().claimed(run_id)
        return lease

    async def renew(self, leases: Sequence[Lease], *, seconds: float) -> Sequence[Lease]:
        return await self._journal.renew(leases, seconds=seconds)

    async def release(self, lease: Lease) -> None:
        await self._journal.release(lease)
        self._listener().released(lease.run_id)

    async def aclose(self) -> None:
        await self._journal.aclose()
