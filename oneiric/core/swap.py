"""Replace what serves a place by a new instance, in the one order that loses no call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from oneiric.core.hooks import HookPoint, SwapContext
from oneiric.errors import (
    ComponentError,
    JSONValue,
    NoCandidateError,
    OneiricError,
    UnknownSelectionError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oneiric.clock import Clock
    from oneiric.core.build import Builder
    from oneiric.core.candidate import Candidate
    from oneiric.core.generation import Generation
    from oneiric.core.hooks import Hooks
    from oneiric.core.precedence import Selection
    from oneiric.core.ref import ComponentRef
    from oneiric.core.resolver import Assumption, Resolver
    from oneiric.core.slots import Slot

SCHEMA = "oneiric.swap/1"


@dataclass(slots=True)
class SwapReport:
    """What a swap did, phase by phase.

    `failed_phase` and `error` say why it did not hold; whoever served before then still
    serves. `duration_ms` runs from the request until the new one serves for good, without
    the wait for old holders. `forced` names holders that outlived the drain limit.
    """

    ref: ComponentRef[Any]
    before: str = ""
    after: str = ""
    generation: int = 0
    phases: dict[str, float] = field(default_factory=dict)
    failed_phase: str = ""
    error: OneiricError | None = None
    forced: tuple[str, ...] = ()
    cleanup_errors: tuple[OneiricError, ...] = ()
    duration_ms: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the new one serves."""
        return self.error is None

    @property
    def rolled_back(self) -> bool:
        """Whether the new one had been bound before it was found bad."""
        return self.error is not None and "bind" in self.phases

    def as_json(self) -> dict[str, JSONValue]:
        """Return the report as documented in `docs/reference/json.md`."""
        return {
            "schema": SCHEMA,
            "ref": str(self.ref),
            "ok": self.ok,
            "before": self.before,
            "after": self.after,
            "generation": self.generation,
            "phases_ms": {name: round(ms, 3) for name, ms in self.phases.items()},
            "failed_phase": self.failed_phase,
            "error": self.error.as_json()["error"] if self.error else None,
            "rolled_back": self.rolled_back,
            "forced": list(self.forced),
            "cleanup_errors": [error.message for error in self.cleanup_errors],
            "duration_ms": round(self.duration_ms, 3),
        }

    def render(self) -> str:
        """Return the report as lines of text."""
        served = self.before or "nobody"
        if self.ok:
            head = f"{self.ref}  {served} -> {self.after}  {self.duration_ms:.2f} ms"
        else:
            how = "rolled back" if self.rolled_back else "refused"
            head = (
                f"{self.ref}  {self.after or 'swap'} {how} in {self.failed_phase}; {served} serves"
            )
        lines = [head]
        if self.error is not None:
            lines += [f"  {self.error.message}", *(f"    {line}" for line in self.error.lines())]
        lines += [f"  drain limit reached: {holder}" for holder in self.forced]
        lines += [f"  cleanup: {error.message}" for error in self.cleanup_errors]
        return "\n".join(lines)


class Binding:
    """One atomic move of slots to other generations, and the way back.

    Making one binds: every slot of *moves* gets its generation, then *retire* take no
    further holders. Nothing is awaited in between, so that a task sees all or nothing of
    the move, and a thread finds the old generation retired or the new one bound.
    """

    __slots__ = ("_before", "_moves", "new", "retired")

    def __init__(
        self,
        moves: Mapping[Slot, Generation[Any] | None],
        *,
        new: Generation[Any],
        retire: tuple[Generation[Any], ...],
    ) -> None:
        self._moves = moves
        self._before = {slot: slot.current for slot in moves}
        self.new = new
        self.retired = retire
        for slot, generation in moves.items():
            slot.current = generation
        for old in retire:
            old.retire()

    def undo(self) -> tuple[Generation[Any], ...]:
        """Bind what was bound before; return what is retired instead."""
        for old in self.retired:
            old.reinstate()
        displaced = dict.fromkeys((self.new, *(slot.current for slot in self._moves)))
        for slot, before in self._before.items():
            slot.current = before
        kept = {*self.retired, *self._before.values()}
        loose = tuple(g for g in displaced if g is not None and g not in kept)
        for generation in loose:
            generation.retire()
        return loose


class Choice:
    """Whom a swap chooses: the winner under what it assumes.

    `enforce` puts the assumed selections in force and returns the way back.
    """

    __slots__ = ("_assume", "_place", "_resolver")

    def __init__(self, resolver: Resolver, place: str, assume: Assumption) -> None:
        self._resolver = resolver
        self._place = place
        self._assume = assume

    def resolve(self) -> Candidate:
        """Return the winner; raise what `Resolver.resolve` would, if there is none.

        Where a provider is asked for, nobody else is the winner, failover or not.
        """
        if not self._assume.select and not self._assume.unselect:
            return self._resolver.resolve(self._place)
        decision = self._resolver.explain(self._place, assume=self._assume)
        if decision.winner is None:
            assert decision.problem is not None
            raise decision.problem
        for asked in self._assume.select:
            if asked.provider != decision.winner.provider:
                why = {standing.provider: standing.why for standing in decision.standings}
                raise UnknownSelectionError(
                    asked.ref,
                    asked.provider,
                    asked.origin,
                    known=sorted(why),
                    why=why.get(asked.provider, ""),
                )
        return decision.winner

    def refusal(self, candidate: Candidate) -> OneiricError | None:
        """Return why *candidate* may not serve any more, if it was excluded meanwhile."""
        excluded = self._resolver.rules.excluded.get(candidate.offer)
        if not excluded:
            return None
        why = next(iter(excluded.values())).detail
        return NoCandidateError(self._place, [(candidate.provider, why)], known=())

    def enforce(self) -> Callable[[], None]:
        """Select, or unselect, as assumed; calling the result restores what was before."""
        assume = self._assume
        refs = {*assume.unselect, *(choice.ref for choice in assume.select)}
        before = {ref: self._resolver.rules.swapped.get(ref) for ref in refs}
        after = dict.fromkeys(assume.unselect) | {choice.ref: choice for choice in assume.select}
        self._choose(after)
        return partial(self._choose, before)

    def _choose(self, choices: Mapping[str, Selection | None]) -> None:
        for ref, choice in choices.items():
            if choice is None:
                self._resolver.unselect(ref)
            else:
                self._resolver.select(choice)


