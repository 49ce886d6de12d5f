"""The dispatcher: every handler apart from all others, and nothing lost."""

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneiric.core.guard import Guard
from oneiric.domains.events import (
    Event,
    EventDispatcher,
    HandlerOutcome,
    InvalidHandlerError,
    MemoryDeadLetters,
)
from oneiric.errors import NotFoundError, UnavailableError
from oneiric.ports import DeadLetter
from oneiric.testing import ManualClock
from tests.core.components import until
from tests.domains.handlers import (
    EVENT,
    TWICE,
    Gate,
    broken,
    fine,
    handler,
    hanging,
    outcomes,
)


async def test_promise_e2_a_handler_that_fails_hangs_or_is_slow_affects_no_other() -> None:
    """All are told at once, and each has an outcome of its own, in handler order."""
    order: list[str] = []

    async def slow(event: Event) -> str:
        await asyncio.sleep(0.03)
        order.append("slow")
        return "slow"

    async def quick(event: Event) -> str:
        order.append("quick")
        return "quick"

    async def cancels_itself(event: Event) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(60)

    dispatcher = EventDispatcher(
        [
            handler("slow", slow, priority=5),
            handler("broken", broken, priority=4),
            handler("hanging", hanging, priority=3, timeout_seconds=0.01),
            handler("suicidal", cancels_itself, priority=2),
            handler("quick", quick, priority=1),
        ]
    )

    results = await dispatcher.dispatch(EVENT)

    assert [(each.handler, each.outcome, each.value, each.error) for each in results] == [
        ("slow", "handled", "slow", ""),
        ("broken", "failed", None, "ValueError: no e-1"),
        ("hanging", "timed-out", None, "took longer than 0.01 s"),
        ("suicidal", "failed", None, "RuntimeError: cancelled itself"),
        ("quick", "handled", "quick", ""),
    ]
    assert order == ["quick", "slow"]


async def test_promise_e2_a_handler_has_a_task_and_a_context_of_its_own() -> None:
    """What one sets or cancels stays its own; timeouts inside a handler end that handler."""
    seen = contextvars.ContextVar[str]("seen", default="")

    async def setting(event: Event) -> tuple[str, bool]:
        before = seen.get()
        seen.set("set")
        try:
            async with asyncio.timeout(0.001):
                await asyncio.sleep(60)
        except TimeoutError:
            return before, True
        return before, False

    dispatcher = EventDispatcher([handler(name, setting) for name in "ab"])
    assert [each.value for each in await dispatcher.dispatch(EVENT)] == [("", True)] * 2
    assert seen.get() == ""


@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_defect_oneiric_e1_max_concurrency_is_enforced(limit: int) -> None:
    """It was stored and shown only: 20 ran at once where 1 was allowed."""
    gate = Gate()
    dispatcher = EventDispatcher([handler("gate", gate, max_concurrency=limit)])
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(dispatcher.dispatch(EVENT)) for _ in range(20)]
        await until(lambda: gate.inside == limit)
        gate.open.set()
    assert (gate.most, gate.ended, gate.inside) == (limit, 20, 0)
    assert all(task.result()[0].success for task in tasks)


async def test_promise_e2_a_cancelled_dispatch_gives_its_place_back() -> None:
    """Neither one in hand nor one that waits keeps a place when its caller goes."""
    gate = Gate()
    dispatcher = EventDispatcher([handler("gate", gate, max_concurrency=1)])
    tasks = [asyncio.ensure_future(dispatcher.dispatch(EVENT)) for _ in range(3)]
    await until(lambda: gate.inside == 1)
    for task in tasks[:2]:
        task.cancel()
    await asyncio.wait(tasks[:2])
    await until(lambda: gate.inside == 1)
    gate.open.set()
    assert (await tasks[2])[0].success
    assert [each.success for each in await dispatcher.dispatch(EVENT)] == [True]


async def test_promise_e2_limits_change_while_events_are_in_hand() -> None:
    """A handler registered anew keeps count of what its namesake has in hand."""
    gate = Gate()
    dispatcher = EventDispatcher([handler("gate", gate, max_concurrency=1)])
    tasks = [asyncio.ensure_future(dispatcher.dispatch(EVENT)) for _ in range(3)]
    await until(lambda: gate.inside == 1)
    dispatcher.replace([handler("gate", gate, max_concurrency=2)])
    await until(lambda: gate.inside == 2)
    gate.open.set()
    await asyncio.gather(*tasks)
    assert gate.most == 2


