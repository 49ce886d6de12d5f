"""Begin runs, carry them on, take them up again, and tell them what comes from outside."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import TypedDict, Unpack

from oneiric.clock import Clock, SystemClock, checked_id, rfc3339
from oneiric.core.guard import Guard
from oneiric.core.logging import get_logger
from oneiric.documents.copies import plain
from oneiric.errors import (
    ClosedError,
    InvalidError,
    JSONValue,
    LockedError,
    NotFoundError,
    OneiricError,
    PlanChangedError,
)
from oneiric.runs.body import Bodies, Functions, Work
from oneiric.runs.check import changes, check_plan, kept, succeeded
from oneiric.runs.conductor import Conductor, First, ResultCache, Tools
from oneiric.runs.event import Data, EventKind, RunEvent
from oneiric.runs.journal import Journal, Lease, MemoryJournal, left_runs
from oneiric.runs.plan import Limits, Plan, Step
from oneiric.runs.run import Run, fold
from oneiric.runs.state import RunState

_RETRY_SECONDS = 1.0


class Beginning(TypedDict, total=False):
    """What a run may be given at its beginning besides its input."""

    run_id: str
    context: Mapping[str, JSONValue]
    metadata: Mapping[str, JSONValue]


class RunHandle:
    """A run that this engine carries on: await it for the run as it ended.

    To stop waiting does not stop the run.
    """

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor

    @property
    def run_id(self) -> str:
        """The run."""
        return self._conductor.run.run_id

    def __await__(self) -> Generator[object, None, Run]:
        return asyncio.shield(self._conductor.task).__await__()

    async def settled(self) -> Run:
        """Wait until the run is over, or waits for somebody outside, and return it."""
        conductor = self._conductor
        while not conductor.settled.is_set():
            await conductor.settled.wait()
        return await self if conductor.task.done() else conductor.run


class RunEngine:
    """Do what plans say, so that every run is its journal and nothing recorded is done twice.

    Without a journal runs are kept in memory. Bodies may be plain functions, by target.

    >>> import asyncio
    >>> async def main() -> None:
    ...     engine = RunEngine({"double": lambda context, value: value * 2})
    ...     plan = Plan(
    ...         "twice",
    ...         (
    ...             Step("a", "double", "${ input }"),
    ...             Step("b", "double", "${ steps.a.output }", depends_on=("a",)),
    ...         ),
    ...     )
    ...     run = await engine.run(plan, 5)
    ...     print(run.state, run.results)
    ...     await engine.close()
    >>> asyncio.run(main())
    succeeded {'a': 10, 'b': 20}

    Args:
        bodies: who does the work that the targets of steps name.
        journal: keeps the events; this engine closes only one that it made.
        cache: keeps results of steps that have a cache key.
        limits: how large plans and values may grow.
        lease_seconds: how long after this process stops others may take up its runs.
    """

    def __init__(
        self,
        bodies: Bodies | Mapping[str, Work] | None = None,
        *,
        journal: Journal | None = None,
        clock: Clock | None = None,
        guard: Guard | None = None,
        cache: ResultCache | None = None,
        limits: Limits | None = None,
        lease_seconds: float = 30.0,
    ) -> None:
        self._clock = clock or SystemClock()
        self._journal = MemoryJournal(self._clock) if journal is None else journal
        self._is_own = journal is None
        found = Functions(bodies or {}) if bodies is None or isinstance(bodies, Mapping) else bodies
        own = (guard or Guard(), cache, limits or Limits())
        self._tools = Tools(found, self._journal, self._clock, *own)
        self._lease_seconds = lease_seconds
        self._holder = self._clock.new_id()
        self._under_way: dict[str, Conductor] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._taking: set[str] = set()
        self._closed = False
        self._log = get_logger(__name__)

    @property
    def under_way(self) -> list[Run]:
        """The runs that this engine carries on, as they stand."""
        return [conductor.run for conductor in self._under_way.values()]

    async def start(
        self, plan: Plan, input: JSONValue = None, **more: Unpack[Beginning]
    ) -> RunHandle:
        """Begin a run of *plan* and return at once.

        Raises:
            PlanError: everything that is wrong with the plan; nothing was stored.
            RunExistsError: there is a run of that id.
        """
        created = self._created(plan, input, more)
        stored, lease = await self._journal.create(
            created.run_id, [created], holder=self._holder, seconds=self._lease_seconds
        )
        assert lease is not None
        return self._conduct(fold(stored, self._tools.plans), lease, [])

    async def enqueue(self, plan: Plan, input: JSONValue = None, **more: Unpack[Beginning]) -> str:
        """Store a run for whoever recovers or resumes it first, and return its id.

        Raises:
            PlanError: everything that is wrong with the plan; nothing was stored.
            RunExistsError: there is a run of that id.
        """
        created = self._created(plan, input, more)
        await self._journal.create(created.run_id, [created])
        return created.run_id

    async def run(self, plan: Plan, input: JSONValue = None, **more: Unpack[Beginning]) -> Run:
        """Begin a run of *plan* and wait until it is over; `start` tells what is raised."""
        return await (await self.start(plan, input, **more))

    def _created(self, plan: Plan, given: JSONValue, more: Beginning) -> RunEvent:
        self._check_open()
        tools, value = self._tools, self._plain(given)
        run_id = checked_id(more.get("run_id") or self._clock.new_id())
        check_plan(plan, tools.bodies, tools.limits, plans=tools.plans, given=value)
        data: Data = {"plan": plan.as_json(), "digest": plan.digest, "input": value}
        data = {**data, **{key: self._plain(more.get(key, {})) for key in ("context", "metadata")}}
        return RunEvent(run_id, EventKind.RUN_CREATED, rfc3339(self._clock.now()), "", data)

    def _plain(self, value: object) -> JSONValue:
        return plain(value, self._tools.limits.max_value_bytes)

    async def recover(self) -> list[RunHandle]:
        """Take up every open run that nobody holds, and return them under way."""
        self._check_open()
        found: list[RunHandle] = []
        async with aclosing(left_runs(self._journal)) as left:
            async for record in left:
                if record.run_id in self._under_way:
                    continue
                try:
                    found.append(await self._take_up(record.run_id))
                except (LockedError, InvalidError) as error:  # somebody else was faster
                    self._log.warning("run-not-recovered", run=record.run_id, error=str(error))
        return found

    async def resume(
        self, run_id: str, plan: Plan | None = None, *, force: bool = False
    ) -> RunHandle:
        """Take up a run that was left open; one that this engine carries on is just returned.

        Raises:
            NotFoundError: there is no such run.
            LockedError: somebody else holds it.
            PlanChangedError: *plan* is not what the run was begun with; with *force* it takes
                the place of that, and only steps that are the same, and come after such, keep
                their results.
            InvalidError: the run has ended.
        """
        if (held := self._under_way.get(run_id)) and plan is None:
            return RunHandle(held)
        return await self._take_up(run_id, plan, force=force)

    async def retry(
        self, run_id: str, plan: Plan | None = None, *, force: bool = False
    ) -> RunHandle:
        """Open a run that failed or was canceled, and do again what did not succeed.

        What succeeded is kept, unless it was undone; final steps run again. `resume` tells
        what is raised.
        """
        return await self._take_up(run_id, plan, force=force, ended=True)

    async def _take_up(
        self, run_id: str, plan: Plan | None = None, *, force: bool = False, ended: bool = False
    ) -> RunHandle:
        self._check_open()
        held = self._under_way.get(run_id)
        if (held and not held.task.done()) or run_id in self._taking:
            raise LockedError(f"the run {run_id} is under way here")
        self._taking.add(run_id)
        try:
            lease = await self._journal.claim(
                run_id, holder=self._holder, seconds=self._lease_seconds
            )
            if lease is None:
                raise LockedError(f"another engine holds the run {run_id}")
            try:
                run = fold(await self._journal.read(run_id), self._tools.plans)
                first = self._first(run, plan, force=force, ended=ended)
            except OneiricError:
                await self._journal.release(lease)
                raise
            return self._conduct(run, lease, first)
        finally:
            self._taking.discard(run_id)

    def _first(self, run: Run, plan: Plan | None, *, force: bool, ended: bool) -> First:
        """Return the events with which a run is gone on with."""
        if run.state is RunState.SUCCEEDED or run.state.is_over is not ended:
            raise InvalidError(f"the run {run.run_id} is {run.state}")
        first: First = []
        again = [name for name in run.steps if not succeeded(run, name)]
        if plan is not None and plan.digest != run.digest:
            if not force:
                raise PlanChangedError(run.run_id, run.plan.name, changes(run.plan, plan))
            tools = self._tools
            check_plan(plan, tools.bodies, tools.limits, plans=tools.plans, given=run.input)
            same: Data = {"digest": plan.digest, "kept": kept(run, plan)}
            first.append((EventKind.RUN_EXTENDED, {"plan": plan.as_json(), **same}))
            again = []
        if ended:
            first.append((EventKind.RUN_REOPENED, {"steps": again}))
        return first

    def _conduct(self, run: Run, lease: Lease, first: First) -> RunHandle:
        first.append((EventKind.RUN_STARTED, {"holder": self._holder, "token": lease.token}))
        conductor = self._under_way[run.run_id] = Conductor(self._tools, run, lease)
        conductor.task = asyncio.ensure_future(conductor.conduct(first))
        conductor.task.add_done_callback(lambda task: self._release(conductor, task))
        if not self._keepers:
            works = (self._renew, self._listen)
            self._keepers = [asyncio.ensure_future(self._keep(work)) for work in works]
        return RunHandle(conductor)

    def _release(self, conductor: Conductor, task: asyncio.Task[Run]) -> None:
        run_id = conductor.run.run_id
        if self._under_way.get(run_id) is conductor:
            del self._under_way[run_id]
        conductor.settled.set()
        if not task.cancelled() and (error := task.exception()):
            self._log.error("run-left-open", run=run_id, error=str(error))

    async def _keep(self, keeper: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await keeper()
            except OneiricError as error:
                self._log.warning("journal-unavailable", error=str(error))
                await self._clock.sleep(_RETRY_SECONDS)

    async def _renew(self) -> None:
        """Prolong the leases of all runs that are under way, and tell those that were lost."""
        await self._clock.sleep(self._lease_seconds / 3)
        held = dict(self._under_way)
        leases = [conductor.lease for conductor in held.values()]
        kept = await self._journal.renew(leases, seconds=self._lease_seconds)
        lost = held.keys() - {lease.run_id for lease in kept}
        for run_id, conductor in held.items():
            conductor.is_lost = run_id in lost
            conductor.wake()  # also for what nobody told of

    async def _listen(self) -> None:
        """Wake whoever carries on a run to which somebody outside has added."""
        async for run_id in self._journal.outside():
            self._wake(run_id)

    def _wake(self, run_id: str) -> None:
        if found := self._under_way.get(run_id):
            found.wake()

    async def extend(self, run_id: str, steps: Sequence[Step]) -> None:
        """Add *steps* to a run that is under way here, and return when that is stored.

        Raises:
            NotFoundError: no such run is under way here.
            PlanError: with them the plan could not be run, or is larger than the limits.
            InvalidError: the run is over, or at its final steps.
        """
        if run_id not in self._under_way:
            raise NotFoundError("run under way here:", run_id, known=self._under_way)
        await self._under_way[run_id].extend(steps)

    async def signal(
        self,
        run_id: str,
        name: str,
        value: JSONValue = None,
        *,
        step: str = "",
        actor: str = "",
        error: str = "",
    ) -> None:
        """Complete a step from outside: with *value* as its result, or as failed with *error*.

        Without *step* the first one that waits for a signal of that name takes it. A signal
        that comes before anybody waits for it is kept until somebody does. One signal is one
        answer: what comes after it without a *step*, while nobody else waits for that name, is
        for nobody, so that whoever approves twice does not approve the next step too.

        Raises:
            NotFoundError: there is no such run or step.
            InvalidError: the run has ended, no step that is left can take such a signal, or the
                value is no JSON or too large.
        """
        run = await self._open(run_id)
        if step and step not in run.steps:
            raise NotFoundError(f"step of {run_id}:", step, known=run.steps)
        if why := run.deaf_to(name, step):
            raise InvalidError(f"nobody takes that signal: {why}")
        data = {"name": name, "value": self._plain(value), "actor": actor}
        if error:
            data["error"] = {"code": "failed", "message": error}
        await self._tell(run_id, EventKind.SIGNALED, step, data)

    async def note(self, run_id: str, kind: str, data: Data, *, step: str = "") -> None:
        """Store what a product has to say of a run, over or not; it changes nothing else."""
        said = self._plain({**data, "kind": kind})
        assert isinstance(said, Mapping)
        await self._tell(run_id, EventKind.NOTED, step, said)

    async def cancel(self, run_id: str, *, actor: str = "", reason: str = "") -> None:
        """Ask that a run be canceled: what runs is stopped, then its final steps are done.

        Before them what had succeeded is undone, if a step that did not come to its end says
        `compensate`. Asked again, both are stopped too. A run that nobody holds is taken up to be
        ended here.

        Raises:
            NotFoundError: there is no such run.
            InvalidError: it has ended.
        """
        await self._open(run_id)
        await self._tell(run_id, EventKind.RUN_CANCELING, "", {"actor": actor, "reason": reason})
        if run_id not in self._under_way:
            with suppress(LockedError, InvalidError):  # who holds it is told, or has ended it
                await self._take_up(run_id)

    async def _tell(self, run_id: str, kind: EventKind, step: str, data: Data) -> None:
        event = RunEvent(run_id, kind, rfc3339(self._clock.now()), step, data)
        await self._journal.append(run_id, [event])
        self._wake(run_id)

    async def get(self, run_id: str) -> Run:
        """Return a run as its journal tells.

        Raises:
            NotFoundError: there is no such run.
        """
        if events := await self._journal.read(run_id):
            return fold(events, self._tools.plans)
        raise NotFoundError("run", run_id, hint="oneiric run list")

    async def _open(self, run_id: str) -> Run:
        run = await self.get(run_id)
        if run.state.is_over:
            raise InvalidError(f"the run {run_id} is over: {run.state}")
        return run

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the engine is closed")

    async def close(self) -> None:
        """Stop all bodies and let go of all runs; those left open can be recovered anywhere."""
        self._closed = True
        conductors = list(self._under_way.values())
        tasks = [*(conductor.task for conductor in conductors), *self._keepers]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for conductor in conductors:
            await conductor.release()  # it may have been cancelled before it began
        if self._is_own:
            await self._journal.aclose()
