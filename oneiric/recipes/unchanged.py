"""Whether recipes within one are still what they were when a run of it was begun."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from oneiric.errors import PlanChangedError
from oneiric.recipes.turn_step import with_turn
from oneiric.runs.check import changes
from oneiric.runs.context import StepContext
from oneiric.runs.run import fold
from oneiric.runs.state import RunState, StepState

if TYPE_CHECKING:
    from oneiric.recipes.compiling import Compiled
    from oneiric.runs.journal import Journal
    from oneiric.runs.plan import Plan
    from oneiric.runs.run import Run


def run_within(context: StepContext) -> str:
    """Return the id of the run by which a step does its recipe; whoever does it, it is the same."""
    return str(UUID(context.idempotency_key))


def plan_within(child: Compiled) -> Plan:
    """Return the plan by which a recipe is run within another, in the turn of its own group."""
    concurrency = child.recipe.spec.concurrency
    return with_turn(child.plan, concurrency.group, concurrency.on_busy)


async def check_unchanged(run: Run, compiled: Compiled, journal: Journal) -> None:
    """Pass if the recipes that a run has yet to go on with are what it began with, however deep.

    Raises:
        PlanChangedError: one is not; tells what differs.
    """
    for name, child in compiled.children.items():
        step = run.steps.get(name)
        if step is None or step.state is StepState.SUCCEEDED:
            continue
        place = StepContext(run.run_id, name, step.attempt, round=step.round)
        events = await journal.read(run_within(place))
        if not events or (within := fold(events)).state is RunState.SUCCEEDED:
            continue
        if within.plan.version != child.plan.version:
            differs = changes(within.plan, plan_within(child))
            raise PlanChangedError(within.run_id, within.plan.name, differs)
        await check_unchanged(within, child, journal)
