"""Tell whoever watches a run each of its events, as it is stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from oneiric.core.guard import Guard
    from oneiric.runs.event import RunEvent
    from oneiric.runs.journal import Journal

Tell: TypeAlias = "Callable[[RunEvent], object]"


@asynccontextmanager
async def told(
    journal: Journal, run_id: str, after: int, tell: Tell, guard: Guard
) -> AsyncIterator[None]:
    """Tell the events of a run above *after* while the block lasts, and at its end the rest."""
    last = after

    async def follow() -> None:
        nonlocal last
        async for event in journal.follow(run_id, after=after):
            last = event.seq
            tell(event)

    following = guard.keep(follow())
    try:
        yield
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        for event in await journal.read(run_id, after=last):
            tell(event)
