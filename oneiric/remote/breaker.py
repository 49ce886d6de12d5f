"""Leave a server alone that failed again and again, and say so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from oneiric.backoff import Backoff
from oneiric.clock import Clock, rfc3339
from oneiric.errors import JSONValue
from oneiric.remote.errors import BreakerOpenError, FetchFailedError


@dataclass(slots=True)
class _Record:
    failures: int = 0
    until: float = 0.0
    why: str = ""
    has_probe: bool = False


@dataclass(frozen=True, slots=True)
class BreakerState:
    """One server that failed lately: how often in a row, and for how long it is left alone."""

    origin: str
    failures: int
    seconds: float
    why: str

    @property
    def is_open(self) -> bool:
        """Whether it is not asked now."""
        return self.seconds > 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `{"origin", "open", "failures", "retry_in_seconds", "why"}`."""
        return {
            "origin": self.origin,
            "open": self.is_open,
            "failures": self.failures,
            "retry_in_seconds": round(self.seconds, 3),
            "why": self.why,
        }


class Breakers:
    """Count what failed, origin by origin.

    After `failures` in a row an origin is not asked for a time that grows while it goes on
    failing. Then one caller may try; the others are refused until that one knows. What was
    asked for and came closes the breaker. A refusal, such as that there is no such file, says
    nothing of what else the server can do: it neither counts nor closes.

    Args:
        clock: tells the time.
        failures: how many in a row open it.
        backoff: how long it stays open, the first time and later.
    """

    def __init__(self, clock: Clock, *, failures: int = 3, backoff: Backoff | None = None) -> None:
        self._clock = clock
        self._most = failures
        self._backoff = backoff or Backoff(base_seconds=30, factor=2, max_seconds=600)
        self._records: dict[str, _Record] = {}

    @contextmanager
    def watch(self, origin: str) -> Iterator[None]:
        """Let the block ask *origin*, and learn from how it ends.

        Raises:
            BreakerOpenError: it is left alone now; the block is not entered.
        """
        record = self._records.get(origin)
        is_probe = record is not None and record.failures >= self._most
        if record is not None and is_probe:
            self._admit(origin, record)
            record.has_probe = True
        try:
            yield
        except FetchFailedError as error:
            self._failed(origin, error)
            raise
        else:
            self._records.pop(origin, None)
        finally:
            if record is not None and is_probe:
                record.has_probe = False

    def opens_for(self, origin: str) -> float:
        """Return for how many seconds one more failure would have *origin* left alone, or 0."""
        record = self._records.get(origin)
        failures = 1 + (record.failures if record else 0)
        if failures < self._most:
            return 0.0
        return self._backoff.delay(failures - self._most + 1)

    def states(self) -> tuple[BreakerState, ...]:
        """Return the servers that failed lately, by name."""
        now = self._clock.monotonic()
        return tuple(
            BreakerState(origin, each.failures, max(0.0, each.until - now), each.why)
            for origin, each in sorted(self._records.items())
        )

    def _admit(self, origin: str, record: _Record) -> None:
        left = record.until - self._clock.monotonic()
        if left <= 0 and not record.has_probe:
            return
        until = rfc3339(self._clock.now() + timedelta(seconds=max(left, 0.0)))
        raise BreakerOpenError(
            origin, seconds=max(left, 0.0), until=until, failures=record.failures, why=record.why
        )

    def _failed(self, origin: str, error: FetchFailedError) -> None:
        seconds = self.opens_for(origin)
        record = self._records.setdefault(origin, _Record())
        record.failures += 1
        record.why = error.reason
        if seconds:
            record.until = self._clock.monotonic() + seconds
