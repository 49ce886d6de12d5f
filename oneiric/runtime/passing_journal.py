"""A journal that passes everything on to another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from oneiric.runs.journal import Journal

if TYPE_CHECKING:
    from oneiric.runs.event import RunEvent
    from oneiric.runs.journal import Lease, RunRecord


class PassingJournal(Journal):
    """Keep runs in another journal; derive from it to hear of what is kept.

    Args:
        journal: who keeps them.
    """

    __slots__ = ("_journal",)

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def create(
        self, run_id: str, events: Sequence[RunEvent], *, holder: str = "", seconds: float = 0
    ) -> tuple[Sequence[RunEvent], Lease | None]:
        return await self._journal.create(run_id, events, holder=holder, seconds=seconds)

    async def append(
        self, run_id: str, events: Sequence[RunEvent], *, lease: Lease | None = None
    ) -> Sequence[RunEvent]:
        return await self._journal.append(run_id, events, lease=lease)

    async def read(self, run_id: str, *, after: int = 0) -> Sequence[RunEvent]:
        return await self._journal.read(run_id, after=after)

    def follow(self, run_id: str, *, after: int = 0) -> AsyncIterator[RunEvent]:
        return self._journal.follow(run_id, after=after)

    def outside(self) -> AsyncIterator[str]:
        return self._journal.outside()

    async def runs(
        self, *, name: str = "", open_only: bool = False, before: str = "", limit: int = 100
    ) -> Sequence[RunRecord]:
        return await self._journal.runs(name=name, open_only=open_only, before=before, limit=limit)

    async def claim(self, run_id: str, *, holder: str, seconds: float) -> Lease | None:
        return await self._journal.claim(run_id, holder=holder, seconds=seconds)

    async def renew(self, leases: Sequence[Lease], *, seconds: float) -> Sequence[Lease]:
        return await self._journal.renew(leases, seconds=seconds)

    async def release(self, lease: Lease) -> None:
        await self._journal.release(lease)

    async def aclose(self) -> None:
        await self._journal.aclose()
