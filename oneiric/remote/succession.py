"""Have running components follow what is on offer now, one at a time and each in safety."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from oneiric.core.activity import ActivityState
from oneiric.core.candidate import SourceKind
from oneiric.core.ref import ComponentRef
from oneiric.core.swap import SwapReport
from oneiric.errors import ClosedError, JSONValue
from oneiric.remote.disk import in_thread
from oneiric.remote.heap import settling
from oneiric.remote.wheels import WheelFactory, forget_wheel

if TYPE_CHECKING:
    from oneiric.core.candidate import Candidate, Source
    from oneiric.core.lifecycle import LifecycleManager
    from oneiric.core.registry import SourceChange

_AT_ONCE = 8


class Running(Protocol):
    """Who knows which components are up."""

    def places(self) -> Mapping[ComponentRef[Any], Candidate]:
        """Return what serves each place, as far as it is up."""
        ...

    def offers(self) -> Iterable[Candidate]:
        """Return everything that is up, also what serves only who names it."""
        ...


@dataclass(frozen=True, slots=True)
class Succeeded:
    """What became of the running components whose winner changed.

    `swaps` are those that were tried, well or not; `deferred` wait until the component takes
    work again; `orphaned` serve on, though nobody offers them any more; `outdated` serve only
    who asks for them by name, and are offered otherwise now.
    """

    swaps: tuple[SwapReport, ...] = ()
    deferred: tuple[str, ...] = ()
    orphaned: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[SwapReport, ...]:
        """The swaps that did not hold; they are tried again at the next sync."""
        return tuple(report for report in self.swaps if not report.ok)

    def as_json(self) -> dict[str, JSONValue]:
        """Return the references of each kind, and the swaps in full."""
        return {
            "swaps": [report.as_json() for report in self.swaps],
            "deferred": list(self.deferred),
            "orphaned": list(self.orphaned),
            "outdated": list(self.outdated),
        }


class _Decided(NamedTuple):
    """What is to be done about the places that wait: swap, nothing for now, or nothing any more."""

    todo: list[Candidate]
    deferred: tuple[str, ...]
    orphaned: tuple[str, ...]
    settled: list[ComponentRef[Any]]


class Succession:
    """Change what is on offer, and swap the running components that this concerns.

    A component is concerned where its winner changed: another provider, or the same one
    offered otherwise. What cannot follow now is tried again, at the next sync or when its
    component takes work again.

    Args:
        lifecycle: who swaps.
        running: who knows what is up.
    """

    def __init__(self, lifecycle: LifecycleManager, running: Running) -> None:
        self._lifecycle = lifecycle
        self._resolver = lifecycle.resolver
        self._running = running
        self._waiting: dict[ComponentRef[Any], str] = {}
        self._named: dict[str, str] = {}
        self._failed: dict[str, SwapReport] = {}
        self._wheels: set[str] = set()
        self._turn = asyncio.Lock()

    async def replace(
        self, source: Source, candidates: Sequence[Candidate], *, old: Sequence[Candidate] = ()
    ) -> SourceChange:
        """Make *candidates* all that *source* offers instead of *old*; note who has to follow."""
        change, moved = await in_thread(partial(self._replaced, source, candidates))
        self._waiting.update(dict.fromkeys(moved, source.name))
        self._wheels |= _wheels(old) | _wheels(candidates)
        return change

    def _replaced(
        self, source: Source, candidates: Sequence[Candidate]
    ) -> tuple[SourceChange, list[ComponentRef[Any]]]:
        """Replace, and return the running places that have another winner now; it blocks."""
        explain = self._resolver.explain
        with settling():
            before = {ref: explain(ref).winner for ref in self._running.places()}
            change = self._resolver.replace_source(source, candidates)
            moved = [ref for ref, winner in before.items() if explain(ref).winner != winner]
        return change, moved

    async def follow(self, only: str = "") -> Succeeded:
        """Swap who has to follow, or tell why not; with *only* no other place is swapped."""
        async with self._turn:
            decided = await in_thread(self._decided)
            for ref in decided.settled:
                self._waiting.pop(ref, None)
                self._failed.pop(ref, None)
            wanted = [each for each in decided.todo if only in ("", each.ref)]
            slots = asyncio.Semaphore(_AT_ONCE)
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._swapped(each, slots)) for each in wanted]
            reports = [report for task in tasks if (report := task.result()) is not None]
            for report in reports:
                self._failed[report.ref] = report
                if report.ok:
                    del self._failed[report.ref]
                    self._waiting.pop(report.ref, None)
            if self._wheels:
                await in_thread(self._let_go)
        return self._told(decided, tuple(reports))

    def standing(self) -> Succeeded:
        """Return who waits for what, and swap nobody; it may block for as long as that takes."""
        return self._told(self._decided(), tuple(self._failed.values()))

    def cause(self, ref: str) -> str:
        """Return the name of the source whose change concerns a place or an offer, or nothing."""
        named: str = self._named.get(ref, "")
        return self._waiting.get(ComponentRef(ref), named)

    def _decided(self) -> _Decided:
        """Look at each place that waits; it blocks."""
        serving = self._running.places()
        todo: list[Candidate] = []
        settled: list[ComponentRef[Any]] = []
        deferred: list[str] = []
        orphaned: list[str] = []
        for ref in sorted(self._waiting):
            present, winner = serving.get(ref), self._resolver.explain(ref).winner
            if present is None or present == winner:
                settled.append(ref)
            elif winner is None:
                orphaned.append(ref)
            elif self._lifecycle.activity.get(ref).state is not ActivityState.ACTIVE:
                deferred.append(ref)
            else:
                todo.append(winner)
        return _Decided(todo, tuple(deferred), tuple(orphaned), settled)

    async def _swapped(self, winner: Candidate, slots: asyncio.Semaphore) -> SwapReport | None:
        """Swap the winner in; None when everything is ending."""
        async with slots:
            if isinstance(winner.factory, WheelFactory):  # whose import is not for the loop
                builder = self._lifecycle.builder
                loaded = await builder.guard.call(
                    winner.factory.load, limit=builder.limits.create, blocking=True
                )
                if loaded.timed_out:  # it is under way still, and a swap would wait for it
                    return self._refused(winner, loaded.reason)
            try:
                return await self._lifecycle.swap(winner.ref)
            except ClosedError:
                return None

    def _refused(self, winner: Candidate, reason: str) -> SwapReport:
        before = self._lifecycle.status(winner.ref).provider
        error = winner.failure("create", reason)
        return SwapReport(winner.ref, before, winner.provider, failed_phase="create", error=error)

    def _told(self, decided: _Decided, reports: tuple[SwapReport, ...]) -> Succeeded:
        outdated, gone = self._by_name()
        orphaned = tuple(sorted({*decided.orphaned, *gone}))
        return Succeeded(reports, decided.deferred, orphaned, outdated)

    def _by_name(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return what is up for those who name it, offered otherwise now, and not any more."""
        places, registry = self._running.places(), self._resolver.registry
        outdated, gone = set[str](), set[str]()
        for candidate in self._running.offers():
            if candidate.source.kind is not SourceKind.MANIFEST:
                continue
            if places.get(candidate.ref) is candidate:
                continue
            offers = [o for o in registry.offers(candidate.ref) if _is_same_slot(o, candidate)]
            if offers and offers[0] == candidate:
                continue
            self._named[candidate.offer] = candidate.source.name
            (outdated if offers else gone).add(candidate.offer)
        return tuple(sorted(outdated)), tuple(sorted(gone))

    def _let_go(self) -> None:
        """Forget the wheels of which nothing is up or on offer any more; it blocks."""
        registry, used = self._resolver.registry, _wheels(self._running.offers())
        for ref in registry.refs():
            used |= _wheels(registry.offers(ref))
        for sha256 in self._wheels - used:
            forget_wheel(sha256)
        self._wheels &= used


def _is_same_slot(one: Candidate, other: Candidate) -> bool:
    return (one.provider, one.source.id) == (other.provider, other.source.id)


def _wheels(candidates: Iterable[Candidate]) -> set[str]:
    return {each.factory.sha256 for each in candidates if isinstance(each.factory, WheelFactory)}
