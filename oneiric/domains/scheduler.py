"""Begin tasks and workflows when they are due, once, however many processes look."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from oneiric.clock import rfc3339, uuid7
from oneiric.core.logging import get_logger
from oneiric.domains.schedule import InvalidScheduleError, Schedule, read_schedule
from oneiric.errors import OneiricError, PausedError, RunExistsError, UnavailableError
from oneiric.ports.schedules import Progress

if TYPE_CHECKING:
    from oneiric.clock import Clock
    from oneiric.domains.tasks import TaskBridge
    from oneiric.domains.workflows import WorkflowBridge
    from oneiric.ports.schedules import ScheduleProgress

KEY = "schedule"
TOLERANCE = timedelta(seconds=60)
LONGEST_SLEEP = 30.0
"""Seconds after which the calendar is looked at again, in case the date was set."""


class Scheduler:
    """Begin what the metadata of tasks and workflows schedules, under `schedule`.

    A run is begun under an id that follows from its schedule and the time it is due, so that
    of several processes one begins it. What was dealt with is remembered: after a restart
    nothing is begun again, and what was missed meanwhile is made up for as the schedule says.
    While a task or workflow is paused, nothing of it is begun; later that counts as missed.
    """

    def __init__(
        self,
        tasks: TaskBridge,
        workflows: WorkflowBridge,
        progress: ScheduleProgress,
        *,
        clock: Clock,
        tolerance: timedelta = TOLERANCE,
    ) -> None:
        self._bridges = (tasks, workflows)
        self._progress = progress
        self._clock = clock
        self._tolerance = tolerance
        self._log = get_logger(__name__)
        self._schedules: tuple[Schedule, ...] = ()
        self._problems: set[str] = set()
        self._generation = -1

    @property
    def schedules(self) -> tuple[Schedule, ...]:
        """What is scheduled now; a wrong schedule is logged once and left out."""
        registry = self._bridges[0].lifecycle.resolver.registry
        if registry.generation != self._generation:
            self._generation = registry.generation
            self._schedules = tuple(self._read())
        return self._schedules

    async def run(self) -> None:
        """Look at the calendar whenever something is due, without end."""
        while True:
            await self._clock.sleep(await self.look())

    async def look(self) -> float:
        """Begin what is due now, and return the seconds until to look again."""
        now, wait = self._clock.now(), LONGEST_SLEEP
        for schedule in self.schedules:
            try:
                upcoming = await self._look_at(schedule, now)
            except UnavailableError as error:
                self._log.error("schedule-failed", ref=schedule.ref, reason=error.message)
                upcoming = now + timedelta(seconds=1)
            if upcoming is not None:
                wait = min(wait, max((upcoming - now).total_seconds(), 0.0))
        return wait

    async def _look_at(self, schedule: Schedule, now: datetime) -> datetime | None:
        stored = await self._progress.get(schedule.ref)
        if stored is not None and stored.last > now + self._tolerance:
            stored = await self._set_back(schedule, stored, now)
        if stored is None or stored.digest != schedule.digest:
            begun = Progress(schedule.digest, now, now)
            await self._progress.put(schedule.ref, begun, after=stored)
            return schedule.next(begun, now)
        if now > stored.last and next(
            schedule.rule.until(now, since=stored.last, anchor=stored.since), None
        ):
            due = schedule.due(stored, now, self._tolerance)
            done = [moment for moment in due if await self._begin(schedule, moment)]
            if len(done) < len(due):  # paused: it stays due
                return now + timedelta(seconds=LONGEST_SLEEP)
            progress = replace(stored, last=now, taken=stored.taken + len(done))
            if await self._progress.put(schedule.ref, progress, after=stored):
                stored = progress
        return schedule.next(stored, now)

    async def _set_back(self, schedule: Schedule, stored: Progress, now: datetime) -> Progress:
        """Look from *now* on again after the date was wrong; what was begun is not begun twice."""
        self._log.warning("clock-set-back", ref=schedule.ref, looked=rfc3339(stored.last))
        right = replace(stored, last=now, since=min(stored.since, now))
        await self._progress.put(schedule.ref, right, after=stored)
        return right

    async def _begin(self, schedule: Schedule, due: datetime) -> bool:
        """Begin one run, and tell whether it is dealt with."""
        domain, _, key = schedule.ref.partition(":")
        bridge = next(each for each in self._bridges if each.domain.name == domain)
        run_id, at = occurrence_id(schedule.ref, due), rfc3339(due)
        told = {"ref": schedule.ref, "due": at, "run": run_id}
        try:
            await bridge.start(
                key,
                schedule.payload,
                run_id=run_id,
                metadata={KEY: {"ref": schedule.ref, "due": at}},
            )
        except RunExistsError:
            return True  # another process was faster
        except PausedError:
            return False
        except UnavailableError:
            raise
        except OneiricError as error:
            self._log.error("scheduled-run-not-begun", **told, reason=error.message)
            return True
        self._log.info("scheduled-run-begun", **told)
        return True

    def _read(self) -> Iterator[Schedule]:
        for bridge in self._bridges:
            for decision in bridge.decisions():
                winner = decision.winner
                if winner is None or KEY not in winner.metadata:
                    continue
                try:
                    yield read_schedule(str(decision.ref), winner.metadata[KEY])
                except InvalidScheduleError as error:
                    problem = f"{winner.offer}: {error.message}"
                    if problem not in self._problems:
                        self._log.error(
                            "schedule-left-out", offer=str(winner.offer), reason=error.message
                        )
                    self._problems.add(problem)


def occurrence_id(ref: str, due: datetime) -> str:
    """Return the id of the run that is due at one time: the same in every process.

    >>> from datetime import UTC
    >>> occurrence_id("task:report", datetime(2026, 11, 21, tzinfo=UTC))
    '01a1fb67-1800-7000-89a5-272354981be0'
    """
    random = hashlib.sha256(f"{ref}\0{rfc3339(due)}".encode()).digest()[:8]
    return uuid7(int(due.timestamp() * 1000) << 12, int.from_bytes(random) >> 2)