async def test_promise_e2_retries_wait_for_the_clock_and_for_nobody_else() -> None:
    """A failing handler is tried again after its backoff, while another still works."""
    clock, gate, calls = ManualClock(), Gate(), list[int]()

    async def second_time(event: Event) -> str:
        calls.append(len(calls))
        if len(calls) < 2:
            raise ValueError("first")
        return "second"

    dispatcher = EventDispatcher(
        [handler("gate", gate, priority=1), handler("retried", second_time, retry=TWICE)],
        clock=clock,
    )
    dispatch = asyncio.ensure_future(dispatcher.dispatch(EVENT))
    await clock.until_waiting(1)
    clock.advance(4.9)
    await asyncio.sleep(0)
    assert calls == [0]
    clock.advance(0.1)
    await until(lambda: calls == [0, 1])
    gate.open.set()
    retried = (await dispatch)[1]
    assert (retried.success, retried.value, retried.attempts) == (True, "second", 2)


async def test_promise_e2_exhausted_deliveries_become_dead_letters_and_are_replayed_once() -> None:
    """Only the handler that failed is told again, with the same event; then the letter is gone."""
    clock, seen, well = ManualClock(), list[tuple[str, str]](), [False]

    async def moody(event: Event) -> None:
        seen.append(("moody", event.id))
        await asyncio.sleep(0)
        if not well[0]:
            raise ValueError("unwell")

    async def steady(event: Event) -> None:
        seen.append(("steady", event.id))

    dispatcher = EventDispatcher(
        [handler("moody", moody, retry=TWICE), handler("steady", steady)], clock=clock
    )
    dispatch = asyncio.ensure_future(dispatcher.dispatch(EVENT))
    await clock.until_waiting(1)
    clock.advance(5)
    failed = (await dispatch)[0]
    (letter,) = await dispatcher.dead_letters.letters()
    assert letter == DeadLetter(
        id=failed.letter,
        handler="moody",
        event=EVENT.as_json(),
        reason="failed",
        error="ValueError: unwell",
        attempts=2,
        at="2026-01-01T00:00:05.000000Z",
    )

    well[0] = True
    replays = await asyncio.gather(dispatcher.replay(), dispatcher.replay())
    told = [replay for each in replays for replay in each]
    assert sorted((each.success, each.problem) for each in told) == [
        (False, "it is being replayed, or was"),
        (True, ""),
    ]
    assert seen == [("moody", "e-1"), ("steady", "e-1"), ("moody", "e-1"), ("moody", "e-1")]
    assert (await dispatcher.dead_letters.letters(), await dispatcher.replay()) == ([], [])


async def test_promise_e2_a_replay_that_fails_keeps_the_letter() -> None:
    """The letter stays under its id, with the new error and all attempts, free to be replayed."""
    dispatcher = EventDispatcher([handler("broken", broken)])
    (result,) = await dispatcher.dispatch(EVENT)
    for attempts in (2, 3):
        (replay,) = await dispatcher.replay(result.letter)
        (letter,) = await dispatcher.dead_letters.letters()
        assert (replay.success, letter.id, letter.attempts) == (False, result.letter, attempts)


async def test_promise_e2_a_replay_of_nothing_or_for_nobody_is_an_error() -> None:
    """An unknown letter, or one whose handler is gone, is named; replaying all skips the latter."""
    dispatcher = EventDispatcher([handler("broken", broken)])
    (result,) = await dispatcher.dispatch(EVENT)
    dispatcher.withdraw("broken")
    with pytest.raises(NotFoundError, match="no dead letter x"):
        await dispatcher.replay("x")
    with pytest.raises(NotFoundError, match="no event handler broken"):
        await dispatcher.replay(result.letter)
    (replay,) = await dispatcher.replay()
    assert replay.problem == "there is no handler broken"
    assert len(await dispatcher.dead_letters.letters()) == 1


async def test_promise_e2_a_letter_that_cannot_be_kept_is_told() -> None:
    """A store that fails or is full hurts nobody, and the result says that nothing was kept."""

    class Broken(MemoryDeadLetters):
        async def add(self, letter: DeadLetter) -> None:
            raise UnavailableError("the shelf fell down")

    for store, why in (
        (Broken(), "the shelf fell down"),
        (MemoryDeadLetters(capacity=0), "there are 0 dead letters already"),
    ):
        dispatcher = EventDispatcher([handler("b", broken), handler("f", fine)], letters=store)
        failed, well = await dispatcher.dispatch(EVENT)
        assert (failed.letter, well.success) == ("", True)
        told = f"ValueError: no e-1; its dead letter was not kept: UnavailableError: {why}"
        assert failed.error == told


async def test_defect_oneiric_e6_one_hanging_handler_does_not_hold_the_emit() -> None:
    """It ends at its limit, even if it ignores that, and its event is kept."""
    release = asyncio.Event()

    async def stubborn(event: Event) -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    guard = Guard(grace_seconds=0.01)
    dispatcher = EventDispatcher(
        [handler("stubborn", stubborn, timeout_seconds=0.01), handler("fine", fine)], guard=guard
    )
    assert await outcomes(dispatcher) == [("stubborn", "timed-out"), ("fine", "handled")]
    assert (guard.abandoned, len(await dispatcher.dead_letters.letters())) == (1, 1)
    release.set()
    await guard.settle(1.0)


