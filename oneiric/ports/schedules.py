"""Remember how far schedules have come, so that nothing is begun twice or forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a schedule has come: since when, what was dealt with, how often it was begun.

    `digest` is that of the schedule; another one begins anew.
    """

    digest: str
    since: datetime
    last: datetime
    taken: int = 0


class ScheduleProgress(Protocol):
    """Keep the progress of schedules, for all processes that look at them."""

    async def get(self, ref: str) -> Progress | None:
        """Return how far the schedule of *ref* has come, or None if it was never seen."""
        ...

    async def put(self, ref: str, progress: Progress, *, after: Progress | None) -> bool:
        """Store *progress*, unless somebody has stored another than *after* meanwhile."""
        ...
