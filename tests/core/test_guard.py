"""The one door to foreign code: limited in time, failing as a value."""

import asyncio
import contextvars
import gc
import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from oneiric.core.guard import Call, Guard, Outcome, Pending
from tests.core.components import until


class Alien(BaseException):
    """What some libraries raise past `except Exception`."""


async def _give(value: object) -> object:
    await asyncio.sleep(0)
    return value


async def _fail(error: BaseException) -> None:
    await asyncio.sleep(0)
    raise error


async def _stubborn(seconds: float, value: object) -> object:
    """Swallow every cancellation until the time is over."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        try:
            await asyncio.sleep(left)
        except asyncio.CancelledError:
            continue
    return value


@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.parametrize("function", [partial(int, "7"), partial(_give, 7)])
async def test_a_call_gives_its_value(function: partial[object], blocking: bool) -> None:
    """Sync or async, on the loop or in a thread, the value is the outcome."""
    outcome = await Guard().call(function, limit=1.0, blocking=blocking)
    assert outcome == Outcome(7)


@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("bad"), "ValueError: bad"),
        (KeyError(), "KeyError"),
        (SystemExit(3), "SystemExit: 3"),
        (Alien("from afar"), "Alien: from afar"),
    ],
)
async def test_whatever_sync_code_raises_is_a_value(
    error: BaseException, reason: str, blocking: bool
) -> None:
    """No exception of foreign code reaches the caller, ends the loop or loses the thread."""

    def fail() -> None:
        raise error

    outcome = await Guard().call(fail, limit=1.0, blocking=blocking)
    assert (outcome.error, outcome.reason, outcome.timed_out) == (error, reason, False)


@pytest.mark.parametrize("error", [ValueError("bad"), SystemExit(3), Alien("from afar")])
async def test_whatever_async_code_raises_is_a_value(error: BaseException) -> None:
    """The same holds for what a coroutine raises."""
    outcome = await Guard().call(partial(_fail, error), limit=1.0)
    assert (outcome.error, outcome.timed_out) == (error, False)


@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.parametrize("is_async", [False, True])
async def test_code_that_raises_cancellation_does_not_cancel_the_caller(
    is_async: bool, blocking: bool
) -> None:
    """A `CancelledError` that nobody asked for is a failure of the code that raised it."""

    def fail() -> None:
        raise asyncio.CancelledError

    function = partial(_fail, asyncio.CancelledError()) if is_async else fail
    outcome = await Guard().call(function, limit=1.0, blocking=blocking)
    assert outcome.reason == "RuntimeError: cancelled itself"


async def test_blocking_code_that_raises_an_interrupt_fails_like_any_other() -> None:
    """No signal reaches a thread, so nobody pressed a key: it is told at once, as a value."""

    def fail() -> None:
        raise KeyboardInterrupt

    outcome = await Guard().call(fail, limit=5.0, blocking=True)
    assert (outcome.reason, outcome.timed_out) == ("RuntimeError: interrupted itself", False)


async def test_async_code_is_cancelled_at_its_limit() -> None:
    """Code that sleeps too long is told to stop, and the outcome says so."""
    guard, ended = Guard(), list[str]()

    async def sleeper() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("ended")

    outcome = await guard.call(sleeper, limit=0.01)
    assert (outcome.timed_out, outcome.reason) == (True, "took longer than 0.01 s")
    assert (ended, guard.abandoned) == (["ended"], 0)


async def test_async_code_that_swallows_cancellation_is_abandoned() -> None:
    """The caller is let go after a grace; what arrives late is disposed of, and counted."""
    guard, late = Guard(grace_seconds=0.01), list[object]()
    started = time.monotonic()
    outcome = await guard.call(partial(_stubborn, 0.6, "late"), limit=0.01, dispose=late.append)
    waited = time.monotonic() - started
    assert (outcome.timed_out, outcome.value, guard.abandoned) == (True, None, 1)
    assert waited < 0.5
    await until(lambda: late)
    assert late == ["late"]


async def test_blocking_code_does_not_stop_the_loop_and_is_abandoned() -> None:
    """A thread that outlives its limit goes on alone; its late value is disposed of."""
    guard, late, ticks = Guard(), list[object](), 0
    released = threading.Event()

    def block() -> str:
        released.wait(20.0)
        return "late"

    call = asyncio.create_task(guard.call(block, limit=0.3, blocking=True, dispose=late.append))
    while not call.done():
        await asyncio.sleep(0.005)
        ticks += 1
    assert (call.result().timed_out, guard.abandoned) == (True, 1)
    assert ticks >= 3
    released.set()
    await until(lambda: late)
    assert late == ["late"]


async def test_a_late_failure_is_nobodys_business() -> None:
    """Abandoned code may fail; nothing is disposed of, logged or raised."""
    guard, late = Guard(grace_seconds=0.01), list[object]()
    complaints = list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, facts: complaints.append(facts))

    async def fail_late() -> None:
        await _stubborn(0.03, None)
        raise ValueError("late")

    outcome = await guard.call(fail_late, limit=0.001, dispose=late.append)
    await asyncio.sleep(0.04)
    gc.collect()
    assert (outcome.timed_out, late, complaints) == (True, [], [])


async def test_a_cancelled_caller_cancels_the_code_and_disposes_of_its_value() -> None:
    """Whether the code had ended or not, nothing that it made is lost."""
    guard, late = Guard(), list[object]()
    for steps in range(6):
        function = partial(_give, steps)
        call = asyncio.create_task(guard.call(function, limit=1.0, dispose=late.append))
        for _ in range(steps):
            await asyncio.sleep(0)
        was_done = call.done()
        call.cancel()
        await asyncio.wait({call})
        if not call.cancelled():
            assert was_done
            late.append(call.result().value)
    assert set(late) >= {3, 4, 5}
    assert len(late) == len(set(late))


async def test_cancellation_that_the_code_obeys_is_no_abandonment() -> None:
    """`abandoned` counts what ignored its end, not what ended in order."""
    guard = Guard()
    call = asyncio.create_task(guard.call(partial(asyncio.sleep, 60), limit=90.0))
    await asyncio.sleep(0.001)
    call.cancel()
    await asyncio.wait({call})
    assert guard.abandoned == 0


async def test_settling_waits_for_what_is_kept_but_not_for_ever() -> None:
    """Whoever closes down waits for disposals, at most for the time it has."""
    guard, ended = Guard(grace_seconds=0.01), list[str]()

    async def dispose() -> None:
        await asyncio.sleep(0.02)
        ended.append("disposed")

    guard.keep(dispose())
    hanging = guard.keep(asyncio.sleep(60))
    await guard.settle(0.05)
    assert (ended, hanging.done()) == (["disposed"], False)
    hanging.cancel()
    await guard.settle(1.0)
    assert hanging.cancelled()


async def test_settling_waits_for_what_was_abandoned_and_for_its_disposal() -> None:
    """What ignored its end is still under way: closing down hears of its late value."""
    guard, late = Guard(grace_seconds=0.01), list[object]()
    await guard.call(partial(_stubborn, 0.1, "late"), limit=0.01, dispose=late.append)
    assert (guard.abandoned, late) == (1, [])
    await guard.settle(5.0)
    assert late == ["late"]


async def test_a_thread_sees_the_callers_context() -> None:
    """Context variables, such as the id of a request, reach blocking code too."""
    request: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="none")
    request.set("r1")
    outcome = await Guard().call(request.get, limit=1.0, blocking=True)
    assert outcome.value == "r1"


async def test_blocking_async_code_stays_on_the_loop() -> None:
    """`blocking` speaks of sync code; a coroutine runs where its loop is."""

    async def where() -> threading.Thread:
        return threading.current_thread()

    outcome = await Guard().call(where, limit=1.0, blocking=True)
    assert outcome.value is threading.current_thread()


async def test_one_limit_covers_a_blocking_call_and_what_it_returns() -> None:
    """A sync function that blocks and gives a coroutine has one limit for both."""

    def block() -> object:
        time.sleep(0.06)
        return asyncio.sleep(0.06)

    outcome = await Guard().call(block, limit=0.1, blocking=True)
    assert (outcome.timed_out, outcome.reason) == (True, "took longer than 0.1 s")


def test_a_thread_that_outlives_its_loop_ends_in_peace() -> None:
    """Nothing is raised in the thread when its value finds no loop any more."""
    released, before = threading.Event(), set(threading.enumerate())

    async def abandon() -> None:
        await Guard().call(partial(released.wait, 5.0), limit=0.01, blocking=True)

    asyncio.run(abandon())
    threads = set(threading.enumerate()) - before
    released.set()
    for thread in threads:
        thread.join(5.0)
    assert [thread.is_alive() for thread in threads] == [False]


class Heard(Call):
    """Pass on what is heard."""

    def __init__(self, limit: float, tell: Callable[[Outcome[object]], None]) -> None:
        super().__init__(limit)
        self.tell = tell

    def then(self, outcome: Outcome[object]) -> None:
        self.tell(outcome)


async def _outcome_of(
    guard: Guard, function: Callable[[], object], limit: float = 1.0
) -> Outcome[object]:
    call = Pending(limit)
    guard.start(call, function)
    return await call.outcome


@pytest.mark.parametrize("function", [partial(int, "7"), partial(_give, 7)])
async def test_a_call_that_was_begun_hands_on_its_value(function: partial[object]) -> None:
    """Sync or async, *then* gets the outcome, and gets it once."""
    assert await _outcome_of(Guard(), function) == Outcome(7)


@pytest.mark.parametrize(
    "error", [ValueError("bad"), SystemExit(3), GeneratorExit(), Alien("from afar")]
)
async def test_a_call_that_was_begun_fails_as_a_value(error: BaseException) -> None:
    """Whatever it raises, at once or later, is handed on and reaches nobody else."""

    def fail() -> None:
        raise error

    found = [await _outcome_of(Guard(), each) for each in (fail, partial(_fail, error))]
    assert [outcome.error for outcome in found] == [error, error]


async def test_a_call_that_cancels_itself_is_a_failure() -> None:
    """A cancellation that nobody asked for stays in the task of the call."""
    outcome = await _outcome_of(Guard(), partial(_fail, asyncio.CancelledError()))
    assert outcome.reason == "RuntimeError: cancelled itself"


async def test_calls_that_were_begun_have_tasks_of_their_own() -> None:
    """None sees the caller's task or context, nor another's."""
    seen = contextvars.ContextVar[int]("seen", default=0)
    tasks: list[object] = [asyncio.current_task()]

    async def look() -> int:
        tasks.append(asyncio.current_task())
        await asyncio.sleep(0)
        seen.set(seen.get() + 1)
        return seen.get()

    guard = Guard()
    found = [await _outcome_of(guard, look), await _outcome_of(guard, look)]
    assert ([each.value for each in found], seen.get(), len(set(tasks))) == ([1, 1], 0, 3)


async def test_one_timer_ends_each_begun_call_at_its_own_limit() -> None:
    """A shorter limit that comes later is met first, and a quick call needs no timer."""
    guard, order = Guard(), list[str]()
    ended = asyncio.Event()

    def then(name: str, outcome: Outcome[object]) -> None:
        order.append(f"{name}: {outcome.reason or outcome.value}")
        if len(order) == 3:
            ended.set()

    guard.start(Heard(0.06, partial(then, "long")), partial(asyncio.sleep, 60))
    guard.start(Heard(0.02, partial(then, "short")), partial(asyncio.sleep, 60))
    guard.start(Heard(60.0, partial(then, "quick")), partial(_give, 1))
    await ended.wait()
    assert order == ["quick: 1", "short: took longer than 0.02 s", "long: took longer than 0.06 s"]
    assert guard.abandoned == 0


async def test_a_begun_call_that_ignores_its_end_is_abandoned_after_a_grace() -> None:
    """The caller hears in time; the stubborn task is counted, and kept until it ends."""
    guard = Guard(grace_seconds=0.01)
    outcome = await _outcome_of(guard, partial(_stubborn, 0.1, "late"), limit=0.01)
    assert (outcome.timed_out, outcome.value, guard.abandoned) == (True, None, 1)
    await guard.settle(1.0)


async def test_begun_calls_that_are_let_go_hand_on_nothing() -> None:
    """They are cancelled, begun or not; a stubborn one is left after the grace."""
    guard, heard, ended = Guard(grace_seconds=0.01), list[object](), list[str]()

    async def sleeper() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("ended")

    calls = [Heard(60.0, heard.append) for _ in range(3)]
    guard.start(calls[0], sleeper)
    guard.start(calls[1], partial(_stubborn, 0.1, 1))
    await asyncio.sleep(0)
    guard.start(calls[2], sleeper)
    await guard.end(calls)
    assert (heard, set(ended), guard.abandoned) == ([], {"ended"}, 1)
    await guard.settle(1.0)
    assert heard == []


def test_a_guard_watches_over_calls_of_the_loop_that_runs() -> None:
    """A timer left on a loop that was closed keeps no later call from ending."""
    guard = Guard()
    for limit in (60.0, 0.01):
        outcome = asyncio.run(_ended(guard, limit))
    assert outcome.timed_out


async def _ended(guard: Guard, limit: float) -> Outcome[object]:
    quick = limit > 1
    return await _outcome_of(guard, partial(asyncio.sleep, 0 if quick else 60), limit)
