"""Threads for scriptlets: few for a crowd of short calls, and one for each that waits."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from functools import partial

import pytest

from oneiric.recipes.threads import Threads

PATIENCE_SECONDS = 60.0
WHO: ContextVar[str] = ContextVar("who", default="")


async def test_calls_that_wait_for_each_other_are_all_made() -> None:
    """However many there are, each has a thread of its own."""
    threads, together = Threads(), threading.Barrier(100)
    calls = (threads.call(partial(together.wait, PATIENCE_SECONDS)) for _ in range(100))
    outcomes = await asyncio.gather(*calls)
    assert sorted(int(str(each.value)) for each in outcomes) == list(range(100))
    threads.close()


async def test_calls_one_after_another_need_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is kept for the next, as long as it gets to what there is to do in time."""
    monkeypatch.setattr("oneiric.recipes.threads.GROW_SECONDS", PATIENCE_SECONDS)
    threads = Threads()
    used = {(await threads.call(threading.get_ident)).value for _ in range(500)}
    assert len(used) == 1
    threads.close()


async def test_a_call_sees_the_context_of_its_caller_and_its_error_is_a_value() -> None:
    """What it sets there is its own; whatever it raises ends no thread."""
    threads = Threads()
    WHO.set("me")

    def work() -> str:
        before = WHO.get()
        WHO.set("work")
        return before

    def leave() -> None:
        raise SystemExit(3)

    assert (await threads.call(work)).value == "me"
    assert WHO.get() == "me"
    assert isinstance((await threads.call(leave)).error, SystemExit)
    assert (await threads.call(work)).value == "me"
    threads.close()


async def test_who_is_cancelled_waits_no_longer() -> None:
    """The call goes on, nobody hears of it, and others are called meanwhile."""
    threads, begun, go = Threads(), asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def hang() -> None:
        loop.call_soon_threadsafe(begun.set)
        go.wait(PATIENCE_SECONDS)

    task = asyncio.create_task(threads.call(hang))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await threads.call(lambda: 7)).value == 7
    go.set()
    threads.close()


async def test_threads_that_are_not_needed_end() -> None:
    """None is left when whoever needed them is closed."""
    threads = Threads()
    found = (await threads.call(threading.current_thread)).value
    assert isinstance(found, threading.Thread)
    threads.close()
    await asyncio.to_thread(found.join, PATIENCE_SECONDS)
    assert not found.is_alive()
