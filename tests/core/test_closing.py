"""Closing: in order, whole, and once: L7."""

import asyncio
import gc
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import pytest

from oneiric.core.build import PhaseLimits
from oneiric.core.generation import LifecycleState
from oneiric.core.handle import Link
from oneiric.errors import ClosedError
from tests.core.components import CACHE, Ledger, Phased, Plain, Staged, manager_of, offer, running

DATABASE, QUEUE = "adapter:database", "adapter:queue"


class Dependent(Phased):
    """Use a link at work and while cleaning up."""

    def __init__(self, ledger: Ledger, name: str, *, below: Link[Plain]) -> None:
        super().__init__(ledger, name)
        self.below = below

    async def ask(self) -> str:
        async with self.below.use() as below:
            await asyncio.sleep(0)
            return f"{self.work()} over {below.work()}"

    async def cleanup(self) -> None:
        async with self.below.use() as below:
            below.work()
        await super().cleanup()


async def test_promise_l7_components_close_in_reverse_order_of_dependency() -> None:
    """Dependents first, whatever the order of activation; their links work to the end."""
    ledger = Ledger()
    offers = (
        offer(ledger, "db", Phased, ref=DATABASE),
        offer(ledger, "cache", Dependent, requires={"below": DATABASE}),
        offer(ledger, "queue", Dependent, ref=QUEUE, requires={"below": "adapter:cache@cache"}),
    )
    async with running(*offers) as lifecycle:
        async with lifecycle.use(QUEUE) as top:
            asked = await top.ask()
        async with lifecycle.use(CACHE) as middle:
            await middle.ask()
        assert (asked, ledger.made) == ("queue over cache", ["queue", "cache", "db"])
    assert (ledger.ended, ledger.late) == (["queue", "cache", "db"], [])


async def test_promise_l7_work_in_hand_may_use_its_links_while_closing() -> None:
    """Who holds a component when closing begins can finish, links included; new work cannot."""
    ledger, started, go_on = Ledger(), asyncio.Event(), asyncio.Event()
    offers = (
        offer(ledger, "db", Phased, ref=DATABASE),
        offer(ledger, "cache", Dependent, requires={"below": DATABASE}),
    )
    async with running(*offers) as lifecycle:
        await lifecycle.activate(DATABASE)

        async def work() -> str:
            async with lifecycle.use(CACHE) as held:
                started.set()
                await go_on.wait()
                return str(await held.ask())

        working = asyncio.create_task(work())
        await started.wait()
        closing = asyncio.create_task(lifecycle.close())
        await asyncio.sleep(0)
        with pytest.raises(ClosedError, match="adapter:database: the lifecycle was closed"):
            lifecycle.use(DATABASE)
        go_on.set()
        await closing
        assert (await working, ledger.ended) == ("cache over db", ["cache", "db"])


async def test_promise_l7_cleanup_errors_are_gathered_and_everything_is_closed() -> None:
    """One group holds every failure; those that can be closed are closed all the same."""
    ledger = Ledger()
    failing = partial(Staged, fails={"cleanup"})
    offers = [offer(ledger, name, failing, ref=f"adapter:{name}") for name in ("a", "b")]
    async with running(*offers, offer(ledger, "c", Phased)) as lifecycle:
        for ref in ("adapter:a", "adapter:b", CACHE):
            await lifecycle.activate(ref)
        with pytest.raises(ExceptionGroup) as caught:
            await lifecycle.close()
        assert sorted(map(str, caught.value.exceptions)) == [
            "adapter:a@a failed in cleanup: Broken: cleanup",
            "adapter:b@b failed in cleanup: Broken: cleanup",
        ]
        assert (ledger.open, lifecycle.status(CACHE).state) == (0, LifecycleState.CLOSED)


async def test_promise_l7_closing_twice_is_one_closing() -> None:
    """A second call, during or after the first, waits for it; errors are raised once."""
    ledger = Ledger()
    lifecycle = manager_of(offer(ledger, "a", partial(Staged, fails={"cleanup"})))
    await lifecycle.activate(CACHE)
    outcomes = await asyncio.gather(*(lifecycle.close() for _ in range(3)), return_exceptions=True)
    await lifecycle.close()
    assert [type(outcome) for outcome in outcomes].count(ExceptionGroup) == 1
    assert (ledger.ended, ledger.late) == (["a"], [])


