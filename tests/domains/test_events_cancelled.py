"""A dispatch that is cancelled: nothing goes on behind its back."""

import asyncio
import threading

import pytest

from oneiric.domains.events import (
    EventDispatcher,
    FanOut,
    MemoryDeadLetters,
)
from oneiric.ports import DeadLetter
from oneiric.testing import ManualClock
from tests.core.components import until
from tests.domains.handlers import (
    EVENT,
    TWICE,
    Gate,
    broken,
    exclusive,
    handler,
    hanging,
)


@pytest.mark.parametrize("rivals", [False, True])
async def test_a_cancelled_dispatch_leaves_nothing_behind(rivals: bool) -> None:
    """In hand, waiting for a place, backing off or in a thread: all end with their caller."""
    gate, clock, release = Gate(), ManualClock(), threading.Event()
    handlers = [
        handler("gate", gate, max_concurrency=1),
        handler("backing-off", broken, retry=TWICE),
        handler("thread", lambda event: release.wait(5), blocking=True),
    ]
    if rivals:
        handlers += [exclusive("one", hanging, 2), exclusive("two", hanging, 1)]
    dispatcher = EventDispatcher(handlers, clock=clock)
    before = asyncio.all_tasks()
    first = asyncio.ensure_future(dispatcher.dispatch(EVENT))
    second = asyncio.ensure_future(dispatcher.dispatch(EVENT))
    await clock.until_waiting(2)
    await until(lambda: gate.inside == 1)
    for task in (first, second):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    release.set()
    await until(lambda: asyncio.all_tasks() == before)
    assert (gate.inside, await dispatcher.dead_letters.letters()) == (0, [])


async def test_a_cancelled_dispatch_lets_a_letter_be_kept() -> None:
    """What was given up is on its way to the dead letters, and arrives there."""
    arriving, go = asyncio.Event(), asyncio.Event()

    class Slow(MemoryDeadLetters):
        async def add(self, letter: DeadLetter) -> None:
            arriving.set()
            await go.wait()
            await super().add(letter)

    for rivals in (False, True):
        arriving.clear()
        go.clear()
        handlers = [handler("broken", broken, fanout=FanOut.EXCLUSIVE)]
        if rivals:
            handlers.append(handler("other", broken, fanout=FanOut.EXCLUSIVE))
        dispatcher = EventDispatcher(handlers, letters=Slow())
        task = asyncio.ensure_future(dispatcher.dispatch(EVENT))
        await arriving.wait()
        task.cancel()
        await asyncio.sleep(0)
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        letters = await dispatcher.dead_letters.letters()
        assert [letter.handler for letter in letters] == ["broken"]
