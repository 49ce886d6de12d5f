"""Where the events of runs are kept, and who may add to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from oneiric.clock import Clock
from oneiric.errors import LeaseLostError, NotFoundError, RunExistsError
from oneiric.listeners import Listeners
from oneiric.runs.event import EventKind, RunEvent
from oneiric.runs.state import RunState


@dataclass(frozen=True, slots=True)
class Lease:
    """A time-bound claim on a run; the token rises with every claim and fences earlier ones."""

    run_id: str
    holder: str
    token: int


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as listed: what its journal says, without reading all of it.

    `last_seq` counts its events; `holder` is who claimed it last, and `is_held` whether that
    claim is still in force.
    """

    run_id: str
    name: str
    state: RunState
    created_at: str
    updated_at: str
    last_seq: int
    holder: str = ""
    is_held: bool = False


async def left_runs(journal: Journal) -> AsyncGenerator[RunRecord, None]:
    """Yield the open runs that nobody holds, the newest first."""
    before = ""
    while page := await journal.runs(open_only=True, before=before):
        before = page[-1].run_id
        for record in page:
            if not record.is_held:
                yield record


class Journal(Protocol):
    """Keep the events of runs; the only truth about them.

    Whoever works on a run holds its lease, and appends with it. Others may append without
    one: a signal, a cancellation, a note. The journal numbers events in the order in which
    it takes them, so a holder may find that others' events came between its own. What was
    appended is stored before `append` returns, all of it or nothing; an append whose caller
    was cancelled may still be stored.
    """

    async def create(
        self, run_id: str, events: Sequence[RunEvent], *, holder: str = "", seconds: float = 0
    ) -> tuple[Sequence[RunEvent], Lease | None]:
        """Store the first events of a run, and with *holder* claim it in the same moment.

        Raises:
            RunExistsError: there is a run of that id; nothing is stored.
            EventTooLargeError: as for `append`.
        """

    async def append(
        self, run_id: str, events: Sequence[RunEvent], *, lease: Lease | None = None
    ) -> Sequence[RunEvent]:
        """Store *events* and return them numbered.

        Raises:
            NotFoundError: there is no such run.
            LeaseLostError: *lease* is no longer the latest claim; nothing is stored.
            EventTooLargeError: the journal has a limit, and an event is above; nothing is stored.
        """

    async def read(self, run_id: str, *, after: int = 0) -> Sequence[RunEvent]:
        """Return the events of a run whose number is above *after*, in order; none for no run."""

    def follow(self, run_id: str, *, after: int = 0) -> AsyncIterator[RunEvent]:
        """Yield the events above *after*, those to come included, until the run has ended."""

    def outside(self) -> AsyncIterator[str]:
        """Yield the id of each run to which somebody appends without a lease, from now on."""

    async def runs(
        self, *, name: str = "", open_only: bool = False, before: str = "", limit: int = 100
    ) -> Sequence[RunRecord]:
        """Return runs, the newest first: of *name*, not yet ended, with ids below *before*."""

    async def claim(self, run_id: str, *, holder: str, seconds: float) -> Lease | None:
        """Claim a run unless another holder's claim is in force; the same holder may again.

        Raises:
            NotFoundError: there is no such run.
        """

    async def renew(self, leases: Sequence[Lease], *, seconds: float) -> Sequence[Lease]:
        """Prolong *leases* from now, and return those that are still the latest claims.

        One of a run that does not exist is lost.
        """

    async def release(self, lease: Lease) -> None:
        """End a claim, so that another may be made at once; a claim that was lost is ignored."""

    async def aclose(self) -> None:
        """Store what is under way, end those who follow or listen, and let go of everything."""


def standing(events: Iterable[RunEvent], state: RunState = RunState.QUEUED) -> tuple[RunState, str]:
    """Return how a run that was at *state* stands after *events*, and when they ended it."""
    ended_at = ""
    for event in events:
        if event.kind in (EventKind.RUN_STARTED, EventKind.RUN_REOPENED):
            state, ended_at = RunState.RUNNING, ""
        elif event.kind is EventKind.RUN_ENDED:
            state, ended_at = RunState(str(event.data["state"])), event.at
    return state, ended_at


def name_of(created: RunEvent) -> str:
    """Return the name of the plan with which a run was created."""
    plan = created.data["plan"]
    return str(plan["name"]) if isinstance(plan, Mapping) else ""


