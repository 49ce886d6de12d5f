"""Bring components up, hold them, swap them under load, and bring them down."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Self, TypeVar, overload

from oneiric.clock import Clock, SystemClock
from oneiric.core.activity import ACTIVE, Activity, ActivityBoard, ActivityState
from oneiric.core.build import Builder, DefaultSettings, PhaseLimits, SettingsSource
from oneiric.core.candidate import Candidate
from oneiric.core.decision import Reason, Rejection
from oneiric.core.generation import Generation, LifecycleState
from oneiric.core.handle import Gate, Handle, Link
from oneiric.core.health import HealthReport
from oneiric.core.hooks import Hook, HookPoint
from oneiric.core.observer import Observer
from oneiric.core.precedence import Selection
from oneiric.core.quarantine import Quarantine, QuarantinePolicy
from oneiric.core.ref import ComponentRef
from oneiric.core.resolver import Assumption, Resolver
from oneiric.core.roster import Roster
from oneiric.core.slots import Slot, Slots
from oneiric.core.status import ComponentStatus, DrainReport
from oneiric.core.swap import Swap, SwapReport
from oneiric.errors import ClosedError, ComponentError, InvalidError, NotFoundError, OneiricError
from oneiric.kept import Kept

T = TypeVar("T")


class LifecycleManager:
    """Bring up what the resolver chose, lend it out, and replace it without failing a call.

    A manager belongs to the event loop that enters it or first activates something.
    Whatever takes time runs in tasks of its own: a caller that is cancelled stops waiting,
    and the work ends in order. Close it, or use it as `async with`.

    Args:
        resolver: who decides.
        settings: where components find their settings; defaults without one.
        limits: seconds for each phase.
        allowed: packages from which a factory named by text may be loaded.
        quarantine: when failing offers are excluded, and for how long.
        clock: the source of time.
        observer: who is told what happens, such as a log.
    """

    def __init__(
        self,
        resolver: Resolver,
        *,
        settings: SettingsSource | None = None,
        limits: PhaseLimits | None = None,
        allowed: Iterable[str] = ("oneiric",),
        quarantine: QuarantinePolicy | None = None,
        clock: Clock | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.resolver = resolver
        self.clock = clock or SystemClock()
        self.activity = ActivityBoard()
        self.builder = Builder(
            limits=limits or PhaseLimits(),
            settings=settings or DefaultSettings(),
            allowed=tuple(allowed),
            link=self.link,
            clock=self.clock,
            observer=observer or Observer(),
        )
        self._quarantine = Quarantine(resolver, quarantine or QuarantinePolicy())
        self._slots = Slots(self.activity)
        self._roster = Roster(self._slots, self.builder)
        self._gate = Gate(self._admit)
        self._numbers: dict[str, int] = {}
        self._tasks = Kept()
        self._closing: asyncio.Task[list[ComponentError]] | None = None

    # -- lending ------------------------------------------------------------------------

    @overload
    def use(
        self, ref: ComponentRef[T], *, provider: str = "", needs: Iterable[str] = ()
    ) -> Handle[T]: ...
    @overload
    def use(self, ref: str, *, provider: str = "", needs: Iterable[str] = ()) -> Handle[Any]: ...
    def use(self, ref: str, *, provider: str = "", needs: Iterable[str] = ()) -> Handle[Any]:
        """Return a handle whose block holds the component, brought up if need be.

        `async with lifecycle.use("adapter:cache") as cache` gives the instance. With a
        provider it is that one or an error; with needs it is one that has them.

        Raises (on entering, unless it is clear before):
            NoCandidateError, UnknownSelectionError: nobody may serve.
            PausedError: the component takes no new work.
            ComponentError: it did not come up; the next caller tries anew.
            ClosedError: the manager was closed.
        """
        if self._closing is not None:
            raise _closed(ref)
        if needs:
            ref = self.resolver.resolve(ref, provider=provider, needs=needs).offer
        elif provider:
            ref = ComponentRef[Any](ref).offer(provider)
        return Handle(self._gate, self._slots[ref])

    @overload
    def link(self, ref: ComponentRef[T]) -> Link[T]: ...
    @overload
    def link(self, ref: str) -> Link[Any]: ...
    def link(self, ref: str) -> Link[Any]:
        """Return a reference to keep: each of its `use` holds what serves at that time."""
        return Link(self._gate, self._slots[ref])

    async def activate(self, ref: str, *, provider: str = "") -> ComponentStatus:
        """Bring a component up without holding it, and return its status."""
        named = ComponentRef[Any](ref).offer(provider) if provider else ref
        async with self.use(named):
            return self.status(named)

    # -- changing -----------------------------------------------------------------------

    async def swap(self, ref: str, *, provider: str = "", clear: bool = False) -> SwapReport:
        """Replace what serves a place by a new instance, the new one up before the old goes.

        With *provider* that one is selected from then on; with *clear* the selection of an
        earlier swap ends; with neither a new instance of whoever resolution chooses. If the
        swap does not hold, the one before serves on, the selection is as it was, and the
        report says in which phase it failed and why. A cancelled caller stops waiting; the
        swap itself ends in order.

        Raises:
            InvalidRefError: *ref* is not `domain:key`.
            InvalidError: both *provider* and *clear* were given.
            ClosedError: the manager was closed.
        """
        named = ComponentRef[Any](ref)
        place, chosen = self._slots[named.place], provider or named.provider
        if chosen and clear:
            raise InvalidError(f"a swap of {place.ref} selects {chosen} or clears, not both")
        select = (Selection.of(place.ref, chosen, origin="swap"),) if chosen else ()
        assume = Assumption(select=select, unselect=(place.ref,) if clear else ())
        return await self._outcome(self._own(self._swap(place, assume)))

    async def renew(self, ref: str) -> SwapReport:
        """Replace what serves *ref* by a new instance of whoever it names; nobody is selected.

        So an offer that is up beside the one that serves its place stays beside it. All else is
        as for `swap`.
        """
        return await self._outcome(self._own(self._swap(self._slots[ref], Assumption())))

    async def rollback(self, ref: str) -> SwapReport:
        """Swap back to the provider that served before the last swap.

        Raises:
            NotFoundError: no earlier provider is known.
        """
        place = self._slots[ComponentRef[Any](ref).place]
        if not place.swaps.earlier:
            raise NotFoundError("earlier provider of", place.ref)
        *before, earlier = place.swaps.earlier
        assume = Assumption(select=(Selection.of(place.ref, earlier, origin="swap"),))
        return await self._outcome(self._own(self._swap(place, assume, earlier=tuple(before))))

    async def probe(self, ref: str) -> HealthReport:
        """Ask what serves *ref* whether it is healthy.

        One that fails repeatedly is quarantined; the next best is then swapped in when
        failover is on, and the quarantined one tried again later.
        """
        self._gate.own()
        slot = self._slots[ref]
        generation = slot.current
        if generation is None or slot.shut:
            state = self._state(slot) if generation is None else self.activity.get(ref).state
            return HealthReport(healthy=False, detail=str(state))
        async with Handle(self._gate, slot):
            report = await self.builder.check(generation)
        if report.healthy:
            self._quarantine.passed(generation.offer)
        elif self._suspect(generation.candidate, report.detail) and self.resolver.rules.failover:
            await self._follow(generation.candidate.ref)
        return report

    async def pause(self, ref: str, *, note: str = "", actor: str = "") -> Activity:
        """Refuse new work at once, then call the component's own `pause`.

        Pausing an offer, `domain:key@provider`, takes it out of resolution, and the next
        best serves.

        Raises:
            NotFoundError: nobody offers it, and it is neither up nor paused.
            ComponentError: the component's `pause` failed; new work is refused all the same.
        """
        activity = Activity(ActivityState.PAUSED, note, actor, self.clock.now())
        await self._refuse(self._known(ref), activity)
        return activity

    async def resume(self, ref: str, *, actor: str = "") -> Activity:
        """Accept work again, after the component's own `resume`.

        An offer competes again, and serves again if it wins.

        Raises:
            NotFoundError: as in `pause`.
            ComponentError: the component's `resume` failed; new work is still refused.
        """
        return await self._accept(self._known(ref))

    async def drain(
        self, ref: str, *, limit: float | None = None, note: str = "", actor: str = ""
    ) -> DrainReport:
        """Refuse new work and wait until nothing is in flight, at most *limit* seconds.

        Raises:
            NotFoundError: as in `pause`.
        """
        activity = Activity(ActivityState.DRAINING, note, actor, self.clock.now())
        await self._refuse(self._known(ref), activity)
        return await self.drained(ref, limit=limit)

    async def drained(self, ref: str, *, limit: float | None = None) -> DrainReport:
        """Wait until nothing of *ref* is in flight, at most *limit* seconds; refuse nothing."""
        named = ComponentRef[Any](ref)
        seconds = self.builder.limits.drain if limit is None else limit
        held = [generation.drained(seconds) for generation in self._roster.of(named)]
        holders = tuple(name for names in await asyncio.gather(*held) for name in names)
        return DrainReport(named, self.in_flight(named), holders)

    async def adopt(self, ref: str, activity: Activity) -> None:
        """Take *activity* over as it was decided elsewhere, whether or not anybody offers *ref*.

        It does what `pause` and `resume` do, or what `drain` does before it waits.

        Raises:
            ComponentError: as in `pause` and `resume`.
        """
        self._gate.own()
        slot = self._slots[ref]
        if activity.state is ActivityState.ACTIVE:
            await self._accept(slot)
        else:
            await self._refuse(slot, activity)

    def hold_off(self, ref: str, activity: Activity) -> None:
        """Refuse new work as *activity* says; for before anything is up, when nobody need be told.

        It needs no running loop.
        """
        slot = self._slots[ref]
        self._slots.set_activity(slot.ref, activity)
        if slot.ref.provider:
            self.resolver.exclude(slot.ref, Rejection(Reason.PAUSED, str(activity)))
            self._slots.leave_paused(self._slots[slot.ref.place])

    def check_known(self, ref: str) -> None:
        """Pass if *ref* is on offer, up, or not active already.

        Raises:
            NotFoundError: it is none of these; carries what there is.
        """
        named, registry = ComponentRef[Any](ref), self.resolver.registry
        if not self._is_known(named):
            offers = [one.offer for one in registry.offers(named)]
            raise NotFoundError("component", named, known=offers or registry.refs())

    def hook(self, point: HookPoint | str, function: Hook) -> Callable[[], None]:
        """Call *function* at every `pre_swap`, `post_swap` or `cleanup`; return its removal.

        A failing `pre_swap` or `post_swap` hook makes the swap fail; a failing `cleanup`
        hook is reported.
        """
        return self._roster.hooks.add(HookPoint(point), function)

    # -- looking ------------------------------------------------------------------------

    def in_flight(self, ref: str) -> int:
        """Return how many holds there are, on the present and on retired instances."""
        return sum(len(generation.holds) for generation in self._roster.of(ComponentRef(ref)))

    def holders(self, ref: str) -> tuple[str, ...]:
        """Return who holds them: tasks with where they stand, threads."""
        ones = self._roster.of(ComponentRef(ref))
        return tuple(name for generation in ones for name in generation.holders())

    def status(self, ref: str) -> ComponentStatus:
        """Return how a component stands in this process."""
        slot = self._slots.get(ref) or Slot(ComponentRef(ref))
        place = self._slots.get(slot.ref.place, slot)
        current = slot.current
        return ComponentStatus(
            ref=slot.ref,
            state=self._state(slot),
            provider=current.candidate.provider if current else "",
            generation=current.number if current else 0,
            in_flight=self.in_flight(slot.ref),
            activity=self.activity.get(slot.ref),
            problem=slot.problem,
            swaps=place.swaps.latency.summary(),
            failed_swaps=place.swaps.failed,
            forced_drains=place.swaps.forced,
        )

    def statuses(self) -> list[ComponentStatus]:
        """Return the status of every place that was touched and is known, sorted."""
        places = (ref for ref in sorted(self._slots) if "@" not in ref)
        return [self.status(ref) for ref in places if self._is_known(ComponentRef(ref))]

    # -- ending -------------------------------------------------------------------------

    async def close(self) -> None:
        """Stop all work of the manager and close every component, dependents first.

        New work is refused at once; holders get the drain limit to finish, and may use
        their links until then. Closing twice is one closing, and a cancelled caller only
        stops waiting for it.

        Raises:
            ExceptionGroup: cleanups failed, or an instance was still held; everything was
                closed all the same. Raised once, however many callers there are.
        """
        loop = self._gate.own()
        if self._closing is None:
            self._closing = loop.create_task(self._close())
        await asyncio.wait({self._closing})
        failed = self._closing.result()
        errors = failed.copy()
        failed.clear()
        if errors:
            raise ExceptionGroup("components failed while closing", errors)

    async def __aenter__(self) -> Self:
        self._gate.own()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.close()

    def __del__(self) -> None:
        if left := {generation.offer for generation in self.__dict__.get("_roster", ())}:
            what = f"LifecycleManager was not closed; it left {', '.join(sorted(left))}"
            warnings.warn(what, ResourceWarning, stacklevel=2)

    # -- inside: slots and tasks --------------------------------------------------------

    def _state(self, slot: Slot) -> LifecycleState:
        if self._closing is not None:
            return LifecycleState.CLOSED
        if slot.current is not None:
            return slot.current.state
        if slot.warming is not None:
            return LifecycleState.ACTIVATING
        return LifecycleState.FAILED if slot.problem else LifecycleState.INACTIVE

    def _own(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run *coroutine* in a task of the manager's."""
        try:
            self._gate.own()
            if self._closing is not None:
                raise ClosedError("the lifecycle was closed")
        except ClosedError:
            coroutine.close()
            raise
        return self._tasks.start(coroutine)

    async def _outcome(self, task: asyncio.Task[T]) -> T:
        """Wait for a task of the manager's; each waiter gets an error of its own."""
        await asyncio.wait({task})
        if task.cancelled():
            raise ClosedError("the lifecycle was closed")
        error = task.exception()
        if isinstance(error, OneiricError):
            raise error.again() from error
        return task.result()

    # -- inside: up and down ------------------------------------------------------------

    async def _admit(self, slot: Slot, handle: Handle[Any]) -> Generation[Any]:
        """Bring *slot* up if need be and enter *handle*'s hold."""
        self._gate.own()
        while True:
            if self._closing is not None:
                raise _closed(slot.ref)
            if slot.shut:
                self.activity.check(slot.ref)
            generation = slot.current
            if generation is not None and handle.take(generation):
                return generation
            await self._warm(slot)

    async def _warm(self, slot: Slot) -> None:
        """Wait for the one activation of *slot*."""
        if slot.warming is None:
            slot.warming = self._own(self._activate(slot))
            slot.warming.add_done_callback(slot.warmed)
        await self._outcome(slot.warming)

    async def _activate(self, slot: Slot) -> None:
        try:
            async with slot.lock:
                if slot.current is not None and not slot.current.retired:
                    return
                candidate = self.resolver.resolve(slot.ref)
                if slot.ref.provider:
                    await self._fill(slot, await self._build(candidate))
                else:
                    offer = self._slots[candidate.offer]
                    if offer.current is None:
                        await self._warm(offer)
                    slot.current = offer.current
                    self._slots.leave_paused(slot)
                slot.problem = ""
        except OneiricError as error:
            slot.problem = str(error)
            raise

    async def _fill(self, slot: Slot, new: Generation[Any]) -> None:
        """Give an offer's slot its instance, unless a swap filled it meanwhile."""
        if slot.current is None:
            slot.current = new
        else:
            new.retire()
            await self._roster.end(new)

    async def _build(self, candidate: Candidate) -> Generation[Any]:
        number = self._numbers[candidate.ref] = self._numbers.get(candidate.ref, 0) + 1
        try:
            generation = await self.builder.build(candidate, number)
        except ComponentError as error:
            self._suspect(candidate, error.reason)
            raise
        self._quarantine.started(candidate.offer)
        self._roster.enter(generation)
        return generation

    async def _build_for_swap(self, candidate: Candidate) -> Generation[Any]:
        async with self._slots[candidate.offer].lock:
            return await self._build(candidate)

    async def _swap(
        self, place: Slot, assume: Assumption, *, earlier: tuple[str, ...] | None = None
    ) -> SwapReport:
        async with self._slots[place.ref.place].lock:
            swap = Swap(place, assume, resolver=self.resolver, roster=self._roster)
            report = await swap.run(self._build_for_swap)
            place.problem = str(report.error or "")
            place.swaps.add(report, earlier=earlier)
            self.builder.observer.swapped(report)
        return report

    async def _close(self) -> list[ComponentError]:
        for task in self._tasks - self._roster.ending:
            task.cancel()
        await self._tasks.settle()
        errors = await self._roster.close()
        await self.builder.guard.settle(self.builder.limits.cleanup)
        for slot in tuple(self._slots.values()):
            slot.current = None
        return errors

    # -- inside: quarantine and activity ------------------------------------------------

    def _suspect(self, candidate: Candidate, reason: str) -> bool:
        """Count a failure of *candidate*; tell whether that put it into quarantine."""
        seconds = self._quarantine.failed(candidate.offer, reason)
        if seconds and self._closing is None:
            self.builder.observer.quarantined(candidate, reason, seconds)
            self._own(self._retry(candidate, seconds))
        return seconds > 0

    async def _retry(self, candidate: Candidate, seconds: float) -> None:
        """Let a quarantined offer be tried again later, and follow if it wins then."""
        await self.clock.sleep(seconds)
        self._quarantine.release(candidate.offer)
        await self._follow(candidate.ref)

    async def _follow(self, ref: ComponentRef[Any]) -> None:
        """Swap a place if resolution now chooses another than the one that serves."""
        current = self._slots[ref].current
        winner = self.resolver.explain(ref).winner
        if current is not None and winner is not None and winner != current.candidate:
            await self.swap(ref)

    def _is_known(self, ref: ComponentRef[Any]) -> bool:
        """Tell whether *ref* is on offer, up, or not active already."""
        is_offered = any(ref in (one.ref, one.offer) for one in self.resolver.registry.offers(ref))
        return is_offered or ref in self.activity or bool(self._roster.of(ref))

    def _known(self, ref: str) -> Slot:
        """Return the slot of a known reference, to refuse or accept its work."""
        self._gate.own()
        if self._closing is not None:
            raise _closed(ref)
        self.check_known(ref)
        return self._slots[ref]

    async def _refuse(self, slot: Slot, activity: Activity) -> None:
        """Take no new work from now on; a pause is told to what serves."""
        self.hold_off(slot.ref, activity)
        if activity.state is ActivityState.PAUSED:
            await self._outcome(self._own(self._tell(slot, "pause")))

    async def _accept(self, slot: Slot) -> Activity:
        asked = self.activity.get(slot.ref)
        return await self._outcome(self._own(self._resume(slot, asked)))

    async def _resume(self, slot: Slot, asked: Activity) -> Activity:
        await self._tell(slot, "resume")
        if self.activity.get(slot.ref) is asked:
            self._slots.set_activity(slot.ref, ACTIVE)
            if slot.ref.provider:
                self.resolver.admit(slot.ref, reason=Reason.PAUSED)
                await self._follow(slot.ref.place)
        return self.activity.get(slot.ref)

    async def _tell(self, slot: Slot, phase: str) -> None:
        """Call `pause` or `resume` of what serves, in the order in which they were asked for."""
        async with slot.turn:
            if slot.current is not None:
                failed = await self.builder.phase(slot.current, phase)
                if failed is not None:
                    raise failed


def _closed(ref: str) -> ClosedError:
    return ClosedError(f"{ref}: the lifecycle was closed")
