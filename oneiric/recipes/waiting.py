"""When a run waits for somebody outside: itself, or by the recipes that it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from oneiric.runs.state import StepState

if TYPE_CHECKING:
    from oneiric.recipes.sessions import Sessions
    from oneiric.runs.engine import RunEngine, RunHandle
    from oneiric.runs.run import Run

_PACE_SECONDS = 0.1


async def settled(handle: RunHandle, engine: RunEngine, sessions: Sessions) -> Run:
    """Wait until a run is over, or waits for somebody outside, and return it.

    A step that is a recipe waits as the run of that does; nothing else may be left to do then.
    """
    if not sessions.of(handle.run_id).compiled.children:
        return await handle.settled()
    while True:
        try:
            async with asyncio.timeout(_PACE_SECONDS):
                return await handle.settled()
        except TimeoutError:
            runs = {run.run_id: run for run in engine.under_way}
            if _waits(handle.run_id, runs, sessions):
                return runs[handle.run_id]


def _waits(run_id: str, runs: Mapping[str, Run], sessions: Sessions) -> bool:
    run = runs.get(run_id)
    if run is None:
        return False
    within = sessions.of(run_id).within
    running = [name for name, step in run.steps.items() if step.state is StepState.RUNNING]
    if not all(name in within and _waits(within[name], runs, sessions) for name in running):
        return False
    held = {run.steps[name].step.group for name in (*running, *run.assigned)} - {""}
    return bool(running or run.assigned) and not any(
        step.state is StepState.QUEUED
        and not (step.step.is_final or step.step.group in held)
        and all(run.steps[name].state.is_over for name in step.step.depends_on)
        for step in run.steps.values()
    )