class SwapHost(Protocol):
    """What a swap needs of the lifecycle."""

    @property
    def builder(self) -> Builder:
        """Who makes, checks and ends instances."""
        ...

    @property
    def clock(self) -> Clock:
        """The source of time."""
        ...

    @property
    def hooks(self) -> Hooks:
        """Who is told before and after a swap, and at cleanup."""
        ...

    def bind(self, place: Slot, new: Generation[Any]) -> Binding:
        """Move *place*, and the offer's own slot, to *new*."""
        ...

    def leave_paused(self, place: Slot) -> None:
        """Unbind *place* from an instance whose offer was paused."""
        ...

    async def end(self, generation: Generation[Any]) -> list[ComponentError]:
        """Clean up a retired instance, with its hooks; return what failed."""
        ...


class Swap:
    """One swap of one place. `run` goes through the phases in order:

    resolve, create (init and health included), pre-swap hooks, bind, post-swap hooks, drain,
    probation, cleanup.

    Until bind the old one serves, whatever happens. After bind, failing hooks or a
    failing probation bind the old one again. The choice is put in force in the same step
    as bind, and taken back with it.
    """

    __slots__ = ("_choice", "_host", "_place", "_started", "report")

    def __init__(self, host: SwapHost, place: Slot, choice: Choice) -> None:
        self._host = host
        self._place = place
        self._choice = choice
        self.report = SwapReport(place.ref)
        self._started = host.clock.monotonic()

    async def run(self, build: Callable[[Candidate], Awaitable[Generation[Any]]]) -> SwapReport:
        """Swap, and report; only bugs and cancellation raise."""
        report, old = self.report, self._place.current
        report.before = old.candidate.provider if old else ""
        try:
            with self._phase("resolve"):
                candidate = self._choice.resolve()
            report.after = candidate.provider
            with self._phase("create"):
                new = await build(candidate)
        except OneiricError as error:
            return self._failed(error)
        report.generation = new.number
        context = SwapContext(
            self._place.ref,
            candidate,
            new.instance,
            old.candidate if old else None,
            old.instance if old else None,
        )
        with self._phase("pre_swap"):
            failure = await self._host.hooks.run(HookPoint.PRE_SWAP, context)
        if failure is not None:
            self._failed(failure, "pre_swap")
        elif refusal := self._choice.refusal(candidate):
            self._failed(refusal, "resolve")
        if not report.ok:
            new.retire()
            await self._end((new,))
            return report
        await self._bind(new, context)
        return report

    async def _bind(self, new: Generation[Any], context: SwapContext) -> None:
        with self._phase("bind"):
            binding, unchoose = self._host.bind(self._place, new), self._choice.enforce()
        try:
            failure, phase = await self._prove(new, binding.retired, context)
        except asyncio.CancelledError:
            unchoose()
            raise
        if failure is None:
            await self._end(binding.retired)
            return
        self._failed(failure, phase)
        unchoose()
        loose = binding.undo()
        self._host.leave_paused(self._place)
        await self._drain(loose)
        await self._end(loose)

    async def _prove(
        self, new: Generation[Any], old: tuple[Generation[Any], ...], context: SwapContext
    ) -> tuple[ComponentError | None, str]:
        """See whether the new one holds while the old ones could still be bound again."""
        with self._phase("post_swap"):
            failure = await self._host.hooks.run(HookPoint.POST_SWAP, context)
        if failure is not None:
            return failure, "post_swap"
        self.report.duration_ms = self._elapsed_ms()
        await self._drain(old)
        return await self._probation(new), "probation"

    async def _drain(self, generations: tuple[Generation[Any], ...]) -> None:
        with self._phase("drain"):
            for generation in generations:
                holders = await generation.drained(self._host.builder.limits.drain)
                if holders:
                    self.report.forced += holders
                    self._host.builder.observer.forced(generation, holders)

    async def _probation(self, new: Generation[Any]) -> ComponentError | None:
        seconds = self._host.builder.limits.probation
        if seconds <= 0:
            return None
        with self._phase("probation"):
            await self._host.clock.sleep(seconds)
            health = await self._host.builder.check(new)
        if health.healthy:
            return None
        candidate = new.candidate
        return ComponentError(candidate.ref, candidate.provider, "probation", health.detail)

    async def _end(self, generations: tuple[Generation[Any], ...]) -> None:
        with self._phase("cleanup"):
            for generation in generations:
                self.report.cleanup_errors += tuple(await self._host.end(generation))

    def _failed(self, error: OneiricError, phase: str = "") -> SwapReport:
        inside = error.phase if isinstance(error, ComponentError) else ""
        self.report.failed_phase = phase or inside or next(reversed(self.report.phases))
        self.report.error = error
        self.report.duration_ms = self._elapsed_ms()
        return self.report

    def _elapsed_ms(self) -> float:
        return (self._host.clock.monotonic() - self._started) * 1000

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        started = self._host.clock.monotonic()
        try:
            yield
        finally:
            spent = (self._host.clock.monotonic() - started) * 1000
            self.report.phases[name] = self.report.phases.get(name, 0.0) + spent
