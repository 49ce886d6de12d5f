"""Whether components take work, in step with every other process of the folder."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from oneiric.clock import Clock, rfc3339
from oneiric.core.activity import ACTIVE, Activity, ActivityState
from oneiric.core.ref import ComponentRef
from oneiric.errors import ComponentError, StoreError
from oneiric.stores import DomainActivityStore, DrainAnswer

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger

    from oneiric.core.lifecycle import LifecycleManager

POLL_SECONDS = 0.5


class ActivityFollower:
    """Store what is said here, and carry out here what others stored.

    What this process says holds in it at once, and in others within a poll. While the
    database cannot be read, what was last known holds; that is logged once, and ends by
    itself. What only the lifecycle was told is nobody's business here.

    Args:
        lifecycle: whose components take work or do not.
        store: what all processes share.
        clock: paces the polls.
        log: where troubles are told.
        interval: seconds between two polls.
    """

    def __init__(
        self,
        lifecycle: LifecycleManager,
        store: DomainActivityStore,
        *,
        clock: Clock,
        log: BoundLogger,
        interval: float = POLL_SECONDS,
    ) -> None:
        self._lifecycle = lifecycle
        self._store = store
        self._clock = clock
        self._log = log
        self._interval = interval
        self._turn = asyncio.Lock()
        self._known: Mapping[str, Activity] = {}
        self._answered: dict[str, int] = {}
        self._trouble = ""

    async def set(self, ref: str, state: ActivityState, *, note: str, actor: str) -> Activity:
        """Store and carry out what *ref* shall do from now on.

        Raises:
            StoreError: it was not stored; nothing has changed.
            ComponentError: it was, but the component failed to pause or resume.
        """
        named: ComponentRef[object] = ComponentRef(ref)
        since = None if state is ActivityState.ACTIVE else self._clock.now()
        wanted = Activity(state, note if since else "", actor if since else "", since)
        async with self._turn:
            await asyncio.to_thread(self._store.set, named, wanted)
            known = {each: found for each, found in self._known.items() if each != named}
            self._known = known if since is None else {**known, named: wanted}
            await self._carry_out(named, wanted)
        return wanted

    async def refresh(self) -> None:
        """Read the store once and carry out what changed."""
        async with self._turn:
            try:
                stored = await asyncio.to_thread(self._store.snapshot)
                await self._take(stored)
                await self._answer(stored)
            except StoreError as error:
                if self._trouble != error.message:
                    self._log.error("activity-store-failed", reason=error.message)
                self._trouble = error.message
            else:
                self._trouble = ""

    async def follow(self) -> None:
        """Refresh at every interval, without end."""
        while True:
            await self._clock.sleep(self._interval)
            await self.refresh()

    async def _take(self, stored: Mapping[str, Activity]) -> None:
        before, self._known = self._known, stored
        for ref in before.keys() | stored.keys():
            wanted = stored.get(ref, ACTIVE)
            if wanted != before.get(ref, ACTIVE):
                try:
                    await self._carry_out(ComponentRef(ref), wanted)
                except ComponentError as error:
                    self._log.error("activity-phase-failed", ref=ref, reason=error.message)

    async def _carry_out(self, ref: ComponentRef[object], wanted: Activity) -> None:
        if wanted.state is ActivityState.PAUSED:
            await self._lifecycle.pause(ref, note=wanted.note, actor=wanted.actor)
        elif wanted.state is ActivityState.DRAINING:
            await self._lifecycle.drain(ref, limit=0, note=wanted.note, actor=wanted.actor)
        else:
            await self._lifecycle.resume(ref, actor=wanted.actor)

    async def _answer(self, stored: Mapping[str, Activity]) -> None:
        """Say how much is in flight of what is draining, whenever that changed."""
        draining = [ref for ref, each in stored.items() if each.state is ActivityState.DRAINING]
        self._answered = {ref: self._answered.get(ref, -1) for ref in draining}
        for ref in draining:
            count = self._lifecycle.in_flight(ref)
            if count != self._answered[ref]:
                answer = DrainAnswer(ref, os.getpid(), count, rfc3339(self._clock.now()))
                await asyncio.to_thread(self._store.answer, answer)
                self._answered[ref] = count


def is_alive(pid: int) -> bool:
    """Tell whether a process of that number runs on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
