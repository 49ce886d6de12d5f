"""Which steps of a run are at work here: those that are stopped too, until they have ended."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

MOST_SECONDS = 20.0
"""How long final steps wait for what was stopped."""


@dataclass(slots=True)
class AtWork:
    """Count the steps at work; an engine counts one as over at once when it is stopped."""

    _steps: Counter[str] = field(default_factory=Counter)
    _rest: asyncio.Event | None = None

    @contextmanager
    def on(self, step: str) -> Iterator[None]:
        """Let *step* count until this is left, and until `leave` for each `join`."""
        self.join(step)
        try:
            yield
        finally:
            self.leave(step)

    def join(self, step: str) -> None:
        """Let a step count once more."""
        self._steps[step] += 1

    def leave(self, step: str) -> None:
        """Let it count once less."""
        self._steps[step] -= 1
        if not self._steps[step]:
            del self._steps[step]
        if self._rest is not None and not self._steps:
            self._rest.set()

    async def over(self, limit: float = MOST_SECONDS) -> None:
        """Wait until none is at work, at most *limit* seconds."""
        if not self._steps:
            return
        self._rest = asyncio.Event()
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await self._rest.wait()
