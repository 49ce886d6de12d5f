"""Whether components take work, in step with every other process of the folder."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from oneiric.clock import Clock, rfc3339
from oneiric.core.activity import ACTIVE, Activity, ActivityState
from oneiric.core.ref import ComponentRef
from oneiric.errors import ClosedError, ComponentError, StoreError
from oneiric.runtime.lifecycle_log import (
    log_activity,
    log_activity_phase_failed,
    log_activity_store_failed,
)
from oneiric.runtime.process import born, is_alive
from oneiric.stores.activity import DomainActivityStore, DrainAnswer, Follower

if TYPE_CHECKING:
    from oneiric.core.lifecycle import LifecycleManager
    from oneiric.core.status import DrainReport

POLL_SECONDS = 0.5
PACE_SECONDS = 0.05


async def _nobody(_: ComponentRef[object]) -> None:
    """Do nothing."""


def _unheard(_: ComponentRef[object], __: Activity) -> None:
    """Do nothing."""


def _nothing(_: ComponentRef[object]) -> tuple[str, ...]:
    return ()


class ActivityFollower:
    """Store what is said here, and carry out here what others stored.

    What this process says holds in it at once, and in others within a poll. While the
    database cannot be read, what was last known holds; that is logged once, and ends by
    itself. What only the lifecycle was told is nobody's business here. Nothing is written
    before something was paused or drained.

    `work` tells what is under way here of a component without holding it, by name; whoever
    does such work sets it. A drain counts that too. `heard` is called with every change.

    Args:
        lifecycle: whose components take work or do not.
        store: what all processes share.
        clock: paces the polls.
        interval: seconds between two polls.
        resumed: called with what takes work again because another process said so.
        accepted: called with what takes work again, whoever said so.
    """

    def __init__(
        self,
        lifecycle: LifecycleManager,
        store: DomainActivityStore,
        *,
        clock: Clock,
        interval: float = POLL_SECONDS,
        resumed: Callable[[ComponentRef[object]], Awaitable[None]] = _nobody,
        accepted: Callable[[ComponentRef[object]], Awaitable[None]] = _nobody,
    ) -> None:
        self.store = store
        self.interval = interval
        self._lifecycle = lifecycle
        self._clock = clock
        self._resumed = resumed
        self.work: Callable[[ComponentRef[object]], tuple[str, ...]] = _nothing
        self.heard: Callable[[ComponentRef[object], Activity], object] = _unheard
        self._accepted = accepted
        self._turn = asyncio.Lock()
        self._known: Mapping[str, Activity] = {}
        self._unmet: dict[str, str] = {}
        self._me: Follower | None = None
        self._answered: dict[str, tuple[Activity, int]] = {}
        self._troubles: dict[str, str] = {}

    # -- saying -------------------------------------------------------------------------

    async def pause(self, ref: str, *, note: str = "", actor: str = "") -> Activity:
        """Refuse new work at once and from now on, here and elsewhere.

        Raises:
            NotFoundError: nobody offers it, and it is neither up nor paused.
            StoreError: it was not stored; nothing has changed.
            ComponentError: the component's `pause` failed; new work is refused all the same.
        """
        activity = Activity(ActivityState.PAUSED, note, actor, self._clock.now())
        await self._say(ref, activity)
        return activity

    async def resume(self, ref: str, *, actor: str = "") -> Activity:
        """Accept work again, here and elsewhere.

        Raises:
            NotFoundError, StoreError: as in `pause`.
            ComponentError: the component's `resume` failed; it is tried again with each poll.
        """
        await self._say(ref, Activity(actor=actor))
        return self._lifecycle.activity.get(ref)

    async def drain(
        self, ref: str, *, limit: float | None = None, note: str = "", actor: str = ""
    ) -> DrainReport:
        """Refuse new work here and elsewhere, and wait until nothing is in flight here.

        Raises:
            NotFoundError, StoreError: as in `pause`.
        """
        await self._say(ref, Activity(ActivityState.DRAINING, note, actor, self._clock.now()))
        seconds = self._lifecycle.builder.limits.drain if limit is None else limit
        end = self._clock.monotonic() + seconds
        report = await self._lifecycle.drained(ref, limit=seconds)
        while (left := self.work(report.ref)) and self._clock.monotonic() < end:
            await self._clock.sleep(PACE_SECONDS)
        return replace(
            report, in_flight=report.in_flight + len(left), holders=(*report.holders, *left)
        )

    async def _say(self, ref: str, wanted: Activity) -> None:
        named: ComponentRef[object] = ComponentRef(ref)
        self._lifecycle.check_known(named)
        async with self._turn:
            await asyncio.to_thread(self.store.set, named, wanted)
            known = {each: found for each, found in self._known.items() if each != named}
            if wanted.state is not ActivityState.ACTIVE:
                known[named] = wanted
                self._lifecycle.hold_off(named, wanted)
            self._known = known
        log_activity(named, wanted)
        self.heard(named, wanted)
        await self._adopt(named, wanted)

    # -- following ----------------------------------------------------------------------

    def load(self) -> None:
        """Refuse work for what is stored, before anything is up; it blocks, and needs no loop.

        Raises:
            StoreError: the database cannot be read.
        """
        self._known = self.store.snapshot()
        for ref, activity in self._known.items():
            self._lifecycle.hold_off(ref, activity)

    async def catch_up(self) -> None:
        """Read the store once and carry out what changed; nothing is written."""
        for ref in await self._changes():
            await self._carry_out(ref)

    async def follow(self) -> None:
        """Catch up and answer drains at every interval, without end.

        What components do when they are paused or resumed takes its own time; the next
        poll does not wait for it.
        """
        async with asyncio.TaskGroup() as group:
            while True:
                await self._clock.sleep(self.interval)
                for ref in await self._changes():
                    group.create_task(self._carry_out(ref))
                await self.answer()

    async def answer(self) -> None:
        """Say how much is in flight here of what is draining, where that changed."""
        draining = {
            ref: activity
            for ref, activity in self._known.items()
            if activity.state is ActivityState.DRAINING
        }
        self._answered = {ref: self._answered[ref] for ref in draining if ref in self._answered}
        with self._told_once("write"):
            if self._me is None:
                self._me = await asyncio.to_thread(self._join)
            for ref, activity in draining.items():
                work = self.work(ComponentRef(ref))
                count = self._lifecycle.in_flight(ref) + len(work)
                if self._me and self._answered.get(ref) != (activity, count):
                    at, holders = rfc3339(self._clock.now()), self._lifecycle.holders(ref) + work
                    said = DrainAnswer(ref, self._me.id, count, holders, at)
                    await asyncio.to_thread(self.store.answer, self._me, said)
                    self._answered[ref] = (activity, count)

    async def leave(self) -> None:
        """Follow no more, and let nobody wait for an answer from here."""
        me, self._me = self._me, None
        if me is not None:
            with self._told_once("write"):
                await asyncio.to_thread(self.store.leave, me.id)

    def _join(self) -> Follower | None:
        """Let whoever drains know that there is somebody to wait for."""
        if not self.store.path.exists():
            return None
        pid = os.getpid()
        gone = [
            each.id for each in self.store.followers() if not is_alive(each.pid, since=each.born)
        ]
        me = Follower(self._clock.new_id(), pid, born(pid))
        self.store.join(me, gone=gone)
        return me

    async def _changes(self) -> list[ComponentRef[object]]:
        """Read the store, refuse new work where it says so, and return what is to be told."""
        async with self._turn:
            with self._told_once("read"):
                stored = await asyncio.to_thread(self.store.snapshot)
                before, self._known = self._known, stored
                changed = [
                    ref
                    for ref in sorted(before.keys() | stored.keys())
                    if before.get(ref, ACTIVE) != stored.get(ref, ACTIVE)
                ]
                for ref in changed:
                    log_activity(ComponentRef(ref), stored.get(ref, ACTIVE))
                    self.heard(ComponentRef(ref), stored.get(ref, ACTIVE))
                    if ref in stored:
                        self._lifecycle.hold_off(ref, stored[ref])
                return [ComponentRef(ref) for ref in dict.fromkeys((*changed, *self._unmet))]
        return []

    async def _carry_out(self, ref: ComponentRef[object]) -> None:
        """Do what is wanted by now; a resume that fails is logged once and tried again."""
        wanted, told = self._known.get(ref, ACTIVE), self._unmet.get(ref, "")
        try:
            await self._adopt(ref, wanted)
        except ComponentError as error:
            if error.message != told:
                log_activity_phase_failed(ref, error)
        except ClosedError:
            return  # everything is ending, and nothing is let in anyway
        else:
            if wanted.state is ActivityState.ACTIVE:
                await self._resumed(ref)

    async def _adopt(self, ref: ComponentRef[object], wanted: Activity) -> None:
        self._unmet.pop(ref, None)
        try:
            await self._lifecycle.adopt(ref, wanted)
        except ComponentError as error:
            if wanted.state is ActivityState.ACTIVE:
                self._unmet[ref] = error.message
            raise
        if wanted.state is ActivityState.ACTIVE:
            await self._accepted(ref)

    @contextmanager
    def _told_once(self, what: str) -> Iterator[None]:
        """Log that the store fails, once until it works again or fails in another way."""
        try:
            yield
        except StoreError as error:
            if self._troubles.get(what) != error.message:
                log_activity_store_failed(error)
            self._troubles[what] = error.message
        else:
            self._troubles.pop(what, None)
