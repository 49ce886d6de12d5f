"""What tests of runs share: a journal that breaks, bodies that do as told, and plans."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from oneiric.backoff import Backoff
from oneiric.errors import JSONValue, StoreError
from oneiric.runs.body import Body, Functions, Work
from oneiric.runs.context import StepContext
from oneiric.runs.engine import RunEngine, RunHandle
from oneiric.runs.event import EventKind, RunEvent
from oneiric.runs.journal import Journal, Lease, MemoryJournal, RunRecord
from oneiric.runs.plan import Plan, Step
from oneiric.runs.run import Run, fold
from oneiric.testing import ManualClock

LEASE = 30.0


class BreakingJournal(Journal):
    """A journal that breaks at given appends, before it stores or after, and stays broken.

    Every break is the end of a process as far as the engine on it can tell: from then on it
    can store and release nothing. `mended` is what the next process would open.
    """

    def __init__(self, inner: MemoryJournal, at: int = 0, *, stores: bool = False) -> None:
        self.inner = inner
        self.at = at
        self.stores = stores
        self.appends = 0
        self.is_broken = False

    def _check(self) -> None:
        if self.is_broken:
            raise StoreError("the disk is gone")

    async def create(
        self, run_id: str, events: Sequence[RunEvent], *, holder: str = "", seconds: float = 0
    ) -> tuple[Sequence[RunEvent], Lease | None]:
        self._check()
        return await self.inner.create(run_id, events, holder=holder, seconds=seconds)

    async def append(
        self, run_id: str, events: Sequence[RunEvent], *, lease: Lease | None = None
    ) -> Sequence[RunEvent]:
        self._check()
        if lease is None:
            return await self.inner.append(run_id, events)
        await asyncio.sleep(0)
        self.appends += 1
        if self.appends == self.at:
            self.is_broken = True
            if self.stores:
                await self.inner.append(run_id, events, lease=lease)
            self._check()
        return await self.inner.append(run_id, events, lease=lease)

    async def read(self, run_id: str, *, after: int = 0) -> Sequence[RunEvent]:
        return await self.inner.read(run_id, after=after)

    def follow(self, run_id: str, *, after: int = 0) -> AsyncIterator[RunEvent]:
        return self.inner.follow(run_id, after=after)

    def outside(self) -> AsyncIterator[str]:
        return self.inner.outside()

    async def runs(
        self, *, name: str = "", open_only: bool = False, before: str = "", limit: int = 100
    ) -> Sequence[RunRecord]:
        return await self.inner.runs(name=name, open_only=open_only, before=before, limit=limit)

    async def claim(self, run_id: str, *, holder: str, seconds: float) -> Lease | None:
        self._check()
        return await self.inner.claim(run_id, holder=holder, seconds=seconds)

    async def renew(self, leases: Sequence[Lease], *, seconds: float) -> Sequence[Lease]:
        self._check()
        return await self.inner.renew(leases, seconds=seconds)

    async def release(self, lease: Lease) -> None:
        self._check()
        await self.inner.release(lease)

    async def aclose(self) -> None:
        """Keep what there is for the next process."""


@dataclass
class World:
    """What outlives processes: the calls that were made, and what each step is told to do.

    `scripts` gives for each step what its calls do, one after another; `ok` thereafter.
    """

    journal: MemoryJournal
    scripts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    keys: dict[str, set[str]] = field(default_factory=dict)

    async def work(self, context: StepContext, value: JSONValue) -> JSONValue:
        """Do as the script says; nobody calls a step whose result is recorded."""
        name = context.step_id
        events = await self.journal.read(context.run_id)
        step = fold(events).steps[name]
        assert step.state == "running", f"{name} is called, but it is {step.state}"
        assert step.attempt == context.attempt
        self.keys.setdefault(name, set()).add(context.idempotency_key)
        script = self.scripts.get(name, ())
        told = script[self.calls[name]] if self.calls[name] < len(script) else "ok"
        self.calls[name] += 1
        await asyncio.sleep(0)
        if told == "fail":
            raise ValueError(f"{name} was told to fail")
        context.set(name, self.calls[name])
        return {"of": name, "call": self.calls[name], "got": value}


class SlowlyOpened(Functions):
    """Functions that take some turns of the loop to be opened, as what must be started does."""

    @asynccontextmanager
    async def _opened(self, target: str) -> AsyncIterator[Body]:
        for _ in range(3):
            await asyncio.sleep(0)
        async with super().open(target) as body:
            yield body

    def open(self, target: str) -> AbstractAsyncContextManager[Body]:
        return self._opened(target)


def seconds_pass(clock: ManualClock) -> None:
    """Let the leases of whoever is gone run out."""
    clock.advance(LEASE + 1)


async def until_over(engine: RunEngine, handle: RunHandle, *, answer: str = "") -> Run:
    """Complete whatever waits for a signal, until the run is over."""
    while True:
        run = await asyncio.wait_for(handle.settled(), 10)
        if run.state.is_over:
            return await handle
        for name, step in list(run.steps.items()):
            if step.state == "assigned":
                await engine.signal(handle.run_id, step.signal, {"to": name}, error=answer)


def ends(events: Sequence[RunEvent]) -> Counter[str]:
    """Count how often each step was recorded as succeeded."""
    return Counter(event.step for event in events if event.kind is EventKind.STEP_SUCCEEDED)


def chain(count: int, target: str = "work") -> Plan:
    """Return a plan whose steps follow each other, each on the last one's output."""
    steps = [Step("s0", target, "${ input }")]
    for number in range(1, count):
        before = f"s{number - 1}"
        given = f"${{ steps.{before}.output }}"
        steps.append(Step(f"s{number}", target, given, depends_on=(before,)))
    return Plan("chain", tuple(steps))


AT_ONCE = Backoff(base_seconds=0)


def give(context: StepContext, value: JSONValue) -> JSONValue:
    """Return the input."""
    return value


def fail(context: StepContext, value: JSONValue) -> JSONValue:
    """Fail, saying which step it was."""
    raise ValueError(f"no luck with {context.step_id}")


async def hang(context: StepContext, value: JSONValue) -> JSONValue:
    """Never end by oneself."""
    await asyncio.Event().wait()
    return None


FUNCTIONS: Mapping[str, Work] = {"give": give, "fail": fail, "hang": hang}


def states(run: Run) -> dict[str, str]:
    """Return how each step stands, and why where that is said."""
    return {
        name: f"{step.state}:{step.reason}" if step.reason else str(step.state)
        for name, step in run.steps.items()
    }
