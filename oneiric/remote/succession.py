"""Have running components follow what is on offer now, one at a time and each in safety."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from oneiric.core.activity import ActivityState
from oneiric.core.candidate import SourceKind
from oneiric.core.generation import LifecycleState
from oneiric.core.ref import ComponentRef
from oneiric.core.swap import SwapReport
from oneiric.errors import ClosedError, JSONValue, OneiricError
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
    who asks for them by name, and are offered otherwise now. `causes` are the names of the
    sources that these come from.
    """

    swaps: tuple[SwapReport, ...] = ()
    deferred: tuple[str, ...] = ()
    orphaned: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()
    causes: Mapping[str, str] = field(default_factory=dict)

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


@dataclass(frozen=True, slots=True)
class _Decided:
    """What is to be done about what is up: swap these, nothing for now, or never; because of whom.

    Each is a reference to the name of a source.
    """

    todo: dict[str, str] = field(default_factory=dict)
    deferred: dict[str, str] = field(default_factory=dict)
    orphaned: dict[str, str] = field(default_factory=dict)


class Succession:
    """Change what is on offer, and swap the running components that this concerns.

    A component is concerned where another is the winner than the one that serves, another
    provider or the same one offered otherwise, and either comes from a manifest. Nothing of
    that is kept in mind: what cannot follow now is found again at the next sync, or when its
    component takes work again.

    Args:
        lifecycle: who swaps.
        running: who knows what is up.
    """

    def __init__(self, lifecycle: LifecycleManager, running: Running) -> None:
        self._lifecycle = lifecycle
        self._resolver = lifecycle.resolver
        self._running = running
        self._changed: set[str] = set()
        self._failed: dict[str, SwapReport] = {}
        self._wheels: set[str] = set()
        self._turn = asyncio.Lock()

    async def replace(
        self, source: Source, candidates: Sequence[Candidate], *, old: Sequence[Candidate] = ()
    ) -> SourceChange:
        """Make *candidates* all that *source* offers instead of *old*."""
        self._wheels |= _wheels(old) | _wheels(candidates)
        return await in_thread(partial(self._replaced, source, candidates))

    def _replaced(self, source: Source, candidates: Sequence[Candidate]) -> SourceChange:
        with settling():
            change = self._resolver.replace_source(source, candidates)
        for offers in (change.added, change.changed, change.removed):
            self._changed.update(offer.rpartition("@")[0] for offer in offers)
        return change

    async def follow(self, only: str = "") -> Succeeded:
        """Swap who has to follow, or tell why not; with *only* no other place is swapped."""
        async with self._turn:
            await self._come_up()
            decided = await in_thread(self._decided)
            wanted = [ref for ref in decided.todo if only in ("", ref)]
            slots = asyncio.Semaphore(_AT_ONCE)
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._swapped(ref, slots)) for ref in wanted]
            reports = [report for task in tasks if (report := task.result()) is not None]
            before = (each for each in self._failed.values() if each.ref in decided.todo)
            latest = {str(each.ref): each for each in (*before, *reports)}
            self._failed = {ref: each for ref, each in latest.items() if not each.ok}
            if self._wheels:
                await in_thread(self._let_go)
            return await in_thread(partial(self._told, decided, tuple(reports)))

    def standing(self) -> Succeeded:
        """Return who waits for what, and swap nobody; it may block for as long as that takes."""
        return self._told(self._decided(), tuple(self._failed.values()))

    def wheels(self) -> set[str]:
        """Return the digests of the wheels of which something is up."""
        return _wheels(self._running.offers())

    async def _come_up(self) -> None:
        """Wait for what is coming up: it may have been chosen before its place changed."""
        changed, self._changed = self._changed, set()
        for status in self._lifecycle.statuses() if changed else ():
            if status.state is LifecycleState.ACTIVATING and status.ref in changed:
                with suppress(OneiricError):
                    await self._lifecycle.activate(status.ref)

    def _decided(self) -> _Decided:
        """Look at each place that is up; it blocks."""
        found, registry = _Decided(), self._resolver.registry
        places = self._running.places()
        for ref in sorted(places):
            present = places[ref]
            winner = self._winner(ref)
            cause = _cause(winner, present)
            if winner == present or not cause:
                continue
            if winner is not None:
                is_active = self._lifecycle.activity.get(ref).state is ActivityState.ACTIVE
                (found.todo if is_active else found.deferred)[ref] = cause
            elif present not in registry.offers(ref):  # else it is only kept from serving
                found.orphaned[ref] = cause
        return found

    def _winner(self, ref: str) -> Candidate | None:
        try:
            return self._resolver.resolve(ref)
        except OneiricError:  # nobody may serve
            return None

    async def _swapped(self, ref: str, slots: asyncio.Semaphore) -> SwapReport | None:
        """Swap the winner in; None when everything is ending."""
        async with slots:
            with suppress(ClosedError):
                return await self._lifecycle.swap(ref)
        return None

    def _told(self, decided: _Decided, reports: tuple[SwapReport, ...]) -> Succeeded:
        outdated, gone = self._by_name()
        return Succeeded(
            reports,
            tuple(decided.deferred),
            tuple(sorted({*decided.orphaned, *gone})),
            tuple(sorted(outdated)),
            {**outdated, **gone, **decided.orphaned, **decided.deferred, **decided.todo},
        )

    def _by_name(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return what is up for those who name it, offered otherwise now, and not any more."""
        places, registry = self._running.places(), self._resolver.registry
        outdated, gone = dict[str, str](), dict[str, str]()
        for candidate in self._running.offers():
            if candidate.source.kind is not SourceKind.MANIFEST:
                continue
            if places.get(candidate.ref) is candidate:
                continue
            offers = [o for o in registry.offers(candidate.ref) if _is_same_slot(o, candidate)]
            if not offers or offers[0] != candidate:
                (outdated if offers else gone)[candidate.offer] = candidate.source.name
        return outdated, gone

    def _let_go(self) -> None:
        """Forget the wheels of which nothing is up or on offer any more; it blocks."""
        registry, used = self._resolver.registry, self.wheels()
        for ref in registry.refs():
            used |= _wheels(registry.offers(ref))
        for sha256 in self._wheels - used:
            forget_wheel(sha256)
        self._wheels &= used


def _cause(*candidates: Candidate | None) -> str:
    """Return the name of the source that the first of *candidates* from a manifest comes from."""
    sources = (each.source for each in candidates if each is not None)
    return next((each.name for each in sources if each.kind is SourceKind.MANIFEST), "")


def _is_same_slot(one: Candidate, other: Candidate) -> bool:
    return (one.provider, one.source.id) == (other.provider, other.source.id)


def _wheels(candidates: Iterable[Candidate]) -> set[str]:
    return {each.factory.sha256 for each in candidates if isinstance(each.factory, WheelFactory)}