async def test_promise_l7_closing_while_busy_waits_for_holders_up_to_the_limit() -> None:
    """A holder that leaves in time delays closing; one that does not is named in the error."""
    ledger, held = Ledger(), asyncio.Event()
    limits = PhaseLimits(drain=0.05)
    async with running(
        offer(ledger, "a"), offer(ledger, "b", ref=QUEUE), limits=limits
    ) as lifecycle:

        async def hold(ref: str, seconds: float) -> str:
            async with lifecycle.use(ref) as instance:
                held.set()
                await asyncio.sleep(seconds)
                return str(instance.work())

        quick = asyncio.create_task(hold(CACHE, 0.01))
        slow = asyncio.create_task(hold(QUEUE, 60), name="slow")
        await held.wait()
        await asyncio.sleep(0)
        with pytest.raises(ExceptionGroup) as caught:
            await lifecycle.close()
        slow.cancel()
        await asyncio.wait({slow})
        (error,) = caught.value.exceptions
        assert await quick == "a"
        assert str(error).startswith(
            "adapter:queue@b failed in drain: it was closed while held by task slow at "
        )
        assert ledger.open == 0


async def test_promise_l7_a_forgotten_manager_warns() -> None:
    """Components that nobody will close are a `ResourceWarning` that names them."""
    lifecycle = manager_of(offer(Ledger(), "a"))
    await lifecycle.activate(CACHE)
    del lifecycle
    with pytest.warns(ResourceWarning, match="was not closed; it left adapter:cache@a"):
        gc.collect()


async def test_a_closed_manager_refuses_everything() -> None:
    """Every verb says that the manager was closed; looking goes on."""
    async with running(offer(Ledger(), "a")) as lifecycle:
        link = lifecycle.link(CACHE)
        handle = lifecycle.use(CACHE)
        await lifecycle.activate(CACHE)
        await lifecycle.close()
        verbs: list[Callable[[], Any]] = [
            lambda: lifecycle.activate(CACHE),
            lambda: lifecycle.swap(CACHE),
            lambda: lifecycle.pause(CACHE),
            lambda: lifecycle.resume(CACHE),
            lambda: lifecycle.use(CACHE).__aenter__(),
            lambda: link.use().__aenter__(),
            lambda: handle.__aenter__(),
            lambda: asyncio.to_thread(link.use().__enter__),
        ]
        for verb in verbs:
            with pytest.raises(ClosedError, match="the lifecycle was closed"):
                await verb()
        assert [status.state for status in lifecycle.statuses()] == [LifecycleState.CLOSED]


@pytest.mark.parametrize("verb", ["pause", "resume", "drain"])
async def test_a_closed_manager_changes_no_activity(verb: str) -> None:
    """Whoever asks is told that it was closed, and the state stays what it was."""
    async with running(offer(Ledger(), "a")) as lifecycle:
        await lifecycle.activate(CACHE)
        await lifecycle.close()
        with pytest.raises(ClosedError, match="adapter:cache: the lifecycle was closed"):
            await getattr(lifecycle, verb)(CACHE)
        assert lifecycle.activity.snapshot() == {}


async def test_a_manager_that_brought_nothing_up_closes_at_once() -> None:
    """Closing needs no component."""
    async with running(offer(Ledger(), "a")) as lifecycle:
        await lifecycle.close()
        assert lifecycle.statuses() == []


async def test_closing_from_inside_a_hook_ends() -> None:
    """A hook may close the manager whose swap called it; the swap ends as refused."""
    ledger = Ledger()
    async with running(offer(ledger, "a")) as lifecycle:
        lifecycle.hook("pre_swap", lambda _: lifecycle.close())
        with pytest.raises(ClosedError):
            await lifecycle.swap(CACHE)
        await lifecycle.close()
        assert ledger.open == 0


async def test_promise_l7_closing_four_times_as_many_takes_four_times_the_work() -> None:
    """The work grows with the components, not with their pairs; counted in calls, not in time."""
    few, many = [await _calls_of_closing(count) for count in (100, 400)]
    assert many < 5 * few


async def _calls_of_closing(count: int) -> int:
    ledger, calls = Ledger(), 0

    def note(_: FrameType, event: str, __: object) -> None:
        nonlocal calls
        calls += event == "call"

    offers = [
        offer(ledger, "a", Dependent, ref=f"adapter:k{number}", requires={"below": DATABASE})
        for number in range(count)
    ]
    async with running(offer(ledger, "a", ref=DATABASE), *offers) as lifecycle:
        await lifecycle.activate(DATABASE)
        for number in range(count):
            await lifecycle.activate(f"adapter:k{number}")
        sys.setprofile(note)
        try:
            await lifecycle.close()
        finally:
            sys.setprofile(None)
    return calls
