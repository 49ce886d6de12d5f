"""Runs that a person has gone on with: those that were left, and those that failed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING

from oneiric.clock import rfc3339
from oneiric.core.ref import ComponentRef
from oneiric.domains.found_run import found_run
from oneiric.domains.recovery import undoable
from oneiric.errors import InvalidError, LockedError, PlanError, Problem
from oneiric.runs.check import succeeded
from oneiric.runs.event import EventKind, RunEvent
from oneiric.runs.run import Run, fold
from oneiric.runs.state import RunState
from oneiric.runtime.run_answers import RunCarried
from oneiric.runtime.work import Work
from oneiric.to_end import run_to_end

if TYPE_CHECKING:
    from oneiric.runs.engine import RunHandle
    from oneiric.runs.plan import Plan
    from oneiric.runtime.orchestrator import RuntimeOrchestrator


class CarryDesk:
    """Go on with runs in this process, as commands ask for it.

    A run of a task or workflow is held against what serves now; one of another name goes on as
    it was begun, where components can do its steps.

    Raises (each verb): NotFoundError, AmbiguousRunError about the run; LockedError where
    another process holds it; PausedError where its task or workflow takes no work;
    PlanChangedError where that has changed since, unless forced; PlanError where nobody here
    can do what is left of it; InvalidError where it does not stand so that the verb fits.
    """

    def __init__(self, runtime: RuntimeOrchestrator) -> None:
        self._runtime = runtime

    def resume(
        self, run: str, *, force: bool = False, tell: Callable[[RunEvent], object] = str
    ) -> RunCarried:
        """Take up a run that has not ended, and carry it on until it is over or waits.

        With *force* it goes on with the plan of now: only steps that are the same, and come
        after such, keep their results. *tell* is told each event as it is stored.
        """

        async def resumed(work: Work) -> RunCarried:
            found = await _run(work, run)
            if found.state.is_over:
                hint = "" if _is_done(found) else f"oneiric run retry {found.run_id}"
                raise InvalidError(f"the run {found.run_id} is over: {found.state}", hint=hint)
            left = [name for name, step in found.steps.items() if not step.state.is_over]
            await _check_free(work, found.run_id)
            plan = _plan_now(work, found, left)
            handle = await work.engine.resume(found.run_id, plan, force=force)
            return RunCarried(await _carried(work, handle, found, tell), "resume", "local")

        return self._do(resumed)

    def retry(
        self,
        run: str,
        *,
        force: bool = False,
        leave: bool = False,
        tell: Callable[[RunEvent], object] = str,
    ) -> RunCarried:
        """Open a run that failed or was canceled, and do again what did not succeed.

        With *leave* it is only opened, as it was begun: whoever takes it up next does the
        rest. `resume` tells of *force* and *tell*.
        """
        if force and leave:
            raise InvalidError("--leave opens a run as it was begun, so --force means nothing")

        async def retried(work: Work) -> RunCarried:
            found = await _run(work, run)
            if not found.state.is_over:
                hint = f"oneiric run resume {found.run_id}"
                raise InvalidError(f"the run {found.run_id} has not ended", hint=hint)
            if _is_done(found):
                raise InvalidError(
                    f"the run {found.run_id} succeeded: there is nothing to do again"
                )
            again = [name for name in found.steps if not succeeded(found, name)]
            if leave:
                _check_active(work, found)
                return RunCarried(await _opened(work, found, again), "retry", "stored")
            plan = _plan_now(work, found, again)
            handle = await work.engine.retry(found.run_id, plan, force=force)
            return RunCarried(await _carried(work, handle, found, tell), "retry", "local")

        return self._do(retried)

    def _do(self, work: Callable[[Work], Coroutine[object, object, RunCarried]]) -> RunCarried:
        async def done() -> RunCarried:
            async with self._runtime.once(), Work(self._runtime, is_entered=True) as found:
                return await work(found)

        return run_to_end(done())


async def _run(work: Work, text: str) -> Run:
    record = await found_run(work.journal, text)
    return fold(await work.journal.read(record.run_id))


def _is_done(run: Run) -> bool:
    return run.state is RunState.SUCCEEDED


async def _check_free(work: Work, run_id: str) -> None:
    """Pass if nobody holds the run; where somebody does, say how long a claim can last.

    That of a process of this machine ends with it, so whoever holds one is at work, is stopped, or
    was of another machine.
    """
    record = await found_run(work.journal, run_id)
    if record.is_held:
        hint = f"it is at work, or else its claim ends within {work.lease_seconds:g} s"
        raise LockedError(f"{record.holder} holds the run {run_id}", hint=hint)


def _plan_now(work: Work, run: Run, left: Sequence[str]) -> Plan | None:
    """Return the plan of which *run* would be begun now, and None where nobody knows.

    Raises:
        PlanError: it goes on as it was begun, and nobody here can do a step that is *left*;
            the engine checks a plan that takes the place of another.
    """
    plan = _planned(work, run)
    _check_active(work, run)
    is_same = plan is None or plan.digest == run.digest
    if is_same and (unknown := undoable(run, left, work.bodies)):
        problems = [Problem(key, why, "the run") for key, (_, why) in unknown.items()]
        raise PlanError(run.plan.name, problems)
    return plan


def _planned(work: Work, run: Run) -> Plan | None:
    domain, _, key = run.plan.name.partition(":")
    if domain == work.workflows.domain.name:
        return work.workflows.plan(key)
    if domain == work.tasks.domain.name:
        asked: ComponentRef[object] = ComponentRef(run.plan.steps[0].target)
        return work.tasks.plan(key, provider=asked.provider)
    return None


def _check_active(work: Work, run: Run) -> None:
    domain = run.plan.name.partition(":")[0]
    if domain in (work.workflows.domain.name, work.tasks.domain.name):
        work.runtime.lifecycle.activity.check(ComponentRef(run.plan.name))


async def _carried(
    work: Work, handle: RunHandle, run: Run, tell: Callable[[RunEvent], object]
) -> Run:
    """Tell each event of a run that is under way, and return it when it is over or waits."""
    told = run.last_seq

    async def follow() -> None:
        nonlocal told
        async for event in work.journal.follow(run.run_id, after=told):
            tell(event)
            told = event.seq

    async with asyncio.TaskGroup() as group:
        following = group.create_task(follow())
        ended = await handle.settled()
        following.cancel()
    for event in await work.journal.read(run.run_id, after=told):
        tell(event)
    return ended


async def _opened(work: Work, run: Run, again: list[str]) -> Run:
    """Open a run that has ended, for others."""
    journal, clock = work.journal, work.runtime.clock
    lease = await journal.claim(run.run_id, holder=clock.new_id(), seconds=work.lease_seconds)
    if lease is None:
        raise LockedError(f"somebody else holds the run {run.run_id}")
    try:
        steps = {"steps": list(again)}
        event = RunEvent(run.run_id, EventKind.RUN_REOPENED, rfc3339(clock.now()), "", steps)
        for stored in await journal.append(run.run_id, [event], lease=lease):
            run.apply(stored)
    finally:
        await journal.release(lease)
    return run
