"""A clock that a test moves by hand."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count

from oneiric.clock import uuid7

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class ManualClock:
    """Stand still until moved: a test of an hour's wait takes no time and never varies.

    `advance` wakes whoever's wait is over, in the order in which the waits end. A task
    that was woken runs at the next `await` of the test; a wait that it begins then is
    counted from the time that the clock was moved to.

    >>> import asyncio
    >>> clock = ManualClock()
    >>> async def wait(seconds: float) -> None:
    ...     await clock.sleep(seconds)
    ...     print(f"slept {seconds:g} s, it is {clock.now():%H:%M:%S}")
    >>> async def main() -> None:
    ...     async with asyncio.TaskGroup() as tasks:
    ...         tasks.create_task(wait(60.0))
    ...         tasks.create_task(wait(5.0))
    ...         await clock.until_waiting(2)
    ...         clock.advance(90.0)
    >>> asyncio.run(main())
    slept 5 s, it is 00:01:30
    slept 60 s, it is 00:01:30

    Ids count from 1 in their random part, so that a test can foretell them.

    Args:
        start: the date at first; `monotonic` starts from 0.
    """

    __slots__ = ("_arrived", "_elapsed", "_ids", "_order", "_sleepers", "_start")

    def __init__(self, start: datetime = EPOCH) -> None:
        self._start = start
        self._elapsed = 0.0
        self._ids = count(1)
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._arrived = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many tasks sleep on this clock."""
        return sum(not woken.done() for _, _, woken in self._sleepers)

    def now(self) -> datetime:
        """Return the date at which the clock stands, in UTC."""
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Return the seconds that the clock was moved in all."""
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was moved by *seconds*; without any, let others run once."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._sleepers, (self._elapsed + seconds, next(self._order), woken))
        self._arrived.set()
        await woken

    def new_id(self) -> str:
        """Return a new UUIDv7 as text: the clock's time, and a count."""
        milliseconds = int(self.now().timestamp() * 1000)
        return uuid7(milliseconds << 12, next(self._ids))

    def advance(self, seconds: float) -> None:
        """Move the clock and wake those whose wait is over; call it on the loop's thread.

        Raises:
            ValueError: *seconds* is negative.
        """
        if seconds < 0:
            raise ValueError(f"a clock does not go back {-seconds:g} s")
        self._elapsed += seconds
        while self._sleepers and self._sleepers[0][0] <= self._elapsed:
            _, _, woken = heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)

    def set_date(self, moment: datetime) -> None:
        """Set the date, forward or back, as people and time servers do; nobody's wait changes."""
        self._start = moment - timedelta(seconds=self._elapsed)

    async def until_waiting(self, sleepers: int = 1) -> None:
        """Let other tasks run until at least so many sleep on this clock."""
        while self.waiting < sleepers:
            self._arrived.clear()
            await self._arrived.wait()
