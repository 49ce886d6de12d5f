"""Clocks that jump: the date moves as it likes, and claims are counted by the steady count."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from oneiric.clock import SystemClock, rfc3339
from oneiric.runs.event import EventKind, RunEvent
from oneiric.runs.journal import Journal, MemoryJournal
from oneiric.stores.journal import SqliteJournal
from oneiric.stores.upkeep import check, prune
from oneiric.testing import ManualClock
from tests.runs.journal_laws import created, event

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class WrongClock(ManualClock):
    """A steady count with a date that is set by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.date = NOON

    def now(self) -> datetime:
        return self.date


@pytest.fixture
def clock() -> WrongClock:
    return WrongClock()


@pytest.fixture(params=["memory", "sqlite"])
async def journal(
    clock: WrongClock, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Journal]:
    made: Journal = MemoryJournal(clock)
    if request.param == "sqlite":
        made = SqliteJournal(tmp_path / "oneiric.sqlite", clock=clock)
    yield made
    await made.aclose()


@pytest.mark.parametrize("jump", [timedelta(days=3650), timedelta(days=-3650)])
async def test_promise_w8_the_date_ends_no_claim(
    journal: Journal, clock: WrongClock, jump: timedelta
) -> None:
    """A date set forward or back ends no claim early, and lets none last for ever."""
    _, lease = await journal.create("r1", [created("r1")], holder="me", seconds=10)
    clock.date += jump
    assert await journal.claim("r1", holder="you", seconds=10) is None
    await journal.append("r1", [event("r1", EventKind.NOTED)], lease=lease)
    clock.advance(10.5)
    assert await journal.claim("r1", holder="you", seconds=10) is not None


async def test_events_keep_their_order_when_the_date_goes_back(
    journal: Journal, clock: WrongClock
) -> None:
    """The order of events is that of their numbers, whatever the dates say."""
    await journal.create("r1", [created("r1")])
    for hours in (0, -5, 3, -9):
        at = rfc3339(clock.date + timedelta(hours=hours))
        await journal.append("r1", [RunEvent("r1", EventKind.NOTED, at, data={"hours": hours})])
    stored = await journal.read("r1", after=1)
    assert [each.data["hours"] for each in stored] == [0, -5, 3, -9]


def test_runs_that_ended_in_the_future_are_kept_until_then(tmp_path: Path) -> None:
    """Pruning by a date that was set back deletes too little, never too much."""
    path = tmp_path / "oneiric.sqlite"

    async def fill() -> None:
        journal = SqliteJournal(path, clock=SystemClock())
        for run_id, hours in (("r1", -1), ("r2", 1)):
            at = rfc3339(NOON + timedelta(hours=hours))
            ended = RunEvent(run_id, EventKind.RUN_ENDED, at, data={"state": "succeeded"})
            await journal.create(run_id, [created(run_id), ended])
        await journal.aclose()

    asyncio.run(fill())
    assert prune(path, ended_before=NOON) == 1
    assert check(path).runs == 1
