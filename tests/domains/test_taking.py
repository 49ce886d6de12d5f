"""Taking up a run whose holder is gone: it is waited for, and that is told."""

import asyncio

import pytest

from oneiric.domains.taking import taken_up
from oneiric.errors import LockedError
from oneiric.testing import ManualClock

LEASE_SECONDS = 30.0


class Held:
    """A run that somebody holds until the clock stands at *until*."""

    def __init__(self, clock: ManualClock, until: float) -> None:
        self.clock = clock
        self.until = until
        self.told: list[str] = []

    async def take(self) -> str:
        if self.clock.monotonic() < self.until:
            raise LockedError("another engine holds it")
        return "taken"

    async def taken_up(self) -> str:
        """Take it up, with the clock going on as often as it is waited on."""
        taking = asyncio.ensure_future(
            taken_up(
                "r-1",
                self.take,
                clock=self.clock,
                seconds=LEASE_SECONDS,
                notice=self.told.append,
            )
        )
        while not taking.done():
            waiting = asyncio.ensure_future(self.clock.until_waiting())
            await asyncio.wait({taking, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            self.clock.advance(0.25)
        return await taking


async def test_a_run_that_nobody_holds_is_taken_up_without_a_word() -> None:
    """There is nothing to wait for, and so nothing to tell."""
    held = Held(ManualClock(), 0)
    assert await held.taken_up() == "taken"
    assert held.told == []


async def test_a_run_that_is_held_is_taken_up_when_the_claim_ends_and_that_is_told_once() -> None:
    """For which run is waited, and for how long at most."""
    held = Held(ManualClock(), LEASE_SECONDS)
    assert await held.taken_up() == "taken"
    assert held.told == ["waits until nobody holds the run r-1: 30 s at most"]


async def test_a_run_whose_holder_lives_is_refused_at_the_end() -> None:
    """A claim that outlasts the lease was renewed, by a process that lives."""
    held = Held(ManualClock(), 2 * LEASE_SECONDS)
    with pytest.raises(LockedError):
        await held.taken_up()
    assert len(held.told) == 1
    assert held.clock.monotonic() < LEASE_SECONDS + 2
