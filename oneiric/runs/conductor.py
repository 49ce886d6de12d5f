"""The loop that carries one run on: decide, store, do, and wait for what happens next."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from inspect import isawaitable, iscoroutine
from typing import Any, Protocol, TypeAlias, cast

from oneiric.clock import Clock
from oneiric.core.guard import Call, Guard, Outcome, attempt
from oneiric.documents import digest
from oneiric.documents.copies import plain
from oneiric.errors import InvalidError, JSONValue, LeaseLostError, OneiricError, PausedError
from oneiric.runs.body import NOBODY, Assigned, Bodies, Body, Given, Provenance
from oneiric.runs.check import check_plan
from oneiric.runs.context import StepContext
from oneiric.runs.event import Data, EventKind
from oneiric.runs.journal import Journal, Lease
from oneiric.runs.plan import Limits, Plan, Plans, Step
from oneiric.runs.run import UNDO, Run, fold
from oneiric.runs.schedule import Launch, Schedule

PAUSE_SECONDS = 0.5
_TURN_SECONDS = 0.001
_CACHE_SECONDS = 5.0
_LONGEST_MESSAGE = 2_000
First: TypeAlias = "list[tuple[EventKind, Data]]"
"""The events with which somebody begins to carry a run on."""


class ResultCache(Protocol):
    """What the engine needs of a cache of results; the cache port fits."""

    async def get(self, key: str) -> JSONValue | bytes:
        """Return the value of *key*, or None when there is none."""

    async def set(self, key: str, value: JSONValue) -> None:
        """Keep *value*."""


Opened: TypeAlias = "AbstractAsyncContextManager[Body]"
Report: TypeAlias = "Callable[[StepCall], None]"


@dataclass(frozen=True, slots=True)
class Tools:
    """What every run of an engine is done with."""

    bodies: Bodies
    journal: Journal
    clock: Clock
    guard: Guard
    cache: ResultCache | None
    limits: Limits
    plans: Plans = field(default_factory=Plans)

    def chance(self) -> float:
        """Return a number in [0, 1): the random end of a new id."""
        return int(self.clock.new_id()[-8:], 16) / 2**32


class StepCall(Call):
    """A step that was launched, and what came of it.

    Its body is called when its start is stored: at once where there was nothing to hold, else
    while it is held.
    """

    def __init__(self, launch: Launch, context: StepContext, report: Report) -> None:
        super().__init__(launch.step.timeout_seconds or math.inf)
        self.launch = launch
        self.context = context
        self.report = report
        self.body: Body | None = None
        self.is_started = False
        self.kept: Provenance | None = None
        self.outcome: Outcome[object] | None = None
        self._begun: list[Awaitable[object]] = []
        self._go: asyncio.Future[None] | None = None

    def then(self, outcome: Outcome[object]) -> None:
        self.outcome = outcome
        self.report(self)

    def prepare(self, bodies: Bodies, cache: ResultCache | None, guard: Guard) -> None:
        """Open the body; it is reported once that is there, unless a kept result is."""
        cache = cache if self.launch.cache_key else None
        opened = attempt(partial(bodies.open, self.launch.step.target))
        if opened.error is not None:
            self.then(Outcome(error=opened.error))
        elif cache is None and isinstance(opened.value, nullcontext):
            self.body = opened.value.enter_result
            self.report(self)
        else:
            held = cast("Opened", opened.value)
            guard.start(self, partial(self._hold, held, cache, guard))

    def go(self, guard: Guard) -> None:
        """Have the body called; what needs no waiting is over when this returns."""
        if self._go is None:
            copy_context().run(self._begin, guard)
        elif not self._go.done():
            self._go.set_result(None)

    def _begin(self, guard: Guard) -> None:
        outcome = attempt(partial(self._work, guard))
        if outcome.error is None and isawaitable(outcome.value):
            self._begun.append(outcome.value)
            guard.start(self, self._begun.pop)
        else:
            self.then(Outcome(outcome.value, outcome.error))

    def drop(self) -> None:
        """Forget the work if it was ended before its first moment."""
        for work in filter(iscoroutine, self._begun):
            work.close()

    async def _hold(self, opened: Opened, cache: ResultCache | None, guard: Guard) -> Given:
        """Return the kept result of who would do the work now, or have one made and kept.

        A cache that fails is as good as none.
        """
        async with opened as self.body:
            made = self.body.provenance
            key = digest([self.launch.cache_key, *made[:3]]) if cache is not None else ""
            if cache is not None:
                found = await guard.call(partial(cache.get, key), limit=_CACHE_SECONDS)
                if isinstance(found.value, Mapping) and "result" in found.value:
                    self.kept, kept = Provenance.of(found.value), found.value["result"]
                    return cast("JSONValue", kept)
            self._go = asyncio.get_running_loop().create_future()
            self.report(self)
            await self._go
            result = self._work(guard)
            given = await result if isawaitable(result) else result
            if cache is not None and not isinstance(given, Assigned):
                value: JSONValue = {**made.as_json(), "result": given}
                await guard.call(partial(cache.set, key, value), limit=_CACHE_SECONDS)
            return given

    def _work(self, guard: Guard) -> Given | Awaitable[Given]:
        assert self.body is not None
        function = partial(self.body, self.context, self.launch.input)
        return _in_thread(function, guard) if self.body.is_blocking else function()


async def _in_thread(function: Callable[[], object], guard: Guard) -> Given:
    outcome: Outcome[Any] = await guard.call(function, limit=math.inf, blocking=True)
    if outcome.error:
        raise outcome.error
    return cast("Given", outcome.value)


class Conductor:
    """Carry on one run that is held, until it is over.

    The run it keeps is what its stored events say, and those of this turn, which are stored
    before any body is called because of them. If they cannot be stored, the conductor ends,
    its bodies are stopped, and whoever claims the run next begins with what was stored.
    """

    task: asyncio.Task[Run]

    def __init__(self, tools: Tools, run: Run, lease: Lease) -> None:
        self.run = run
        self.lease = lease
        self.is_lost = False
        self.settled = asyncio.Event()
        self._tools = tools
        self._schedule = Schedule(run, tools.chance, tools.limits.max_value_bytes)
        self._calls: dict[str, StepCall] = {}
        self._reports: list[StepCall] = []
        self._storing: list[asyncio.Future[None]] = []
        self._waiter: asyncio.Future[None] | None = None
        self._heard = self._again = False
        self._alarm: tuple[float, asyncio.Task[object]] | None = None
        self._loop = asyncio.get_running_loop()
        self._yield_at = 0.0
        self._tick()

    def wake(self) -> None:
        """Say that somebody outside may have added to the run, or taken it."""
        self._heard = True
        self._nudge()

    async def conduct(self, first: First) -> Run:
        """Carry the run on until it is over, beginning with the events *first*.

        Raises:
            LeaseLostError: another holder claimed it.
            StoreError: its events cannot be stored.
        """
        try:
            for kind, data in first:
                self._schedule.emit(kind, "", data)
            self._schedule.index()
            while not self.run.state.is_over:
                await self._turn()
            return self.run
        finally:
            await self._leave()

    async def extend(self, steps: Sequence[Step]) -> None:
        """Add steps to the run, and return when that is stored.

        Raises:
            PlanError: with them the plan could not be run.
            InvalidError: the run is over, or at its final steps.
        """
        run, tools = self.run, self._tools
        if run.state.is_over or self._schedule.is_final:
            raise InvalidError(f"the run {run.run_id} is at its end and takes no more steps")
        Plan.from_json(Plan(run.plan.name, tuple(steps)).as_json())  # each of its kind
        plan = run.plan.extended(steps)
        check_plan(plan, tools.bodies, tools.limits, given=run.input, done=run.steps)
        self._tick()
        self._schedule.extend(steps)
        asked: asyncio.Future[None] = self._loop.create_future()
        self._storing.append(asked)
        self._nudge()
        await asked

    async def _leave(self) -> None:
        try:
            for asked in self._storing:
                asked.cancel()
            self._set_alarm(None)
            await self._end(list(self._calls), "its run is let go")
        finally:
            await self.release()

    async def release(self) -> None:
        """Let others claim the run at once, if the journal can be told."""
        with suppress(OneiricError):
            await self._tools.journal.release(self.lease)

    def _tick(self) -> None:
        self._schedule.tick(self._tools.clock.monotonic(), self._tools.clock.now())

    async def _turn(self) -> None:
        """Decide and store, let bodies be called, and wait unless more has happened meanwhile."""
        if self.is_lost:
            raise LeaseLostError(self.run.run_id, self.lease.holder)
        self._tick()
        if self._heard:
            self._heard = False
            for event in await self._tools.journal.read(self.run.run_id, after=self.run.last_seq):
                self.run.apply(event)
        opened = self._take_reports()
        self._again = False
        await self._launch(self._schedule.decide())
        if self._schedule.stops:
            await self._stop()
        opened += self._take_reports()
        await self._store()
        await self._call(opened)
        if self._again or self._heard or self._reports:
            if self._tools.clock.monotonic() > self._yield_at:  # others shall have their turn
                await asyncio.sleep(0)
                self._yield_at = self._tools.clock.monotonic() + _TURN_SECONDS
        elif not self.run.state.is_over:
            await self._wait()

    async def _call(self, opened: Iterable[StepCall]) -> None:
        """Have bodies called, and go on where one has cancelled the task that it was called in."""
        before = self.task.cancelling()
        for call in opened:
            if not call.context.stopped:
                call.go(self._tools.guard)
            if asked := self.task.cancelling() - before:
                call.outcome = call.outcome and Outcome(error=RuntimeError("cancelled itself"))
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(0)
                if [self.task.uncancel() for _ in range(asked)][-1] > before:  # not it alone
                    raise asyncio.CancelledError

    async def _wait(self) -> None:
        self._set_alarm(self._schedule.wake_at)
        if not self._calls and self.run.is_waiting:
            self.settled.set()
        self._waiter = self._loop.create_future()
        await self._waiter

    async def _store(self) -> None:
        """Store what was decided; if others stored in between, the run is folded anew."""
        schedule, run, journal = self._schedule, self.run, self._tools.journal
        for name, call in self._calls.items():
            if call.context.told and call.is_started:
                schedule.emit(EventKind.NOTED, name, call.context.told)
                call.context.told = None
        events, schedule.events = schedule.events, []
        storing, self._storing = self._storing, []
        if not events:
            return
        after = run.last_seq
        stored = await journal.append(run.run_id, events, lease=self.lease)
        run.last_seq = stored[-1].seq
        for asked in storing:
            if not asked.done():
                asked.set_result(None)
        if run.last_seq != after + len(events):
            run.become(fold(await journal.read(run.run_id), self._tools.plans))
            for event in schedule.events:
                run.apply(event)
            schedule.index()
            self._nudge()

    def _nudge(self) -> None:
        self._again = True
        self._go_on()
        if not self.task.done():
            self.settled.clear()

    async def _launch(self, launches: Sequence[Launch]) -> None:
        tools = self._tools
        for launch in launches:
            limit = launch.step.timeout_seconds
            context = StepContext(
                self.run.run_id,
                launch.step.id,
                launch.attempt,
                deadline=None if limit is None else tools.clock.monotonic() + limit,
                _shared=self.run.context,
                _max_bytes=tools.limits.max_value_bytes,
                round=self.run.steps[launch.step.id.removeprefix(UNDO)].round,
                _nudge=partial(self._loop.call_soon_threadsafe, self._nudge),
            )
            call = self._calls[launch.step.id] = StepCall(launch, context, self._report)
            call.prepare(tools.bodies, tools.cache, tools.guard)
        if len(self._reports) < len(launches):
            await asyncio.sleep(0)  # what opens at once is stored together with what led to it

    def _report(self, call: StepCall) -> None:
        self._reports.append(call)
        self._go_on()

    def _go_on(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _take_reports(self) -> list[StepCall]:
        """Heed what calls reported, and return those whose body is open and waits to be called."""
        reports, self._reports = self._reports, []
        opened = []
        for call in reports:
            if call.outcome is not None:
                if self._calls.pop(call.launch.step.id, None):
                    self._finish(call, call.outcome)
            elif not call.context.stopped:
                self._begin(call)
                opened.append(call)
        return opened

    def _begin(self, call: StepCall) -> None:
        made = call.body.provenance if call.body else NOBODY
        data = {"attempt": call.launch.attempt, "input": call.launch.input, **made.as_json()}
        call.is_started = True
        self._schedule.emit(EventKind.STEP_STARTED, call.launch.step.id, data)

    def _finish(self, call: StepCall, outcome: Outcome[Any]) -> None:
        name, self._again = call.launch.step.id, True
        if not call.is_started and call.kept is None:
            if isinstance(outcome.error, PausedError):
                self._schedule.postpone(name, PAUSE_SECONDS)
                return
            self._begin(call)
        if outcome.error is None:
            try:
                self._succeed(call, outcome.value)
            except InvalidError as error:
                outcome = Outcome(error=error)
        if outcome.error is not None:
            self._schedule.fail(name, *_told(outcome))

    def _succeed(self, call: StepCall, given: Given) -> None:
        launch, schedule = call.launch, self._schedule
        how = given if isinstance(given, Assigned) else Assigned(given)
        value = plain(how.prompt, self._tools.limits.max_value_bytes)
        for change in call.context.changes:
            said = {"key": change.key, "value": change.value, "who": change.who}
            schedule.emit(EventKind.CONTEXT_SET, launch.step.id, said)
        if how is given or launch.step.signal:
            schedule.assign(launch.step.id, value, how.signal, how.timeout_seconds)
        else:
            done: dict[str, JSONValue] = {"attempt": launch.attempt, "result": value}
            if call.kept is not None:
                done = {"input": launch.input, "result": value, "reason": "cache"}
                done |= call.kept.as_json()
            schedule.emit(EventKind.STEP_SUCCEEDED, launch.step.id, done)

    async def _stop(self) -> None:
        names, self._schedule.stops = self._schedule.stops, []
        for name in await self._end(names, "the run is stopped"):
            self._schedule.stopped(name)
        self._again = True

    async def _end(self, names: Iterable[str], why: str) -> list[str]:
        """End calls and return their steps, but for those that have just ended by themselves."""
        found = [self._calls[name] for name in names if name in self._calls]
        calls = [call for call in found if call.outcome is None]
        for call in calls:
            call.context.stopped = why
            del self._calls[call.launch.step.id]
        await self._tools.guard.end(calls)
        for call in calls:
            call.drop()
        return [call.launch.step.id for call in calls]

    def _set_alarm(self, when: float | None) -> None:
        if self._alarm is not None and self._alarm[0] != when:
            self._alarm[1].cancel()
            self._alarm = None
        if self._alarm is None and when is not None:
            self._alarm = (when, self._tools.guard.keep(self._ring(when)))

    async def _ring(self, when: float) -> None:
        await self._tools.clock.sleep(when - self._tools.clock.monotonic())
        self._alarm = None
        self._nudge()


def _told(outcome: Outcome[object]) -> tuple[dict[str, JSONValue], frozenset[str]]:
    """Return what the journal keeps of a failure, and the names that a retry may know it by."""
    error = outcome.error
    own = error if isinstance(error, OneiricError) else None
    code = "timeout" if outcome.timed_out else own.code if own else "failed"
    text = own.message if own else outcome.reason
    message = text[:_LONGEST_MESSAGE].encode("utf-8", "replace").decode()
    found: dict[str, JSONValue] = {"code": code, "message": message, "type": type(error).__name__}
    if own and (details := attempt(lambda: plain(dict(own.details()))).value):
        found["details"] = details
    return found, frozenset({code, *(kind.__name__ for kind in type(error).__mro__)})
