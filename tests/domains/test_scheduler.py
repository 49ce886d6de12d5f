"""Runs that begin by themselves: on time, once, and over restarts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from oneiric.core.candidate import Candidate
from oneiric.domains.scheduler import Scheduler, occurrence_id
from oneiric.errors import JSONValue
from oneiric.runs.journal import MemoryJournal
from oneiric.stores.schedules import ScheduleStore
from oneiric.testing import ManualClock
from oneiric.testing.clock import EPOCH
from tests.domains.works import Script, Workplace, task, workflow, workplace

HOURLY: JSONValue = {"cron": "0 * * * *", "payload": {"n": 1}}


@pytest.fixture
def clock() -> ManualClock:
    """Time from the first moment of 2026."""
    return ManualClock()


@pytest.fixture
def store(tmp_path: Path) -> ScheduleStore:
    """What processes share."""
    return ScheduleStore(tmp_path / "state.sqlite")


@asynccontextmanager
async def scheduled(
    *offers: Candidate, clock: ManualClock, store: ScheduleStore, **more: Any
) -> AsyncIterator[tuple[Workplace, Scheduler]]:
    async with workplace(*offers, clock=clock, **more) as place:
        yield place, Scheduler(place.tasks, place.workflows, store, clock=clock)


async def settled(place: Workplace) -> None:
    records = await place.journal.runs(open_only=True)
    for handle in [await place.engine.resume(record.run_id) for record in records]:
        await handle


async def test_what_is_due_is_begun_once(clock: ManualClock, store: ScheduleStore) -> None:
    """With its payload, under the id of its time; nothing before, nothing twice."""
    script = Script()
    report = task("report", script.task("report"), metadata={"schedule": HOURLY})
    async with scheduled(report, clock=clock, store=store) as (place, scheduler):
        assert await scheduler.look() == 30.0
        assert await place.journal.runs() == []
        clock.advance(3600)
        await scheduler.look()
        await scheduler.look()
        await settled(place)
        (record,) = await place.journal.runs()
        due = EPOCH + timedelta(hours=1)
        assert record.run_id == occurrence_id("task:report", due)
        run = await place.engine.get(record.run_id)
        said = {"ref": "task:report", "due": "2026-01-01T01:00:00.000000Z"}
        assert (run.input, run.metadata["schedule"]) == ({"n": 1}, said)
    assert script.names == ["report"]


async def test_it_sleeps_no_longer_than_until_something_is_due(
    clock: ManualClock, store: ScheduleStore
) -> None:
    """And looks at the calendar now and then, in case the date was set."""
    soon = task("soon", object, metadata={"schedule": {"interval_seconds": 7}})
    async with scheduled(soon, clock=clock, store=store) as (_, scheduler):
        assert await scheduler.look() == 7.0
        clock.advance(3)
        assert await scheduler.look() == 4.0


async def test_two_processes_begin_each_occurrence_once(
    clock: ManualClock, store: ScheduleStore
) -> None:
    """Whoever is second finds the run there, and neither forgets or counts twice."""
    script, journal = Script(), MemoryJournal(clock)
    rule: JSONValue = {"interval_seconds": 60, "max_runs": 2}
    report = task("report", script.task("report"), metadata={"schedule": rule})
    more: Any = {"clock": clock, "store": store, "journal": journal}
    async with scheduled(report, **more) as one, scheduled(report, **more) as other:
        for _, scheduler in (one, other):
            await scheduler.look()
        for _ in range(4):
            clock.advance(60)
            for _, scheduler in (one, other):
                await scheduler.look()
        for place, _ in (one, other):
            await settled(place)
        found = await store.get("task:report")
    assert script.names == ["report", "report"]
    assert found is not None
    assert found.taken == 2


@pytest.mark.parametrize(("missed", "count"), [("skip", 0), ("once", 1), ("all", 5)])
async def test_a_restart_makes_up_for_what_was_missed(
    clock: ManualClock, store: ScheduleStore, missed: str, count: int
) -> None:
    """As the schedule says; what was begun before is not begun again."""
    script, journal = Script(), MemoryJournal(clock)
    rule: JSONValue = {"cron": "0 * * * *", "missed": missed}
    report = task("report", script.task("report"), metadata={"schedule": rule})
    more: Any = {"clock": clock, "store": store, "journal": journal}
    async with scheduled(report, **more) as (place, scheduler):
        await scheduler.look()
        clock.advance(3600)
        await scheduler.look()
        await settled(place)
    clock.advance(5 * 3600 + 600)
    async with scheduled(report, **more) as (place, scheduler):
        await scheduler.look()
        await scheduler.look()
        await settled(place)
    assert len(script.names) == 1 + count


async def test_a_new_or_changed_schedule_makes_up_for_nothing(
    clock: ManualClock, store: ScheduleStore
) -> None:
    """It begins when it was first seen."""
    script, journal = Script(), MemoryJournal(clock)
    more: Any = {"clock": clock, "store": store, "journal": journal}
    for minute in ("0", "30"):
        rule: JSONValue = {"cron": f"{minute} * * * *", "missed": "all"}
        report = task("report", script.task("report"), metadata={"schedule": rule})
        async with scheduled(report, **more) as (_, scheduler):
            await scheduler.look()
        clock.advance(7200)
    assert script.names == []


async def test_workflows_are_scheduled_with_their_context(
    clock: ManualClock, store: ScheduleStore
) -> None:
    """A yearly one too; the payload is the run's context."""
    script = Script()
    yearly: JSONValue = {"cron": "0 0 1 feb *", "payload": {"year": 2026}}
    close = workflow("close", {"id": "a", "task": "a"}, metadata={"schedule": yearly})
    also = [task("a", script.task("a"))]
    async with scheduled(close, clock=clock, store=store, also=also) as (place, scheduler):
        await scheduler.look()
        clock.advance(31 * 86400)
        await scheduler.look()
        await settled(place)
    assert script.calls == [("a", {"year": 2026})]


