"""How long to wait before the next attempt."""

from dataclasses import dataclass

LONGEST_SECONDS = 1_000_000_000
"""What any time limit and any delay may be at most: some thirty years."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Grow a delay from one attempt to the next, up to a limit.

    >>> backoff = Backoff(base_seconds=1, factor=2, max_seconds=5)
    >>> [backoff.delay(attempt) for attempt in (1, 2, 3, 4)]
    [1.0, 2.0, 4.0, 5.0]
    """

    base_seconds: float = 1.0
    factor: float = 2.0
    max_seconds: float = 60.0
    jitter: float = 0.0

    @property
    def problem(self) -> str:
        """Why it gives no delays that could be waited for, or an empty string."""
        if not 0 < self.factor <= LONGEST_SECONDS:
            return f"the factor is above 0, and at most {LONGEST_SECONDS}"
        seconds = (self.base_seconds, self.max_seconds)
        if not 0 <= min(seconds) <= max(seconds) <= LONGEST_SECONDS:
            return f"seconds are 0 to {LONGEST_SECONDS}"
        return "" if 0 <= self.jitter <= 1 else "the jitter is 0 to 1"

    def delay(self, attempt: int, *, chance: float = 0.0) -> float:
        """Return the seconds to wait after *attempt* (from 1) failed.

        *chance* is a random number in [0, 1): the delay shrinks by up to `jitter` of itself.
        """
        try:
            grown = self.base_seconds * float(self.factor) ** (max(attempt, 1) - 1)
        except OverflowError:
            grown = self.max_seconds if self.base_seconds else 0.0
        full = min(grown, self.max_seconds)
        return float(full * (1 - self.jitter * chance))
