"""Take up the runs of tasks, workflows and events that somebody left."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from oneiric.core.guard import attempt_async
from oneiric.core.logging import get_logger
from oneiric.domains.events.runs import DISPATCH
from oneiric.errors import InvalidError, LockedError, OneiricError, UnavailableError
from oneiric.runs.journal import left_runs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oneiric.clock import Clock
    from oneiric.runs.body import Bodies
    from oneiric.runs.engine import RunEngine, RunHandle
    from oneiric.runs.journal import Journal
    from oneiric.runs.run import Run

NAMES = ("task:", "workflow:", DISPATCH)
EVERY_SECONDS = 10.0
AT_ONCE = 16


class Recovery:
    """Look for open runs that nobody holds any more, and go on with them.

    Those of tasks, workflows and events only, and only where all that they have left to do can be
    done here. So a run whose worker was killed is finished by another, and one that waits for a
    signal is heard again. At most *at_once* of them are under way at the same time, those that
    wait for somebody outside not counted; the rest is for others, or for later.
    """

    def __init__(
        self,
        engine: RunEngine,
        journal: Journal,
        bodies: Bodies,
        *,
        clock: Clock,
        at_once: int = AT_ONCE,
    ) -> None:
        self._engine = engine
        self._journal = journal
        self._bodies = bodies
        self._clock = clock
        self._at_once = at_once
        self._busy: set[str] = set()
        self._has_room = asyncio.Event()
        self._log = get_logger(__name__)

    async def run(self) -> None:
        """Look now, and then at every interval or when there is room for more, without end."""
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    for handle in await self.look():
                        self._busy.add(handle.run_id)
                        group.create_task(self._watch(handle))
                except UnavailableError as error:
                    self._log.error("recovery-failed", reason=error.message)
                if len(self._busy) < self._at_once:
                    await self._clock.sleep(EVERY_SECONDS)
                else:
                    self._has_room.clear()
                    await self._has_room.wait()

    async def look(self) -> list[RunHandle]:
        """Take up what nobody holds now, as far as there is room, and return it under way.

        Raises:
            StoreError: the journal cannot be read.
        """
        found: list[RunHandle] = []
        async with aclosing(left_runs(self._journal)) as left:
            async for record in left:
                if len(self._busy) + len(found) >= self._at_once:
                    return found
                if not record.name.startswith(NAMES):
                    continue
                try:
                    if await self._can_do(record.run_id):
                        found.append(await self._engine.resume(record.run_id))
                        self._log.info("run-recovered", run=record.run_id, name=record.name)
                except (LockedError, InvalidError):  # somebody else was faster
                    continue
                except OneiricError as error:
                    self._log.error("run-not-recovered", run=record.run_id, reason=error.message)
        return found

    async def _watch(self, handle: RunHandle) -> None:
        """Make room when a run is no longer worked on."""
        try:
            await attempt_async(handle.settled())  # the engine tells what went wrong
        finally:
            self._busy.discard(handle.run_id)
            if len(self._busy) <= self._at_once // 2:
                self._has_room.set()

    async def _can_do(self, run_id: str) -> bool:
        run = await self._engine.get(run_id)
        left = [name for name, each in run.steps.items() if not each.state.is_over]
        if unknown := undoable(run, left, self._bodies):
            targets = sorted({target for target, _ in unknown.values()})
            self._log.warning("run-left-to-others", run=run_id, targets=targets)
        return not unknown


def undoable(run: Run, steps: Iterable[str], bodies: Bodies) -> dict[str, tuple[str, str]]:
    """Return which of *steps* nobody here can do: what of them, as its target and the reason."""
    found: dict[str, tuple[str, str]] = {}
    for name in steps:
        step = run.steps[name].step
        for field, target in (("target", step.target), ("compensation", step.compensation)):
            if target and (why := bodies.problem(target)):
                found[f"steps.{name}.{field}"] = target, why
    return found
