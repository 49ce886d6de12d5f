"""What a step's body is told, and what it may say while it works."""

from __future__ import annotations

from typing import Protocol

from oneiric.errors import JSONValue


class StepContext(Protocol):
    """The place of a body's call in its run; made by the engine."""

    @property
    def run_id(self) -> str:
        """The run."""
        ...

    @property
    def step_id(self) -> str:
        """The step."""
        ...

    @property
    def attempt(self) -> int:
        """The number of this attempt, from 1."""
        ...

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this step in this run, and for no other."""
        ...

    @property
    def deadline(self) -> float | None:
        """When the attempt is ended, in the clock's `monotonic` seconds; None for never."""
        ...

    def heartbeat(self) -> None:
        """Say that work goes on; raises if it should not, as the run is canceled or lost."""
        ...

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Say how far the work is, for those who watch."""
        ...

    def get(self, key: str, default: JSONValue = None) -> JSONValue:
        """Return a value of the run's shared context, as a copy."""
        ...

    def set(self, key: str, value: JSONValue, *, who: str = "") -> None:
        """Set a value of the run's shared context; it is recorded with the step's result."""
        ...
