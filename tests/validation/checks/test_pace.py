"""How fast hosts are asked, and who waits for whom."""

import asyncio

import pytest

from oneiric.testing import ManualClock
from oneiric.validation.checks.pace import Pace


class Asking:
    """Whoever asks: a pace of two requests a second, and a few places."""

    def __init__(self, places: int) -> None:
        self.clock = ManualClock()
        self.places = asyncio.Semaphore(places)
        self.pace = Pace(2, self.clock)
        self.asked: list[tuple[float, str]] = []

    async def ask(self, host: str, name: str = "") -> None:
        """Take a place, and give it back at once."""
        await self.pace.take(self.places, host)
        self.asked.append((self.clock.monotonic(), name or host))
        self.places.release()

    def begin(self, host: str, name: str = "") -> asyncio.Task[None]:
        """Ask beside the test."""
        return asyncio.ensure_future(self.ask(host, name))


@pytest.fixture
async def asking() -> Asking:
    """Somebody with two places."""
    return Asking(2)


async def settled() -> None:
    """Let everybody go as far as they can without the clock."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_who_waits_for_a_slow_host_keeps_no_place_from_others(asking: Asking) -> None:
    """A host at its limit holds up nobody who asks another."""
    waiting = [asking.begin("slow", str(number)) for number in range(6)]
    await settled()
    begun = asking.clock.monotonic()
    await asyncio.wait_for(asking.ask("other"), 30)
    assert (begun, "other") in asking.asked
    assert [name for _, name in asking.asked] == ["0", "1", "other"]
    while not all(each.done() for each in waiting):
        asking.clock.advance(0.5)
        await settled()
    assert [name for _, name in asking.asked] == ["0", "1", "other", "2", "3", "4", "5"]
    times = [at - begun for at, name in asking.asked if name != "other"]
    assert times == [0, 0, 0.5, 1.0, 1.5, 2.0]


async def test_requests_that_waited_for_places_do_not_come_at_once_then(asking: Asking) -> None:
    """What a host gets in a second is counted when it is asked, not when that was wished for."""
    for _ in range(2):
        await asking.places.acquire()
    waiting = [asking.begin("slow") for _ in range(5)]
    for _ in range(20):
        asking.clock.advance(0.5)
        await settled()
    assert asking.asked == []
    for _ in range(2):
        asking.places.release()
    await settled()
    assert len(asking.asked) == 2
    for count in (3, 4, 5):
        asking.clock.advance(0.5)
        await settled()
        assert len(asking.asked) == count
    await asyncio.gather(*waiting)


@pytest.mark.parametrize("are_places_free", [True, False])
async def test_who_stops_waiting_holds_up_nobody(asking: Asking, are_places_free: bool) -> None:
    """Neither the turn of the host nor a place is lost."""
    await asking.ask("slow")
    await asking.ask("slow")
    for _ in range(0 if are_places_free else 2):
        await asking.places.acquire()
    gone, last = asking.begin("slow", "gone"), asking.begin("slow", "last")
    await settled()
    gone.cancel()
    await settled()
    for _ in range(0 if are_places_free else 2):
        asking.places.release()
    asking.clock.advance(0.5)
    await asyncio.wait_for(last, 30)
    assert [name for _, name in asking.asked] == ["slow", "slow", "last"]
    assert not asking.places.locked()
