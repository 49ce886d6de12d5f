"""How long things took: a count, and percentiles of the latest."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from oneiric.errors import JSONValue

WINDOW = 1_000


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """Count all samples; give percentiles of the last thousand, in milliseconds."""

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float

    def as_json(self) -> dict[str, JSONValue]:
        """Return `{"count", "p50_ms", "p95_ms", "p99_ms"}`."""
        return {
            "count": self.count,
            "p50_ms": round(self.p50_ms, 3),
            "p95_ms": round(self.p95_ms, 3),
            "p99_ms": round(self.p99_ms, 3),
        }


class Latency:
    """Collect durations.

    >>> latency = Latency()
    >>> for milliseconds in (1.0, 2.0, 3.0):
    ...     latency.add(milliseconds)
    >>> latency.summary().p50_ms
    2.0
    """

    __slots__ = ("_count", "_samples")

    def __init__(self) -> None:
        self._count = 0
        self._samples: deque[float] = deque(maxlen=WINDOW)

    def add(self, milliseconds: float) -> None:
        """Add one duration."""
        self._count += 1
        self._samples.append(milliseconds)

    def summary(self) -> LatencySummary:
        """Return the count and the percentiles; zeros when nothing was added."""
        ordered = sorted(self._samples)
        return LatencySummary(self._count, *(_nearest_rank(ordered, p) for p in (50, 95, 99)))


def _nearest_rank(ordered: list[float], percent: int) -> float:
    if not ordered:
        return 0.0
    return ordered[-(-len(ordered) * percent // 100) - 1]