async def test_defect_oneiric_e7_a_sync_handler_is_a_handler() -> None:
    """It ran and was then reported as failed; its value is the result."""
    dispatcher = EventDispatcher([handler("sync", lambda event: event.data["order"])])
    (result,) = await dispatcher.dispatch(EVENT)
    assert (result.success, result.value) == (True, 1)


async def test_a_blocking_handler_runs_in_a_thread_and_is_left_at_its_limit() -> None:
    """The loop goes on meanwhile, and a thread that hangs holds up nobody."""
    names: list[str] = []
    release = threading.Event()

    def blocking(event: Event) -> None:
        names.append(threading.current_thread().name)
        release.wait(5)

    guard = Guard()
    dispatcher = EventDispatcher(
        [handler("b", blocking, blocking=True, timeout_seconds=0.02), handler("f", fine)],
        guard=guard,
    )
    assert await outcomes(dispatcher) == [("b", "timed-out"), ("f", "handled")]
    release.set()
    assert names == ["oneiric-blocking"]


@given(st.lists(st.integers(-3, 3), max_size=8))
def test_any_handlers_stand_in_order_of_priority_then_of_registration(
    priorities: list[int],
) -> None:
    """Results come in that order, whoever ends first."""

    async def run() -> list[str]:
        dispatcher = EventDispatcher()
        for number, priority in enumerate(priorities):
            dispatcher.register(handler(str(number), fine, priority=priority))
        return [result.handler for result in await dispatcher.dispatch(EVENT)]

    numbers = range(len(priorities))
    wanted = [str(each) for each in sorted(numbers, key=lambda n: (-priorities[n], n))]
    assert asyncio.run(run()) == wanted


async def test_topics_are_looked_up_anew_after_every_registration() -> None:
    """Who is registered or withdrawn counts from the next event on."""
    dispatcher = EventDispatcher([handler("a", fine, topics=["order.*"])])
    assert await outcomes(dispatcher) == [("a", "handled")]
    dispatcher.register(handler("b", fine, topics=["order.created"]))
    dispatcher.register(handler("c", fine, topics=["other"]))
    assert await outcomes(dispatcher) == [("a", "handled"), ("b", "handled")]
    assert dispatcher.withdraw("a")
    assert not dispatcher.withdraw("a")
    assert await outcomes(dispatcher) == [("b", "handled")]
    with pytest.raises(InvalidHandlerError, match="another of that name"):
        dispatcher.register(handler("b", fine))
    assert [each.name for each in dispatcher.handlers] == ["b", "c"]


async def test_any_number_of_topics_is_forgotten_in_time() -> None:
    """Remembering who listens to what does not grow without bound."""
    dispatcher = EventDispatcher([handler("a", fine)])
    for number in range(3_000):
        await dispatcher.dispatch(Event(id="1", type=f"t{number}"))
    assert len(dispatcher._heard) <= 1_024


async def test_a_result_says_what_its_value_is_if_it_is_json() -> None:
    """A value that JSON cannot say is null, with the reason, and hides nothing else."""
    dispatcher = EventDispatcher([handler("set", lambda event: {1, 2}), handler("bad", broken)])
    good, bad = [each.as_json() for each in await dispatcher.dispatch(EVENT)]
    assert (good["success"], good["value"], good["value_problem"]) == (
        True,
        None,
        "set is not JSON",
    )
    assert (bad["success"], bad["outcome"], bad["error"]) == (False, "failed", "ValueError: no e-1")


def test_outcomes_that_are_missed_are_those_that_wait() -> None:
    """Handled and declined are settled; all others wait in the dead letters."""
    assert [str(each) for each in HandlerOutcome] == [
        "handled",
        "failed",
        "timed-out",
        "declined",
        "deferred",
    ]


async def test_a_dispatch_without_handlers_is_nothing() -> None:
    """Nobody wants the event, and that is no error."""
    assert await EventDispatcher().dispatch(EVENT) == []


async def test_hundreds_of_handlers_share_nothing_but_the_event() -> None:
    """A hundred handlers, one in ten failing, are each told once."""
    told: list[int] = []

    def make(number: int) -> Callable[[Event], object]:
        async def told_of(event: Event) -> int:
            await asyncio.sleep(0)
            told.append(number)
            if number % 10 == 0:
                raise ValueError(str(number))
            return number

        return told_of

    dispatcher = EventDispatcher([handler(str(each), make(each)) for each in range(100)])
    started = time.perf_counter()
    results = await dispatcher.dispatch(EVENT)
    assert time.perf_counter() - started < 5
    assert sorted(told) == list(range(100))
    assert [each.value for each in results] == [n if n % 10 else None for n in range(100)]
