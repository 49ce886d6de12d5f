"""The journal of an engine that has people told when it records the end of a run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from oneiric.runs.event import EventKind
from oneiric.runs.journal import Journal

if TYPE_CHECKING:
    from oneiric.runs.event import RunEvent
    from oneiric.runs.journal import Lease, RunRecord
    from oneiric.runtime.run_notices import RunNotices


class NoticedJournal(Journal):
    """Keep runs in another journal, and have *notices* tell how they end.

    What is to be told is kept before an end is stored, and is sent when it is; the append
    returns after that.
    """

    __slots__ = ("_journal", "_notices")

    def __init__(self, journal: Journal, notices: RunNotices) -> None:
        self._journal = journal
        self._notices = notices

    async def create(
        self, run_id: str, events: Sequence[RunEvent], *, holder: str = "", seconds: float = 0
    ) -> tuple[Sequence[RunEvent], Lease | None]:
        return await self._journal.create(run_id, events, holder=holder, seconds=seconds)

    async def append(
        self, run_id: str, events: Sequence[RunEvent], *, lease: Lease | None = None
    ) -> Sequence[RunEvent]:
        ended = next((event for event in events if event.kind is EventKind.RUN_ENDED), None)
        messages = await self._notices.prepare(ended) if ended is not None else []
        stored = await self._journal.append(run_id, events, lease=lease)
        await self._notices.tell(run_id, messages)
        return stored

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
