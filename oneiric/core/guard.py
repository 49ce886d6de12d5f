"""The one door through which foreign code is called: limited in time, failing as a value."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import math
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from functools import partial
from types import CoroutineType
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar, cast

from oneiric.kept import Kept
from oneiric.text.redaction import redacted

T = TypeVar("T")
Work: TypeAlias = Callable[[], object]
Dispose: TypeAlias = Callable[[Any], object]
_IS_EAGER = sys.version_info >= (3, 12)


class Outcome(NamedTuple, Generic[T]):
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


class Call:
    """Foreign code that `Guard.start` begins: derive from it to hear the outcome, once."""

    __slots__ = ("deadline", "limit", "open", "overdue", "task")

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.deadline = math.inf
        self.open = True
        self.overdue = False
        self.task: asyncio.Task[None] | None = None

    def then(self, outcome: Outcome[object]) -> None:
        """Hear what the call gave; it is called on the loop, and must not fail."""

    def late(self, value: object) -> None:
        """Receive, on the loop, what came when the call was over already."""


class Pending(Call):
    """A call whose `outcome` can be awaited; *dispose* receives a value that nobody waits for."""

    __slots__ = ("dispose", "outcome")

    def __init__(self, limit: float, dispose: Dispose | None = None) -> None:
        super().__init__(limit)
        self.dispose = dispose
        self.outcome: asyncio.Future[Outcome[Any]] = asyncio.get_running_loop().create_future()

    def then(self, outcome: Outcome[object]) -> None:
        """Let whoever awaits it go on."""
        if self.outcome.cancelled():
            self.late(outcome.value)
        else:
            self.outcome.set_result(outcome)

    def late(self, value: object) -> None:
        """Dispose of the value, if there is one."""
        if self.dispose is not None and value is not None:
            self.dispose(value)


class Guard:
    """Call components, handlers and hooks so that none of them can hang or hurt the caller.

    Async code runs in a task of its own and is cancelled at its limit, or when its caller
    is cancelled; it then has a grace to obey, and is abandoned. Sync code runs at once,
    unless it is said to block; then it runs in a daemon thread and is abandoned at its
    limit. What such code returns late is handed to `dispose`. `abandoned` counts the calls
    that ignored their end.
    """

    def __init__(self, *, grace_seconds: float = 0.1) -> None:
        self._calls: dict[Call, None] = {}
        self._due = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._watched: asyncio.AbstractEventLoop | None = None
        self._kept = Kept()
        self.grace_seconds = grace_seconds
        self.abandoned = 0

    async def call(
        self,
        function: Work,
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
        if blocking and not inspect.iscoroutinefunction(function):
            call = Pending(limit, dispose)
            self.start(call, partial(self._in_thread, call, function))
        else:
            first = attempt(function)
            if first.error is not None or not inspect.isawaitable(first.value):
                return first
            call = Pending(limit, dispose)
            self.start(call, lambda: first.value)
        try:
            return await call.outcome
        except asyncio.CancelledError:
            if not call.outcome.cancelled():
                call.late(call.outcome.result().value)
            await self.end((call,))
            raise

    def start(self, call: Call, function: Work) -> None:
        """Begin *function* now, in a task of its own that *call* hears of.

        Where Python can (3.12), it runs at once up to its first wait, and `call.then` may be
        called before this returns. One timer watches over all calls that were begun so. Sync
        code runs on the loop.
        """
        loop = asyncio.get_running_loop()
        call.deadline = loop.time() + call.limit
        coroutine = self._run(call, function)
        if _IS_EAGER:
            task = asyncio.Task(coroutine, loop=loop, eager_start=True)  # type: ignore[call-arg]
            if not call.open:
                return
        else:
            task = asyncio.Task(coroutine, loop=loop)
        call.task = task
        self._calls[call] = None
        if call.deadline < self._due or loop is not self._watched:
            self._watch(loop, call.deadline)

    async def end(self, calls: Iterable[Call]) -> None:
        """Cancel *calls* without an outcome, and wait until they obeyed or a grace has passed."""
        tasks = set[asyncio.Task[object]]()
        for call in calls:
            if call.open and call.task is not None:
                call.open = False
                self._calls.pop(call, None)
                call.task.cancel()
                tasks.add(call.task)
        if not tasks:
            return
        try:
            await asyncio.wait(tasks, timeout=self.grace_seconds)
        finally:
            for task in tasks:
                self._let_be(task)

    def keep(self, coroutine: Coroutine[object, object, object]) -> asyncio.Task[object]:
        """Run *coroutine* in a task that nobody need wait for, and keep it from being collected."""
        return self._kept.start(coroutine)

    async def settle(self, limit: float) -> None:
        """Wait until everything that is kept has ended, at most *limit* seconds."""
        await self._kept.settle(limit)

    async def _run(self, call: Call, function: Work) -> None:
        outcome: Outcome[object]
        try:
            value = function()
            if type(value) is CoroutineType or inspect.isawaitable(value):
                value = await value
            outcome = Outcome(value)
        except asyncio.CancelledError:
            if not call.open:
                raise
            outcome = Outcome(error=_unasked())
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # foreign code may raise anything
            if isinstance(error, GeneratorExit) and asyncio._get_running_loop() is None:
                raise  # the task is thrown away with its loop
            outcome = Outcome(error=error)
        self._calls.pop(call, None)
        if call.overdue or not call.open:
            call.late(outcome.value)
        if call.open:
            call.open = False
            call.then(_late(call.limit) if call.overdue else outcome)

    async def _in_thread(self, call: Call, function: Work) -> object:
        """Run *function* in a thread, wait for it, and await what it returns if that can be."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Outcome[object]] = loop.create_future()

        def deliver(outcome: Outcome[object]) -> None:
            if ended.cancelled():
                call.late(outcome.value)
            else:
                ended.set_result(outcome)

        def tell(outcome: Outcome[object]) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody is left to tell
                loop.call_soon_threadsafe(deliver, outcome)

        _thread(function, tell)
        try:
            outcome = await ended
        except asyncio.CancelledError:
            if ended.cancelled():
                self.abandoned += 1
            else:
                call.late(ended.result().value)
            raise
        if outcome.error is not None:
            raise outcome.error
        return await outcome.value if inspect.isawaitable(outcome.value) else outcome.value

    def _watch(self, loop: asyncio.AbstractEventLoop, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._watched = loop
        self._due = when
        self._timer = loop.call_at(when, self._expire, loop)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cancel what passed its limit, and abandon what did not obey within the grace."""
        self._due, self._timer = math.inf, None
        now = loop.time()
        late = [(c, task) for c in self._calls if c.deadline <= now and (task := c.task)]
        for call, task in late:
            if call.overdue:
                self._let_be(task)
                del self._calls[call]
                call.open = False
                call.then(_late(call.limit))
            else:
                call.overdue = True
                call.deadline = now + self.grace_seconds
                task.cancel()
        if self._calls:
            self._watch(loop, min(call.deadline for call in self._calls))

    def _let_be(self, task: asyncio.Task[Any]) -> None:
        """Keep a task that was cancelled until it ends, and count it if it does not obey."""
        if not task.done():
            self.abandoned += 1
            self._kept.keep(task)


def _late(limit: float) -> Outcome[object]:
    return Outcome(error=TimeoutError(f"took longer than {limit:g} s"), timed_out=True)


def _unasked() -> RuntimeError:
    return RuntimeError("cancelled itself")


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
        if threading.current_thread() is threading.main_thread():
            raise
        return Outcome(error=RuntimeError("interrupted itself"))  # nobody else could
    except BaseException as error:  # noqa: BLE001  foreign code may raise anything
        return Outcome(error=error)


def attempt_within(function: Callable[[], T], limit: float) -> Outcome[T]:
    """Call foreign code in a daemon thread and wait for it, at most *limit* seconds.

    For programs without an event loop; what takes longer goes on, and nobody waits for it.
    """
    outcomes: list[Outcome[T]] = []
    _thread(function, outcomes.append).join(limit)
    return outcomes[0] if outcomes else cast("Outcome[T]", _late(limit))


async def attempt_async(awaitable: Awaitable[T]) -> Outcome[T]:
    """Await foreign code and return the outcome; only a cancellation is raised."""
    try:
        return Outcome(await awaitable)
    except (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001  foreign code may raise anything
        return Outcome(error=error)


def _thread(function: Callable[[], T], tell: Callable[[Outcome[T]], None]) -> threading.Thread:
    """Call *function* in a daemon thread, which never delays the end of the process."""
    context = contextvars.copy_context()
    thread = threading.Thread(
        target=lambda: tell(context.run(attempt, function)), name="oneiric-blocking", daemon=True
    )
    thread.start()
    return thread
