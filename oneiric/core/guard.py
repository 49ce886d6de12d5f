"""The one door through which foreign code is called: limited in time, failing as a value."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from oneiric.core.secrets import redacted

T = TypeVar("T")
Dispose: TypeAlias = Callable[[Any], object]


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
        name, told = type(self.error).__name__, attempt(partial(str, self.error))
        text = str(redacted(told.value)) if told.error is None else "it cannot be told"
        return text if self.timed_out else f"{name}: {text}" if text else name


class Guard:
    """Call components, handlers and hooks so that none of them can hang or hurt the caller.

    Async code runs in a task of its own and is cancelled at its limit, or when its caller
    is cancelled; it then has a grace to obey, and is abandoned. Sync code runs at once,
    unless it is said to block; then it runs in a daemon thread and is abandoned at its
    limit. What such code returns late is handed to `dispose`. `abandoned` counts the calls
    that ignored their end.
    """

    __slots__ = ("_kept", "_lost", "abandoned", "grace_seconds")

    def __init__(self, *, grace_seconds: float = 0.1) -> None:
        self._kept: set[asyncio.Task[object]] = set()
        self._lost: set[asyncio.Future[Outcome[object]]] = set()
        self.grace_seconds = grace_seconds
        self.abandoned = 0

    async def call(
        self,
        function: Callable[[], object],
        *,
        limit: float,
        blocking: bool = False,
        dispose: Dispose | None = None,
    ) -> Outcome[object]:
        """Call *function*, await what it returns if that can be awaited, and return the outcome.

        Args:
            function: takes nothing; bind its arguments with `partial`.
            limit: seconds it may take.
            blocking: run it in a thread, if it is sync.
            dispose: receives a value that arrived after the limit.
        """
        left = limit
        first: Outcome[object] | None
        if blocking and not inspect.iscoroutinefunction(_bare(function)):
            clock = asyncio.get_running_loop().time
            deadline = clock() + limit
            first = await self._limited(_in_thread(function), limit, dispose)
            left = deadline - clock()
        else:
            first = attempt(function)
        if first is not None and first.error is None and inspect.isawaitable(first.value):
            task = asyncio.ensure_future(attempt_async(first.value))
            first = await self._limited(task, left, dispose)
        if first is None:
            return Outcome(error=TimeoutError(f"took longer than {limit:g} s"), timed_out=True)
        return first

    def keep(self, coroutine: Coroutine[object, object, object]) -> asyncio.Task[object]:
        """Run *coroutine* in a task that nobody need wait for, and keep it from being collected."""
        task: asyncio.Task[object] = asyncio.ensure_future(coroutine)
        self._kept.add(task)
        task.add_done_callback(self._release)
        return task

    async def settle(self, limit: float) -> None:
        """Wait until everything that is kept has ended, at most *limit* seconds."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + limit
        while self._kept and (left := deadline - clock()) > 0:
            await asyncio.wait(self._kept, timeout=left)
            await asyncio.sleep(0)

    def _release(self, task: asyncio.Task[object]) -> None:
        self._kept.discard(task)
        if not task.cancelled():
            task.exception()

    async def _limited(
        self, future: asyncio.Future[Outcome[object]], limit: float, dispose: Dispose | None
    ) -> Outcome[object] | None:
        """Return the outcome of *future*, or None when it took longer than *limit*."""
        try:
            await asyncio.wait({future}, timeout=limit)
        except asyncio.CancelledError:
            await self._abandon(future, dispose)
            raise
        if not future.done():
            await self._abandon(future, dispose)
            return None
        return _ended(future)

    async def _abandon(
        self, future: asyncio.Future[Outcome[object]], dispose: Dispose | None
    ) -> None:
        """Let go of a call whose value nobody waits for, after a grace if it can be cancelled."""
        self._lost.add(future)
        future.add_done_callback(partial(self._late, dispose=dispose))
        try:
            if isinstance(future, asyncio.Task):
                future.cancel()
                await asyncio.wait({future}, timeout=self.grace_seconds)
        finally:
            self.abandoned += not future.done()

    def _late(self, future: asyncio.Future[Outcome[object]], *, dispose: Dispose | None) -> None:
        self._lost.discard(future)
        outcome = _ended(future)
        if dispose is not None and outcome.value is not None:
            dispose(outcome.value)


def _unasked() -> RuntimeError:
    return RuntimeError("cancelled itself")


def _ended(future: asyncio.Future[Outcome[object]]) -> Outcome[object]:
    if future.cancelled():
        return Outcome(error=_unasked())
    error = future.exception()
    return Outcome(error=error) if error is not None else future.result()


def _bare(function: Callable[[], object]) -> Callable[..., object]:
    while isinstance(function, partial):
        function = function.func
    return function


def attempt(function: Callable[[], T]) -> Outcome[T]:
    """Call foreign code at once, without a limit, and return the outcome.

    >>> attempt(lambda: 1 / 0).reason
    'ZeroDivisionError: division by zero'
    """
    try:
        return Outcome(function())
    except asyncio.CancelledError:
        return Outcome(error=_unasked())
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  foreign code may raise anything
        return Outcome(error=error)


def attempt_within(function: Callable[[], T], limit: float) -> Outcome[T]:
    """Call foreign code in a daemon thread and wait for it, at most *limit* seconds.

    For programs without an event loop; what takes longer goes on, and nobody waits for it.
    """
    outcomes: list[Outcome[T]] = []
    thread = threading.Thread(
        target=lambda: outcomes.append(attempt(function)), name="oneiric-attempt", daemon=True
    )
    thread.start()
    thread.join(limit)
    if outcomes:
        return outcomes[0]
    return Outcome(error=TimeoutError(f"took longer than {limit:g} s"), timed_out=True)


async def attempt_async(awaitable: Awaitable[T]) -> Outcome[T]:
    """Await foreign code and return the outcome; only a cancellation is raised."""
    try:
        return Outcome(await awaitable)
    except (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001  foreign code may raise anything
        return Outcome(error=error)


def _in_thread(function: Callable[[], object]) -> asyncio.Future[Outcome[object]]:
    """Run *function* in a daemon thread, which never delays the end of the process."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Outcome[object]] = loop.create_future()
    context = contextvars.copy_context()

    def deliver(outcome: Outcome[object]) -> None:
        if not future.done():
            future.set_result(outcome)

    def run() -> None:
        outcome = context.run(attempt, function)
        with suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            loop.call_soon_threadsafe(deliver, outcome)

    threading.Thread(target=run, name="oneiric-blocking", daemon=True).start()
    return future
