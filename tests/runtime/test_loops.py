"""Work in the background that is never quietly dead."""

import asyncio

import pytest

from oneiric.runtime.loops import CALM_SECONDS, LoopFailedError, Loops
from oneiric.testing import ManualClock

MOST = 3


class Trouble:
    """A loop that fails whenever it is told to."""

    def __init__(self) -> None:
        self.begun = 0
        self.fails = asyncio.Event()

    async def run(self) -> None:
        self.begun += 1
        await self.fails.wait()
        self.fails.clear()
        raise ConnectionError("no line")


def unheard(error: LoopFailedError) -> None:
    """Fail: nothing gives up here."""
    pytest.fail(error.message)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_defect_oneiric_a2_a_loop_that_fails_is_begun_again_ever_later() -> None:
    """Its status says how often it failed in a row, and why."""
    clock, trouble = ManualClock(), Trouble()
    async with Loops(clock, unheard, most=MOST) as loops, loops.running("line", trouble.run):
        await settle()
        for failures, seconds in ((1, 0.5), (2, 1.0)):
            trouble.fails.set()
            await settle()
            status = loops.statuses["line"]
            assert (status.failures, status.problem) == (failures, "ConnectionError: no line")
            assert trouble.begun == failures
            clock.advance(seconds)
            await settle()
            assert trouble.begun == failures + 1
        assert loops.is_running("line")
    assert not loops.is_running("line")


async def test_too_many_failures_in_a_row_are_told_once() -> None:
    """Then the loop is over."""
    clock, trouble, told = ManualClock(), Trouble(), list[LoopFailedError]()
    async with Loops(clock, told.append, most=MOST) as loops, loops.running("line", trouble.run):
        for _ in range(MOST):
            await settle()
            trouble.fails.set()
            await settle()
            clock.advance(60)
        await settle()
        assert not loops.is_running("line")

    assert trouble.begun == MOST
    assert [each.message for each in told] == [
        "line failed 3 times in a row: ConnectionError: no line"
    ]
    assert told[0].details() == {
        "loop": "line",
        "failures": MOST,
        "reason": "ConnectionError: no line",
    }


async def test_a_loop_that_ran_well_for_a_while_fails_for_the_first_time_again() -> None:
    """A failure an hour never ends anything."""
    clock, trouble = ManualClock(), Trouble()
    async with Loops(clock, unheard, most=MOST) as loops, loops.running("line", trouble.run):
        for _ in range(MOST * 3):
            await settle()
            clock.advance(CALM_SECONDS)
            trouble.fails.set()
            await settle()
            assert loops.statuses["line"].failures == 1
            clock.advance(0.5)


async def test_a_loop_that_returns_is_over_and_one_that_is_begun_lasts_to_the_end() -> None:
    """Neither has failed; nothing is left of either."""
    loops = Loops(ManualClock(), unheard)

    async def once() -> None:
        await asyncio.sleep(0)

    async with loops:
        loops.begin("once", once)
        loops.begin("ever", asyncio.Event().wait)
        await settle()
        assert [loops.is_running(name) for name in ("once", "ever")] == [False, True]
    assert [status.as_json() for status in loops.statuses.values()] == [
        {"running": False, "failures": 0, "problem": ""}
    ] * 2
