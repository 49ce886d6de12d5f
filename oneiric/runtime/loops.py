"""Work in the background that is never quietly dead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

from oneiric.backoff import Backoff
from oneiric.core.guard import attempt_async
from oneiric.errors import JSONValue, OneiricError
from oneiric.runtime.serving_log import log_loop_failed

if TYPE_CHECKING:
    from types import TracebackType

    from oneiric.clock import Clock

RETRY = Backoff(base_seconds=0.5, factor=2.0, max_seconds=30.0)
MOST = 8
CALM_SECONDS = 60.0


class LoopFailedError(OneiricError):
    """A part in the background that failed again and again."""

    code = "loop-failed"

    def __init__(self, name: str, failures: int, reason: str) -> None:
        super().__init__(f"{name} failed {failures} times in a row: {reason}")
        self.name = name
        self.failures = failures
        self.reason = reason

    def details(self) -> Mapping[str, JSONValue]:
        return {"loop": self.name, "failures": self.failures, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class LoopStatus:
    """How one loop stands: whether it runs, its failures in a row, and why the last was."""

    is_running: bool = True
    failures: int = 0
    problem: str = ""

    def as_json(self) -> dict[str, JSONValue]:
        """Return `{"running", "failures", "problem"}`."""
        return {"running": self.is_running, "failures": self.failures, "problem": self.problem}


class Loops:
    """Run loops in one task group; one that fails is begun again, ever later, and logged.

    One that ran well for a minute has failed for the first time again. After too many failures
    in a row *gave_up* is told, and the loop is over.

    Args:
        clock: paces them.
        gave_up: hears why one of them is over.
        retry: how long to wait after a failure.
        most: failures in a row that are one too many.
    """

    def __init__(
        self,
        clock: Clock,
        gave_up: Callable[[LoopFailedError], object],
        *,
        retry: Backoff = RETRY,
        most: int = MOST,
    ) -> None:
        self._clock = clock
        self._gave_up = gave_up
        self._retry = retry
        self._most = most
        self._group = asyncio.TaskGroup()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._statuses: dict[str, LoopStatus] = {}

    @property
    def statuses(self) -> Mapping[str, LoopStatus]:
        """How each loop stands, by its name."""
        found = {
            name: replace(status, is_running=self.is_running(name))
            for name, status in self._statuses.items()
        }
        return MappingProxyType(found)

    def is_running(self, name: str) -> bool:
        """Tell whether a loop was begun and is not over."""
        return name in self._tasks and not self._tasks[name].done()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks.values():
            task.cancel()
        await self._group.__aexit__(None, None, None)

    def begin(self, name: str, run: Callable[[], Awaitable[object]]) -> asyncio.Task[None]:
        """Begin a loop, which lasts until it returns by itself or everything ends."""
        self._statuses[name] = LoopStatus()
        self._tasks[name] = self._group.create_task(self._keep(name, run), name=f"oneiric-{name}")
        return self._tasks[name]

    @asynccontextmanager
    async def running(
        self,
        name: str,
        run: Callable[[], Awaitable[object]],
        *,
        stop: Callable[[], object] | None = None,
    ) -> AsyncIterator[None]:
        """Run a loop for as long as the block lasts; *stop* ends it, else it is cancelled."""
        task = self.begin(name, run)
        try:
            yield
        finally:
            (stop or task.cancel)()
            await asyncio.wait({task})

    async def _keep(self, name: str, run: Callable[[], Awaitable[object]]) -> None:
        failures = 0
        while True:
            begun = self._clock.monotonic()
            outcome = await attempt_async(run())
            if outcome.error is None:
                return
            is_calm = self._clock.monotonic() - begun >= CALM_SECONDS
            failures = 1 if is_calm else failures + 1
            seconds = self._retry.delay(failures)
            self._statuses[name] = LoopStatus(failures=failures, problem=outcome.reason)
            if failures >= self._most:
                self._gave_up(LoopFailedError(name, failures, outcome.reason))
                return
            log_loop_failed(name, failures, seconds, outcome.reason)
            await self._clock.sleep(seconds)
