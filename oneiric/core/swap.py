"""Replace what serves a place by a new instance, in the one order that loses no call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from oneiric.core.candidate import Candidate
from oneiric.core.generation import Generation
from oneiric.core.hooks import HookPoint, SwapContext
from oneiric.core.ref import ComponentRef
from oneiric.core.resolver import Assumption, Resolver
from oneiric.core.roster import Roster
from oneiric.core.slots import Slot
from oneiric.documents.tables import json_table
from oneiric.errors import ComponentError, JSONValue, NoCandidateError, OneiricError

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
            **json_table(self, "ref ok before after generation"),
            "phases_ms": {name: round(ms, 3) for name, ms in self.phases.items()},
            "error": self.error.as_json()["error"] if self.error else None,
            **json_table(self, "failed_phase rolled_back forced"),
            "cleanup_errors": [error.message for error in self.cleanup_errors],
            "duration_ms": round(self.duration_ms, 3),
        }

    def render(self) -> str:
        """Return the report as lines of text."""
        served = self.before or "nobody"
        if self.ok:
            head = f"{self.ref}  {served} -> {self.after}  {self.duration_ms:.2f} ms"
        else:
            what = f"{self.after or 'swap'} {'rolled back' if self.rolled_back else 'refused'}"
            head = f"{self.ref}  {what} in {self.failed_phase}; {served} serves"
        lines = [head]
        if self.error is not None:
            lines += [f"  {self.error.message}", *(f"    {line}" for line in self.error.lines())]
        lines += [f"  drain limit reached: {holder}" for holder in self.forced]
        lines += [f"  cleanup: {error.message}" for error in self.cleanup_errors]
        return "\n".join(lines)


class Swap:
    """One swap of one place. `run` goes through the phases in order:

    resolve, create (init and health included), pre-swap hooks, bind, post-swap hooks, drain,
    probation, cleanup.

    Until bind the old one serves, whatever happens. After bind, failing hooks or a
    failing probation bind the old one again. What *assume* selects is put in force in the
    same step as bind, and taken back with it.
    """

    def __init__(
        self, place: Slot, assume: Assumption, *, resolver: Resolver, roster: Roster
    ) -> None:
        self._place = place
        self._assume = assume
        self._resolver = resolver
        self._roster = roster
        self._builder = roster.builder
        self._started = self._builder.clock.monotonic()
        self.report = SwapReport(place.ref)

    async def run(self, build: Callable[[Candidate], Awaitable[Generation[Any]]]) -> SwapReport:
        """Swap, and report; only bugs and cancellation raise."""
        report, old = self.report, self._place.current
        report.before = old.candidate.provider if old else ""
        try:
            with self._phase("resolve"):
                candidate = self._choose()
            report.after = candidate.provider
            with self._phase("create"):
                new = await build(candidate)
        except OneiricError as error:
            return self._failed(error)
        report.generation = new.number
        before = (old.candidate, old.instance) if old else (None, None)
        context = SwapContext(self._place.ref, candidate, new.instance, *before)
        with self._phase("pre_swap"):
            failure = await self._roster.hooks.run(HookPoint.PRE_SWAP, context)
        if failure is not None:
            self._failed(failure, "pre_swap")
        elif refusal := self._refusal(candidate):
            self._failed(refusal, "resolve")
        if not report.ok:
            new.retire()
            await self._end((new,))
            return report
        await self._bind(new, context)
        return report

    def _choose(self) -> Candidate:
        """Return the winner; where a provider is asked for, nobody else is, failover or not."""
        if not self._assume.select and not self._assume.unselect:
            return self._resolver.resolve(self._place.ref)
        decision = self._resolver.explain(self._place.ref, assume=self._assume)
        winner = decision.chosen()
        for asked in self._assume.select:
            if asked.provider != winner.provider:
                whys = {standing.provider: standing.why for standing in decision.standings}
                raise asked.unknown(whys, whys.get(asked.provider, ""))
        return winner

    def _refusal(self, candidate: Candidate) -> OneiricError | None:
        """Return why *candidate* may not serve any more, if it was excluded meanwhile."""
        excluded = self._resolver.rules.excluded.get(candidate.offer)
        if not excluded:
            return None
        why = next(iter(excluded.values())).detail
        return NoCandidateError(self._place.ref, [(candidate.provider, why)], known=())

    async def _bind(self, new: Generation[Any], context: SwapContext) -> None:
        with self._phase("bind"):
            binding = self._roster.bind(self._place, new)
            unchoose = self._resolver.enforce(self._assume)
        try:
            failure, phase = await self._prove(new, binding.retired, context)
        except asyncio.CancelledError:
            unchoose()
            raise
        if failure is None:
            with self._phase("cleanup"):
                self.report.cleanup_errors += tuple(await self._roster.settle(binding))
            return
        self._failed(failure, phase)
        unchoose()
        loose = binding.undo()
        self._roster.slots.leave_paused(self._place)
        await self._drain(loose)
        await self._end(loose)

    async def _prove(
        self, new: Generation[Any], old: tuple[Generation[Any], ...], context: SwapContext
    ) -> tuple[ComponentError | None, str]:
        """See whether the new one holds while the old ones could still be bound again."""
        with self._phase("post_swap"):
            failure = await self._roster.hooks.run(HookPoint.POST_SWAP, context)
        if failure is not None:
            return failure, "post_swap"
        self.report.duration_ms = self._builder.ms_since(self._started)
        await self._drain(old)
        return await self._probation(new), "probation"

    async def _drain(self, generations: tuple[Generation[Any], ...]) -> None:
        with self._phase("drain"):
            for generation in generations:
                holders = await generation.drained(self._builder.limits.drain)
                if holders:
                    self.report.forced += holders
                    self._builder.observer.forced(generation, holders)

    async def _probation(self, new: Generation[Any]) -> ComponentError | None:
        seconds = self._builder.limits.probation
        if seconds <= 0:
            return None
        with self._phase("probation"):
            await self._builder.clock.sleep(seconds)
            health = await self._builder.check(new)
        return None if health.healthy else new.candidate.failure("probation", health.detail)

    async def _end(self, generations: tuple[Generation[Any], ...]) -> None:
        with self._phase("cleanup"):
            for generation in generations:
                self.report.cleanup_errors += tuple(await self._roster.end(generation))

    def _failed(self, error: OneiricError, phase: str = "") -> SwapReport:
        inside = error.phase if isinstance(error, ComponentError) else ""
        self.report.failed_phase = phase or inside or next(reversed(self.report.phases))
        self.report.error = error
        self.report.duration_ms = self._builder.ms_since(self._started)
        return self.report

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        started = self._builder.clock.monotonic()
        try:
            yield
        finally:
            spent = self._builder.ms_since(started)
            self.report.phases[name] = self.report.phases.get(name, 0.0) + spent
