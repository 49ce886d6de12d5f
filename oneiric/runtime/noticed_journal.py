"""The journal of an engine that has people told when it records the end of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from oneiric.runs.event import EventKind
from oneiric.runtime.passing_journal import PassingJournal

if TYPE_CHECKING:
    from oneiric.runs.event import RunEvent
    from oneiric.runs.journal import Journal, Lease
    from oneiric.runtime.run_notices import RunNotices


class NoticedJournal(PassingJournal):
    """Keep runs in another journal, and have *notices* tell how they end.

    What is to be told is kept before an end is stored, and is sent when it is; the append
    returns after that.
    """

    __slots__ = ("_notices",)

    def __init__(self, journal: Journal, notices: RunNotices) -> None:
        super().__init__(journal)
        self._notices = notices

    async def append(
        self, run_id: str, events: Sequence[RunEvent], *, lease: Lease | None = None
    ) -> Sequence[RunEvent]:
        ended = next((event for event in events if event.kind is EventKind.RUN_ENDED), None)
        messages = await self._notices.prepare(ended) if ended is not None else []
        stored = await super().append(run_id, events, lease=lease)
        await self._notices.tell(run_id, messages)
        return stored
