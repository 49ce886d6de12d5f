"""The one door through which foreign code is called: limited in time, failing as a value."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeAlias, TypeVar, cast

T = TypeVar("T")
Dispose: TypeAlias = Callable[[object], object]


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What a call gave: a value, or the error it ended with."""

    value: T | None = None
    error: BaseException | None = None
    timed_out: bool = False

    @property
    def reason(self) -> str:
        """The error in a few words, or an empty string."""
        if self.error is None:
            return ""
        text = str(self.error)
        name = type(self.error).__name__
        return text if self.timed_out else f"{name}: {text}" if text else name


class Guard:
    """Call components, handlers and hooks so that none of them can hang or hurt the caller.

    Async code runs in a task of its own and is cancelled at its limit; when it swallows
    that, it is abandoned. Sync code runs at once, unless it is said to block; then it runs
    in a daemon thread and is abandoned at its limit. What abandoned code returns late is
    handed to `dispose`. `abandoned` counts both.
    """

    __slots__ = ("_loose", "abandoned", "grace_seconds")

    def __init__(self, *, grace_seconds: float = 0.1) -> None:
        self._loose: set[asyncio.Future[object]] = set()
        self.grace_seconds = grace_seconds
        self.abandoned = 0

    async def call(
        self,
        function: Callable[[], T | Awaitable[T]],
        *,
        limit: float,
        blocking: bool = False,
        dispose: Callable[[T], object] | None = None,
    ) -> Outcome[T]:
        """Call *function*, await what it returns if that can be awaited, and return the outcome.

        Args:
            function: takes nothing; bind its arguments with `partial`.
            limit: seconds it may take.
            blocking: run it in a thread, if it is sync.
            dispose: receives a value that arrived after the limit.
        """
        if blocking and not inspect.iscoroutinefunction(_bare(function)):
            first = await self._limited(_in_thread(function), limit, cast("Dispose", dispose))
        else:
            first = attempt(function)
        if first.error is None and inspect.isawaitable(first.value):
            task = asyncio.ensure_future(_awaited(cast("Awaitable[T]", first.value)))
            return await self._limited(task, limit, dispose)
        return cast("Outcome[T]", first)

    def keep(self, coroutine: Coroutine[object, object, object]) -> asyncio.Task[object]:
        """Run *coroutine* in a task that nobody waits for, and keep it from being collected."""
        task: asyncio.Task[object] = asyncio.ensure_future(coroutine)
        self._loose.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._loose.discard(task)
        if not task.cancelled():
            task.exception()

    async def _limited(
        self,
        future: asyncio.Future[Outcome[T]],
        limit: float,
        dispose: Callable[[T], object] | None,
    ) -> Outcome[T]:
        try:
            await asyncio.wait({future}, timeout=limit)
            expired = not future.done()
            if expired and isinstance(future, asyncio.Task):
                future.cancel()
                await asyncio.wait({future}, timeout=self.grace_seconds)
        except asyncio.CancelledError:
            self._abandon(future, dispose)
            raise
        if expired:
            self._abandon(future, dispose)
            timeout = TimeoutError(f"took longer than {limit:g} s")
            return Outcome(error=timeout, timed_out=True)
        if future.cancelled():
            return Outcome(error=RuntimeError("cancelled itself"))
        return future.result()

    def _abandon(
        self, future: asyncio.Future[Outcome[T]], dispose: Callable[[T], object] | None
    ) -> None:
        """Let go of a call whose outcome nobody waits for any more."""
        if not future.done():
            self.abandoned += 1
            self._loose.add(cast("asyncio.Future[object]", future))
            if isinstance(future, asyncio.Task):
                future.cancel()
        future.add_done_callback(partial(self._late, dispose=dispose))

    def _late(
        self, future: asyncio.Future[Outcome[T]], *, dispose: Callable[[T], object] | None
    ) -> None:
        self._loose.discard(cast("asyncio.Future[object]", future))
        if future.cancelled() or dispose is None:
            return
        outcome = future.result()
        if outcome.value is not None:
            dispose(outcome.value)


def _bare(function: Callable[[], T]) -> Callable[..., object]:
    while isinstance(function, partial):
        function = function.func
    return function


def attempt(function: Callable[[], T]) -> Outcome[T]:
    """Call *function* at once, without a limit, and return the outcome.

    >>> attempt(lambda: 1 / 0).reason
    'ZeroDivisionError: division by zero'
    """
    try:
        return Outcome(function())
    except (Exception, SystemExit) as error:  # noqa: BLE001  foreign code may raise anything
        return Outcome(error=error)


async def _awaited(awaitable: Awaitable[T]) -> Outcome[T]:
    try:
        return Outcome(await awaitable)
    except (Exception, SystemExit) as error:  # noqa: BLE001  foreign code may raise anything
        return Outcome(error=error)


def _in_thread(function: Callable[[], T]) -> asyncio.Future[Outcome[T]]:
    """Run *function* in a daemon thread, which never delays the end of the process."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Outcome[T]] = loop.create_future()
    context = contextvars.copy_context()

    def deliver(outcome: Outcome[T]) -> None:
        if not future.done():
            future.set_result(outcome)

    def run() -> None:
        outcome = context.run(attempt, function)
        if not loop.is_closed():
            loop.call_soon_threadsafe(deliver, outcome)

    threading.Thread(target=run, name="oneiric-blocking", daemon=True).start()
    return future
