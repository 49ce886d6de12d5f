"""How fast each host may be asked."""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary

from oneiric.clock import Clock

_MOST_HOSTS = 1_000


class Pace:
    """Space requests to each host, after as many at once as it may get in a second.

    Who waits for a host keeps no place from those who ask others. They take their turns in the
    order in which they came, and one at a time waits for a place, so that what was spaced does
    not come at once when places are free again.

    Args:
        per_second: requests that a host gets in a second; 0 for any number.
    """

    def __init__(self, per_second: float, clock: Clock) -> None:
        self._interval = 1 / per_second if per_second else 0.0
        self._ahead = max(0.0, 1.0 - self._interval)
        self._clock = clock
        self._due: dict[str, float] = {}
        self._turns = WeakValueDictionary[str, asyncio.Lock]()

    async def take(self, places: asyncio.Semaphore, host: str) -> None:
        """Take one of *places* when *host* may be asked once more; the caller releases it."""
        if not self._interval:
            await places.acquire()
            return
        turn = self._turns.setdefault(host, asyncio.Lock())
        async with turn:
            if (pause := self._next(host) - self._clock.monotonic() - self._ahead) > 0:
                await self._clock.sleep(pause)
            await places.acquire()
            self._due[host] = self._next(host) + self._interval

    def _next(self, host: str) -> float:
        """Return when *host* is due, which is now where it was due before."""
        now = self._clock.monotonic()
        if len(self._due) > _MOST_HOSTS:
            self._due = {name: at for name, at in self._due.items() if at > now}
        return max(self._due.get(host, now), now)