@dataclass(slots=True)
class _Kept:
    """One run in memory: its events, how it stands, its claim."""

    name: str
    events: list[RunEvent] = field(default_factory=list)
    state: RunState = RunState.QUEUED
    holder: str = ""
    token: int = 0
    until: float = 0.0


class MemoryJournal(Journal):
    """Keep runs in this process, for as long as it lasts; everybody is on one event loop.

    >>> from oneiric.testing import ManualClock
    >>> journal = MemoryJournal(ManualClock())
    """

    __slots__ = ("_appended", "_clock", "_is_closed", "_outside", "_runs")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._runs: dict[str, _Kept] = {}
        self._appended: asyncio.Event | None = None  # while somebody follows
        self._is_closed = False
        self._outside = Listeners()

    async def create(
        self, run_id: str, events: Sequence[RunEvent], *, holder: str = "", seconds: float = 0
    ) -> tuple[Sequence[RunEvent], Lease | None]:
        if run_id in self._runs:
            raise RunExistsError(run_id)
        kept = self._runs[run_id] = _Kept(name_of(events[0]))
        lease = await self.claim(run_id, holder=holder, seconds=seconds) if holder else None
        return self._store(kept, events), lease

    async def append(
        self, run_id: str, events: Sequence[RunEvent], *, lease: Lease | None = None
    ) -> Sequence[RunEvent]:
        kept = self._kept(run_id)
        if lease is not None and lease.token != kept.token:
            raise LeaseLostError(run_id, lease.holder)
        stored = self._store(kept, events)
        if lease is None:
            self._outside.tell(run_id)
        return stored

    async def read(self, run_id: str, *, after: int = 0) -> Sequence[RunEvent]:
        kept = self._runs.get(run_id)
        return kept.events[after:] if kept else []

    async def follow(self, run_id: str, *, after: int = 0) -> AsyncIterator[RunEvent]:
        while True:
            appended = self._appended = self._appended or asyncio.Event()
            for event in await self.read(run_id, after=after):
                after = event.seq
                yield event
            if self._kept(run_id).state.is_over or self._is_closed:
                return
            await appended.wait()

    def outside(self) -> AsyncIterator[str]:
        return self._outside.listen()

    async def runs(
        self, *, name: str = "", open_only: bool = False, before: str = "", limit: int = 100
    ) -> Sequence[RunRecord]:
        found: list[RunRecord] = []
        for run_id, kept in sorted(self._runs.items(), reverse=True):
            if name not in ("", kept.name) or (open_only and kept.state.is_over):
                continue
            if len(found) < limit and (not before or run_id < before):
                first, last = kept.events[0], kept.events[-1]
                record = RunRecord(run_id, kept.name, kept.state, first.at, last.at, last.seq)
                found.append(replace(record, holder=kept.holder, is_held=self._is_held(kept)))
        return found

    async def claim(self, run_id: str, *, holder: str, seconds: float) -> Lease | None:
        kept = self._kept(run_id)
        if kept.holder != holder and self._is_held(kept):
            return None
        kept.holder, kept.until = holder, self._clock.monotonic() + seconds
        kept.token += 1
        return Lease(run_id, holder, kept.token)

    async def renew(self, leases: Sequence[Lease], *, seconds: float) -> Sequence[Lease]:
        held = [lease for lease in leases if self._is_latest(lease)]
        for lease in held:
            self._runs[lease.run_id].until = self._clock.monotonic() + seconds
        return held

    async def release(self, lease: Lease) -> None:
        if self._is_latest(lease):
            self._runs[lease.run_id].until = 0.0

    async def aclose(self) -> None:
        self._is_closed = True
        self._tell()
        self._outside.tell("")

    def _kept(self, run_id: str) -> _Kept:
        kept = self._runs.get(run_id)
        if kept is None:
            raise NotFoundError("run", run_id, known=self._runs, hint="oneiric run list")
        return kept

    def _is_latest(self, lease: Lease) -> bool:
        kept = self._runs.get(lease.run_id)
        return kept is not None and kept.token == lease.token

    def _is_held(self, kept: _Kept) -> bool:
        return self._clock.monotonic() < kept.until

    def _store(self, kept: _Kept, events: Sequence[RunEvent]) -> Sequence[RunEvent]:
        start = len(kept.events) + 1
        stored = [event.numbered(seq) for seq, event in enumerate(events, start)]
        kept.events += stored
        kept.state, _ = standing(stored, kept.state)
        self._tell()
        return stored

    def _tell(self) -> None:
        if self._appended is not None:
            self._appended.set()
            self._appended = None
