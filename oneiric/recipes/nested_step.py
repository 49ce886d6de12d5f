"""Steps that are recipes: runs of their own, below the run that they belong to."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from oneiric.domains.taking import taken_up
from oneiric.errors import BugError, JSONValue, OneiricError, RunExistsError
from oneiric.recipes.approve_step import is_denied
from oneiric.recipes.errors import ApprovalDeniedError, SecretShownError, StepError
from oneiric.recipes.inputs import checked_inputs
from oneiric.recipes.log import tell
from oneiric.recipes.secrets import of_inputs
from oneiric.recipes.sessions import Session, writers_in
from oneiric.recipes.step import Envelope, Given, RecipeStep
from oneiric.recipes.turn_step import GROUP, Group, before_again
from oneiric.recipes.unchanged import plan_within, run_within
from oneiric.runs.state import RunState

if TYPE_CHECKING:
    from oneiric.domains.host import Host
    from oneiric.recipes.context import Context
    from oneiric.recipes.sessions import Sessions
    from oneiric.runs.engine import RunEngine, RunHandle
    from oneiric.runs.run import Run

_LET_GO = "its run is let go"
_PACE_SECONDS = 0.5


class NestedStep(RecipeStep):
    """Do steps by running another recipe, with a context of its own, and in the turn of its group.

    Its run is always the same for a step of a run, whoever takes that up: what the child has done
    is not done again. What it wrote is merged as if the step had; of that only the keys among
    `outputs`, if the step declares some. It is canceled with its parent.
    """

    async def work(
        self, given: Given, aside: Context, *, session: Session, sessions: Sessions
    ) -> Envelope:
        """Run the recipe to its end, and take over what it wrote."""
        child, host = session.compiled.children[given.name], session.host
        if host is None:
            raise BugError(f"{given.name}: nobody runs recipes within this one")
        run_id = run_within(given.context)
        checked = checked_inputs(child.recipe, given.fields.get("inputs", {}))
        if session.secrets.shows(checked.open):
            what = "an input that is not secret would hold a secret, which the journal would keep"
            raise SecretShownError(given.name, what)
        below = Session(
            replace(child, plan=plan_within(child)),
            child.input(checked.open),
            secrets=session.secrets.also(of_inputs(checked.secret)),
            host=host,
            cache=session.cache,
            allows_shell=session.allows_shell and child.recipe.spec.allow.shell,
            is_forced=session.is_forced,
        )
        sessions.begin(run_id, below)
        session.within[given.name] = run_id
        try:
            run = await _run(host, run_id, below, given)
        except asyncio.CancelledError:
            if given.context.stopped == _LET_GO:  # whoever takes up the parent takes up this too
                sessions.end(run_id, below)
            else:
                session.at_work.join(given.name)
                ending = sessions.guard.keep(_ended(host.engine, run_id, sessions, below))
                ending.add_done_callback(lambda _: session.at_work.leave(given.name))
            raise
        except OneiricError:
            sessions.end(run_id, below)
            raise
        finally:
            del session.within[given.name]
        sessions.end(run_id, below)
        return _taken(given, aside, run)


async def _run(host: Host, run_id: str, session: Session, given: Given) -> Run:
    """Run the child, or take it up where it was left, and return it when it is over.

    Raises:
        LockedError: another process has held it for longer than a claim lasts that nobody renews.
    """
    plan, engine = session.compiled.plan, host.engine
    concurrency = session.compiled.recipe.spec.concurrency
    above: dict[str, JSONValue] = {"parent": given.context.run_id, "step": given.name}
    if concurrency.group:
        above[GROUP] = concurrency.group
    try:
        handle = await engine.start(plan, session.input, run_id=run_id, metadata=above)
        return await _over(handle, given.name)
    except RunExistsError:
        known = await engine.get(run_id)
    if known.plan.version == plan.version:  # how many steps may be under way is no change
        plan = known.plan
        session.compiled = replace(session.compiled, plan=plan)
    if concurrency.group:
        group = Group(concurrency.group, host.journal)
        await before_again(host, group, concurrency.on_busy, run_id)
    if run_id in {each.run_id for each in engine.under_way}:  # an earlier try, which is canceled
        with suppress(OneiricError):
            await (await engine.resume(run_id))

    async def take() -> RunHandle | None:
        known = await engine.get(run_id)
        if known.state is RunState.SUCCEEDED:
            return None
        session.writers.update(writers_in(await host.journal.read(run_id)))
        take_up = engine.retry if known.state.is_over else engine.resume
        return await take_up(run_id, plan, force=session.is_forced)

    again = await taken_up(
        run_id, take, clock=host.clock, seconds=host.lease_seconds, notice=partial(_told, given)
    )
    return await engine.get(run_id) if again is None else await _over(again, given.name)


def _told(given: Given, line: str) -> None:
    tell(f"{given.name}: {line}")


async def _over(handle: RunHandle, step: str) -> Run:
    """Return a run when it is over, and tell which of its steps somebody has to answer."""
    told: set[str] = set()
    while not (run := await handle.settled()).state.is_over:
        for name in [name for name in run.assigned if name not in told]:
            told.add(name)
            tell(f"{step}: {name} waits for an answer: oneiric recipe approve {run.run_id} {name}")
        with suppress(TimeoutError):
            async with asyncio.timeout(_PACE_SECONDS):
                return await handle
    return run


async def _ended(engine: RunEngine, run_id: str, sessions: Sessions, session: Session) -> None:
    """Cancel a run, and forget it when it is over."""
    with suppress(OneiricError):
        handle = await engine.resume(run_id)
        await engine.cancel(run_id, reason="its parent is stopped")
        await handle
    sessions.end(run_id, session)


def _taken(given: Given, aside: Context, run: Run) -> Envelope:
    if run.state is not RunState.SUCCEEDED:
        message = (run.error or {}).get("message") or ""
        reason = f"the run {run.run_id} of {run.plan.name} ended as {run.state}: {message}"
        code = ApprovalDeniedError.code if is_denied(run) else "recipe-failed"
        raise StepError(given.name, reason, code=code)
    last = {change.key: change for change in run.context.history}
    keys = [key for key in last if given.outputs is None or key in given.outputs]
    for key in keys:
        aside.set(key, last[key].value, who=last[key].who)
    return {"status": "ok", "outputs": keys, "run_id": run.run_id}
