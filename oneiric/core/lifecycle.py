"""Bring components up, hold them, swap them under load, and bring them down."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from oneiric.clock import Clock, SystemClock
from oneiric.core.activity import ActivityBoard, ActivityState
from oneiric.core.build import Builder, DefaultSettings, PhaseLimits, SettingsSource
from oneiric.core.decision import Reason, Rejection
from oneiric.core.generation import Generation, LifecycleState
from oneiric.core.handle import Handle, Link, Slot
from oneiric.core.health import HealthReport
from oneiric.core.latency import Latency, LatencySummary
from oneiric.core.precedence import Selection
from oneiric.core.quarantine import Quarantine, QuarantinePolicy
from oneiric.core.ref import ComponentRef
from oneiric.core.resolver import Assumption, Resolver
from oneiric.core.swap import Binding, HookPoint, Swap, SwapContext, SwapReport
from oneiric.errors import (
    ClosedError,
    ComponentError,
    JSONValue,
    NotFoundError,
    OneiricError,
)

if TYPE_CHECKING:
    from oneiric.core.activity import Activity
    from oneiric.core.candidate import Candidate

T = TypeVar("T")
Hook = Callable[[SwapContext], object]
HISTORY = 16


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """How one place stands at this moment, in this process."""

    ref: ComponentRef[Any]
    state: LifecycleState
    provider: str
    generation: int
    in_flight: int
    activity: Activity
    problem: str
    swaps: LatencySummary
    failed_swaps: int

    def as_json(self) -> dict[str, JSONValue]:
        """Return the status as documented in `docs/reference/json.md`."""
        return {
            "ref": str(self.ref),
            "state": str(self.state),
            "provider": self.provider,
            "generation": self.generation,
            "in_flight": self.in_flight,
            "activity": self.activity.as_json(),
            "problem": self.problem,
            "swaps": self.swaps.as_json(),
            "failed_swaps": self.failed_swaps,
        }


@dataclass(frozen=True, slots=True)
class DrainReport:
    """What was in flight when a drain ended: nothing, or the holders that outlived it."""

    ref: ComponentRef[Any]
    in_flight: int
    holders: tuple[str, ...]


class LifecycleManager:
    """Bring up what the resolver chose, lend it out, and replace it without failing a call.

    A manager belongs to the event loop that first activates something. Whatever takes
    time runs in tasks of its own: a caller that is cancelled stops waiting, and the work
    ends in order. Close it, or use it as `async with`.

    Args:
        resolver: who decides.
        settings: where components find their settings; defaults without one.
        limits: seconds for each phase.
        allowed: packages from which a factory named by text may be loaded.
        quarantine: when failing offers are excluded, and for how long.
        clock: the source of time.
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
    ) -> None:
        self.resolver = resolver
        self.clock = clock or SystemClock()
        self.activity = ActivityBoard(self.clock)
        self.builder = Builder(
            limits=limits or PhaseLimits(),
            settings=settings or DefaultSettings(),
            allowed=allowed,
            link=self.link,
        )
        self._quarantine = Quarantine(resolver, quarantine or QuarantinePolicy())
        self._slots: dict[str, Slot] = {}
        self._live: dict[Generation[Any], None] = {}
        self._numbers: dict[str, int] = {}
        self._latencies: dict[str, Latency] = {}
        self._failed_swaps: dict[str, int] = {}
        self._hooks: dict[HookPoint, dict[object, Hook]] = {point: {} for point in HookPoint}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    # -- lending ------------------------------------------------------------------------

    def use(
        self, ref: ComponentRef[T] | str, *, provider: str = "", needs: Iterable[str] = ()
    ) -> Handle[T]:
        """Return a handle whose block holds the component, brought up if need be.

        `async with lifecycle.use("adapter:cache") as cache` gives the instance. With a
        provider it is that one or an error; with needs it is one that has them.

        Raises (on entering):
            NoCandidateError, UnknownSelectionError: nobody may serve.
            PausedError: the component takes no new work.
            ComponentError: it did not come up; the next caller tries anew.
            ClosedError: the manager was closed.
        """
        if needs:
            ref = self.resolver.resolve(ref, provider=provider, needs=needs).offer
        elif provider:
            ref = ComponentRef[Any](ref).offer(provider)
        slot = self._slots.get(ref)
        return Handle(self, slot if slot is not None else self._slot(ref))

    def link(self, ref: ComponentRef[T] | str) -> Link[T]:
        """Return a reference to keep: each of its `use` holds what serves at that time."""
        return Link(self, self._slot(ref))

    async def activate(self, ref: str, *, provider: str = "") -> ComponentStatus:
        """Bring a component up without holding it, and return its status."""
        handle: Handle[Any] = self.use(ref, provider=provider)
        async with handle:
            return self.status(ref)

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
            ClosedError: the manager was closed.
        """
        place = self._slot(ref)
        if place.ref.provider:
            place, provider = self._slot(place.ref.place), provider or place.ref.provider
        chosen = Selection.of(place.ref, provider, origin="swap") if provider else None
        assume = Assumption(
            select=(chosen,) if chosen else (), unselect=(place.ref,) if clear else ()
        )
        return await asyncio.shield(self._own(self._swap(place, assume)))

    async def rollback(self, ref: str) -> SwapReport:
        """Swap back to the provider that served before the last swap.

        Raises:
            NotFoundError: no earlier provider is known.
        """
        place = self._slot(ComponentRef[Any](ref).place)
        if not place.history:
            raise NotFoundError("earlier provider of", place.ref)
        *older, earlier = place.history
        report = await self.swap(place.ref, provider=earlier)
        if report.ok:
            place.history = older
        return report

    async def probe(self, ref: str) -> HealthReport:
        """Ask what serves *ref* whether it is healthy.

        One that fails repeatedly is quarantined; the next best is then swapped in when
        failover is on, and the quarantined one tried again later.
        """
        generation = self._slot(ref).current
        if generation is None:
            return HealthReport(healthy=False, detail="inactive")
        probing: Handle[Any] = Handle(self, self._slot(ref))
        if not probing.take(generation):
            return HealthReport(healthy=False, detail=str(self.activity.get(ref).state))
        try:
            report = await self.builder.check(generation)
        finally:
            generation.let_go(probing)
        if report.healthy:
            self._quarantine.passed(generation.offer)
        elif self._suspect(generation.candidate, report.detail) and self.resolver.rules.failover:
            await self._follow(generation.candidate.ref)
        return report

    async def pause(self, ref: str, *, note: str = "", actor: str = "") -> Activity:
        """Refuse new work at once, then call the component's own `pause`.

        Pausing an offer, `domain:key@provider`, takes it out of resolution.
        """
        return await self._set_activity(ref, ActivityState.PAUSED, note, actor)

    async def resume(self, ref: str, *, actor: str = "") -> Activity:
        """Accept work again, after the component's own `resume`."""
        return await self._set_activity(ref, ActivityState.ACTIVE, "", actor)

    async def drain(
        self, ref: str, *, limit: float | None = None, note: str = "", actor: str = ""
    ) -> DrainReport:
        """Refuse new work and wait until nothing is in flight, at most *limit* seconds."""
        await self._set_activity(ref, ActivityState.DRAINING, note, actor)
        named: ComponentRef[Any] = ComponentRef(ref)
        seconds = self.builder.limits.drain if limit is None else limit
        held = [generation.drained(seconds) for generation in self._of(named)]
        holders = tuple(name for names in await asyncio.gather(*held) for name in names)
        return DrainReport(named, self.in_flight(named), holders)

    def hook(self, point: HookPoint | str, function: Hook) -> Callable[[], None]:
        """Call *function* at every `pre_swap`, `post_swap` or `cleanup`; return its removal.

        A failing `pre_swap` or `post_swap` hook makes the swap fail; a failing `cleanup`
        hook is reported.
        """
        key = object()
        hooks = self._hooks[HookPoint(point)]
        hooks[key] = function
        return lambda: cast("None", hooks.pop(key, None))

    # -- looking ------------------------------------------------------------------------

    def in_flight(self, ref: str) -> int:
        """Return how many holds there are, on the present and on retired instances."""
        return sum(len(generation.holds) for generation in self._of(ComponentRef(ref)))

    def status(self, ref: str) -> ComponentStatus:
        """Return how a component stands in this process."""
        slot = self._slots.get(ref) or Slot(ComponentRef(ref))
        current = slot.current
        latency = self._latencies.get(slot.ref.place)
        return ComponentStatus(
            ref=slot.ref,
            state=self._state(slot),
            provider=current.candidate.provider if current else "",
            generation=current.number if current else 0,
            in_flight=self.in_flight(slot.ref),
            activity=self.activity.get(slot.ref),
            problem=str(slot.problem or ""),
            swaps=(latency or Latency()).summary(),
            failed_swaps=self._failed_swaps.get(slot.ref.place, 0),
        )

    def statuses(self) -> list[ComponentStatus]:
        """Return the status of every place that was touched, sorted."""
        return [self.status(ref) for ref in sorted(self._slots) if "@" not in ref]

    # -- ending -------------------------------------------------------------------------

    async def close(self) -> None:
        """Stop all work of the manager and close every component, dependents first.

        Holders get the drain limit to finish. Closing twice is one closing.

        Raises:
            ExceptionGroup: cleanups failed; everything was closed all the same.
        """
        if self._closed:
            return
        self._closed = True
        for slot in self._slots.values():
            slot.shut = True
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        errors: list[ComponentError] = []
        while self._live:
            wave = [g for g in self._live if not self._is_required(g)] or list(self._live)
            for failed in await asyncio.gather(*map(self._shut_down, wave)):
                errors += failed
        for slot in self._slots.values():
            slot.current = None
        if errors:
            raise ExceptionGroup("components failed while closing", errors)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        if self.__dict__.get("_live"):
            names = ", ".join(sorted({generation.offer for generation in self._live}))
            warnings.warn(
                f"LifecycleManager was not closed; it left {names}", ResourceWarning, stacklevel=2
            )

    # -- what handles and swaps call ----------------------------------------------------

    async def admit(self, slot: Slot, handle: Handle[Any]) -> Generation[Any]:
        """Bring *slot* up if need be and enter *handle*'s hold."""
        self._belong()
        while True:
            self._check_open(slot)
            generation = slot.current
            if generation is not None and handle.take(generation):
                return generation
            self._check_open(slot)
            await self._warm(slot)

    def admit_thread(self, slot: Slot, handle: Handle[Any]) -> Generation[Any]:
        """Let the manager's loop admit a handle of another thread, and wait for it."""
        if self._loop is None or not self._loop.is_running():
            raise ClosedError(
                f"{slot.ref} is not up, and no event loop runs that could bring it up",
                hint="activate something on the loop that shall own the components",
            )
        return asyncio.run_coroutine_threadsafe(self.admit(slot, handle), self._loop).result()

    async def run_hooks(self, point: HookPoint, context: SwapContext) -> ComponentError | None:
        """Call the hooks of *point* in the order they were added; stop at the first failure."""
        for function in tuple(self._hooks[point].values()):
            outcome = await self.builder.guard.call(
                partial(function, context), limit=self.builder.limits.hook
            )
            if outcome.error is not None:
                reason = f"hook {getattr(function, '__qualname__', function)}: {outcome.reason}"
                error = ComponentError(context.ref, context.after.provider, str(point), reason)
                error.__cause__ = outcome.error
                return error
        return None

    def bind(self, place: Slot, new: Generation[Any]) -> Binding:
        """Move *place* and the new offer's slot to *new*; retire what that displaces.

        An instance stays, though not bound to the place, while a component that serves
        requires it by its provider's name.
        """
        offer = self._slot(new.offer)
        moves: dict[Slot, Generation[Any] | None] = {place: new, offer: new}
        retire = [offer.current] if offer.current else []
        old = place.current
        if old is not None and old not in retire and not self._is_pinned(old):
            retire.append(old)
            moves[self._slot(old.offer)] = None
        return Binding(moves, new=new, retire=tuple(retire))

    async def retire(self, generation: Generation[Any]) -> list[ComponentError]:
        """Clean up an instance and call the cleanup hooks; return what failed."""
        self._live.pop(generation, None)
        failed = await self.builder.end(generation)
        candidate = generation.candidate
        context = SwapContext(candidate.ref, candidate, generation.instance)
        hooked = await self.run_hooks(HookPoint.CLEANUP, context)
        return [error for error in (failed, hooked) if error is not None]

    # -- inside -------------------------------------------------------------------------

    def _slot(self, ref: str) -> Slot:
        slot = self._slots.get(ref)
        if slot is None:
            named: ComponentRef[Any] = ComponentRef(ref)
            slot = self._slots.setdefault(named, Slot(named))
            slot.shut = self._closed or not self._accepts(named)
        return slot

    def _accepts(self, ref: ComponentRef[Any]) -> bool:
        return self.activity.get(ref).state is ActivityState.ACTIVE

    def _check_open(self, slot: Slot) -> None:
        if self._closed:
            raise ClosedError(f"{slot.ref}: the lifecycle was closed")
        if slot.shut:
            self.activity.check(slot.ref)

    def _belong(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            raise ClosedError(
                "this lifecycle belongs to another event loop",
                hint="use it from that loop, or from threads with a plain with-block",
            )

    def _own(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run *coroutine* in a task of the manager's."""
        self._belong()
        if self._closed:
            coroutine.close()
            raise ClosedError("the lifecycle was closed")
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        """Drop an ended task; its error, if any, is kept with what it was for."""
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()

    async def _warm(self, slot: Slot) -> None:
        """Wait for the one activation of *slot*; each waiter gets an error of its own."""
        if slot.warming is None:
            slot.warming = self._own(self._activate(slot))
        task = slot.warming
        await asyncio.wait({task})
        if task.cancelled():
            raise ClosedError(f"{slot.ref}: the lifecycle was closed")
        error = task.exception()
        if isinstance(error, OneiricError):
            raise error.again() from error
        if error is not None:
            raise error

    async def _activate(self, slot: Slot) -> None:
        try:
            async with slot.lock:
                if slot.current is not None and not slot.current.retired:
                    return
                candidate = self.resolver.resolve(slot.ref)
                if slot.ref.provider:
                    slot.current = await self._build(candidate)
                else:
                    offer = self._slot(candidate.offer)
                    if offer.current is None:
                        await self._warm(offer)
                    slot.current = offer.current
                slot.problem = None
        except OneiricError as error:
            slot.problem = error
            raise
        finally:
            slot.warming = None

    async def _build(self, candidate: Candidate) -> Generation[Any]:
        number = self._numbers[candidate.ref] = self._numbers.get(candidate.ref, 0) + 1
        try:
            generation = await self.builder.build(candidate, number)
        except ComponentError as error:
            self._suspect(candidate, error.reason)
            raise
        self._quarantine.passed(candidate.offer)
        self._live[generation] = None
        return generation

    async def _swap(self, place: Slot, assume: Assumption) -> SwapReport:
        async with place.lock:
            old = place.current
            resolve = partial(self._resolve, place, assume)
            swap = Swap(self, place, partial(self._select, assume))
            report = await swap.run(resolve, self._build_for_swap)
        if report.ok:
            latency = self._latencies.setdefault(place.ref, Latency())
            latency.add(report.duration_ms)
            place.problem = None
            if old is not None and report.before != report.after:
                place.history = [*place.history, report.before][-HISTORY:]
        else:
            place.problem = report.error
            self._failed_swaps[place.ref] = self._failed_swaps.get(place.ref, 0) + 1
        return report

    def _resolve(self, place: Slot, assume: Assumption) -> Candidate:
        if not assume.select and not assume.unselect:
            return self.resolver.resolve(place.ref)
        decision = self.resolver.explain(place.ref, assume=assume)
        if decision.winner is None:
            assert decision.problem is not None
            raise decision.problem
        return decision.winner

    def _select(self, assume: Assumption) -> Callable[[], None]:
        """Put the selection that a swap assumed in force; return the way back."""
        refs = {*assume.unselect, *(choice.ref for choice in assume.select)}
        before = {ref: self.resolver.rules.swapped.get(ref) for ref in refs}
        for choice in assume.select:
            self.resolver.select(choice)
        for ref in assume.unselect:
            self.resolver.unselect(ref)
        return partial(self._reselect, before)

    def _reselect(self, before: Mapping[str, Selection | None]) -> None:
        for ref, choice in before.items():
            if choice is None:
                self.resolver.unselect(ref)
            else:
                self.resolver.select(choice)

    async def _build_for_swap(self, candidate: Candidate) -> Generation[Any]:
        async with self._slot(candidate.offer).lock:
            return await self._build(candidate)

    def _is_pinned(self, generation: Generation[Any]) -> bool:
        return any(
            generation.offer in other.candidate.requires.values()
            for other in self._live
            if other is not generation and not other.retired
        )

    def _is_required(self, generation: Generation[Any]) -> bool:
        """Tell whether a component that is still up may call this one."""
        names = (generation.offer, generation.candidate.ref)
        return any(
            required in names
            for other in self._live
            if other is not generation
            for required in other.candidate.requires.values()
        )

    async def _shut_down(self, generation: Generation[Any]) -> list[ComponentError]:
        if not generation.retired:
            generation.retire()
        await generation.drained(self.builder.limits.drain)
        return await self.retire(generation)

    def _of(self, ref: ComponentRef[Any]) -> list[Generation[Any]]:
        return [g for g in self._live if ref in (g.candidate.ref, g.offer)]

    def _state(self, slot: Slot) -> LifecycleState:
        if self._closed:
            return LifecycleState.CLOSED
        if slot.current is not None:
            return slot.current.state
        if slot.warming is not None:
            return LifecycleState.ACTIVATING
        return LifecycleState.FAILED if slot.problem else LifecycleState.INACTIVE

    def _suspect(self, candidate: Candidate, reason: str) -> bool:
        """Count a failure of *candidate*; tell whether that put it into quarantine."""
        seconds = self._quarantine.failed(candidate.offer, reason)
        if seconds and not self._closed:
            self._own(self._retry(candidate, seconds))
        return seconds > 0

    async def _retry(self, candidate: Candidate, seconds: float) -> None:
        """Let a quarantined offer be tried again later, and follow if it wins then."""
        await self.clock.sleep(seconds)
        self._quarantine.release(candidate.offer)
        if self._slot(candidate.ref).current is not None and self.resolver.rules.failover:
            await self._follow(candidate.ref)

    async def _follow(self, ref: ComponentRef[Any]) -> None:
        """Swap a place if resolution now chooses another provider than the one that serves."""
        place = self._slot(ref)
        winner = self.resolver.explain(ref).winner
        current = place.current
        if winner is not None and current is not None and winner is not current.candidate:
            await self.swap(ref)

    async def _set_activity(
        self, ref: str, state: ActivityState, note: str, actor: str
    ) -> Activity:
        named: ComponentRef[Any] = ComponentRef(ref)
        generation = self._slot(named).current
        if state is ActivityState.ACTIVE and generation is not None:
            failed = await self.builder.phase(generation, "resume")
            if failed is not None:
                raise failed
        activity = self.activity.set(named, state, note=note, actor=actor)
        if named.provider:
            self._exclude(named, activity)
        for slot in self._slots.values():
            if slot.ref.place == named.place:
                slot.shut = self._closed or not self._accepts(slot.ref)
        if state is ActivityState.PAUSED and generation is not None:
            failed = await self.builder.phase(generation, "pause")
            if failed is not None:
                raise failed
        return activity

    def _exclude(self, offer: ComponentRef[Any], activity: Activity) -> None:
        """Take a paused offer out of resolution, and its place off it if another may serve."""
        if activity.state is ActivityState.ACTIVE:
            self.resolver.admit(offer)
            return
        note = f": {activity.note}" if activity.note else ""
        self.resolver.exclude(offer, Rejection(Reason.PAUSED, f"{activity.state}{note}"))
        place = self._slot(offer.place)
        if place.current is not None and place.current.offer == offer:
            place.current = None
