"""How fast each host may be asked."""

from __future__ import annotations

from oneiric.clock import Clock

_MOST_HOSTS = 1_000


class Pace:
    """Space requests to each host, after as many at once as it may get in a second.

    Args:
        per_second: requests that a host gets in a second; 0 for any number.
    """

    def __init__(self, per_second: float, clock: Clock) -> None:
        self._interval = 1 / per_second if per_second else 0.0
        self._ahead = max(0.0, 1.0 - self._interval)
        self._clock = clock
        self._due: dict[str, float] = {}

    async def wait(self, host: str) -> None:
        """Return when *host* may be asked once more."""
        if not self._interval:
            return
        now = self._clock.monotonic()
        due = max(self._due.get(host, now), now)
        if len(self._due) > _MOST_HOSTS:
            self._due = {name: at for name, at in self._due.items() if at > now}
        self._due[host] = due + self._interval
        if (pause := due - now - self._ahead) > 0:
            await self._clock.sleep(pause)