async def test_promise_a1_what_is_paused_is_not_begun_and_not_lost(
    clock: ManualClock, store: ScheduleStore
) -> None:
    """When it is resumed, what was due meanwhile counts as missed."""
    script = Script()
    report = task("report", script.task("report"), metadata={"schedule": HOURLY})
    async with scheduled(report, clock=clock, store=store) as (place, scheduler):
        await scheduler.look()
        await place.tasks.pause("report")
        clock.advance(3 * 3600 + 300)
        await scheduler.look()
        assert await place.journal.runs() == []
        await place.tasks.resume("report")
        await scheduler.look()
        await settled(place)
    assert script.names == ["report"]


async def test_what_cannot_be_scheduled_is_told_once_and_stops_nobody(
    clock: ManualClock, store: ScheduleStore, caplog: pytest.LogCaptureFixture
) -> None:
    """A wrong rule is left out; a workflow that cannot be begun is told at each time."""
    script = Script()
    wrong = task("wrong", object, metadata={"schedule": {"cron": "nonsense"}})
    broken = workflow("broken", {"id": "a", "task": "gone"}, metadata={"schedule": HOURLY})
    report = task("report", script.task("report"), metadata={"schedule": HOURLY})
    async with scheduled(wrong, broken, report, clock=clock, store=store) as (place, scheduler):
        await scheduler.look()
        clock.advance(3600)
        await scheduler.look()
        await scheduler.look()
        await settled(place)
    told = [each.msg for each in caplog.records if each.levelname == "ERROR"]
    events = [each["event"] for each in told if isinstance(each, dict)]
    assert events == ["schedule-left-out", "scheduled-run-not-begun"]
    assert script.names == ["report"]


@pytest.mark.parametrize("missed", ["once", "skip"])
async def test_a_date_that_was_wrong_for_a_while_stops_no_schedule(
    clock: ManualClock, store: ScheduleStore, missed: str
) -> None:
    """A year ahead at one look and put right: every hour from then on is begun, once."""
    hourly = {"cron": "0 * * * *", "missed": missed}
    report = task("report", Script().task("report"), metadata={"schedule": hourly})
    async with scheduled(report, clock=clock, store=store) as (place, scheduler):
        await scheduler.look()
        clock.set_date(EPOCH + timedelta(days=365, minutes=30))
        await scheduler.look()
        clock.set_date(EPOCH + timedelta(seconds=10))
        for _ in range(12):
            await scheduler.look()
            clock.advance(3600)
        begun = [record.run_id for record in await place.journal.runs()]
    right = {occurrence_id("task:report", EPOCH + timedelta(hours=hour)) for hour in range(1, 12)}
    assert right <= set(begun)
    assert len(begun) <= 12
