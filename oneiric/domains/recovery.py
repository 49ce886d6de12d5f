"""Take up the runs of tasks and workflows that somebody left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oneiric.core.logging import get_logger
from oneiric.errors import InvalidError, LockedError, OneiricError, UnavailableError

if TYPE_CHECKING:
    from oneiric.clock import Clock
    from oneiric.runs.body import Bodies
    from oneiric.runs.engine import RunEngine, RunHandle
    from oneiric.runs.journal import Journal

NAMES = ("task:", "workflow:")
EVERY_SECONDS = 10.0
_PAGE = 100


class Recovery:
    """Look for open runs that nobody holds any more, and go on with them.

    Those of tasks and workflows only, and only where all that they have left to do can be done
    here. So a run whose worker was killed is finished by another, and one that waits for a
    signal is heard again.
    """

    def __init__(
        self, engine: RunEngine, journal: Journal, bodies: Bodies, *, clock: Clock
    ) -> None:
        self._engine = engine
        self._journal = journal
        self._bodies = bodies
        self._clock = clock
        self._log = get_logger(__name__)

    async def run(self) -> None:
        """Look now, and then at every interval, without end."""
        while True:
            try:
                await self.look()
            except UnavailableError as error:
                self._log.error("recovery-failed", reason=error.message)
            await self._clock.sleep(EVERY_SECONDS)

    async def look(self) -> list[RunHandle]:
        """Take up what nobody holds now, and return it under way.

        Raises:
            StoreError: the journal cannot be read.
        """
        found: list[RunHandle] = []
        before = ""
        while page := await self._journal.runs(open_only=True, before=before, limit=_PAGE):
            before = page[-1].run_id
            for record in page:
                if record.is_held or not record.name.startswith(NAMES):
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

    async def _can_do(self, run_id: str) -> bool:
        run = await self._engine.get(run_id)
        left = [each.step for each in run.steps.values() if not each.state.is_over]
        targets = {step.target for step in left} | {step.compensation for step in left}
        unknown = sorted(target for target in targets - {""} if self._bodies.problem(target))
        if unknown:
            self._log.warning("run-left-to-others", run=run_id, targets=unknown)
        return not unknown
