"""Time limits and cancellation: at any await, nothing is left half done, orphaned or leaked.

The systematic tests cancel a caller after one turn of the loop, then after two, and so on
until it ends by itself; whatever it was about is then asked for again and closed.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from oneiric.core.build import PhaseLimits
from oneiric.core.generation import LifecycleState
from oneiric.core.hooks import SwapContext
from oneiric.core.lifecycle import LifecycleManager
from oneiric.errors import ClosedError
from tests.core.components import (
    CACHE,
    Entered,
    Ledger,
    Phased,
    Plain,
    SyncPhased,
    manager_of,
    offer,
    running,
    until,
)

HUNG_SECONDS = 20.0  # real: the guard looks at no clock

Verb = Callable[[LifecycleManager], Awaitable[object]]


async def _use(lifecycle: LifecycleManager) -> None:
    async with lifecycle.use(CACHE) as held:
        held.work()
        await asyncio.sleep(0)
        held.work()


async def _use_other(lifecycle: LifecycleManager) -> None:
    async with lifecycle.use(CACHE, provider="b") as held:
        assert held.work() == "b"


async def _swap(lifecycle: LifecycleManager) -> None:
    await lifecycle.swap(CACHE, provider="b")


async def _swap_while_used(lifecycle: LifecycleManager) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_use(lifecycle))
        tasks.create_task(_swap(lifecycle))


VERBS: dict[str, Verb] = {
    "activate": lambda lifecycle: lifecycle.activate(CACHE),
    "use": _use,
    "use another provider": _use_other,
    "swap": _swap,
    "swap while in use": _swap_while_used,
    "probe": lambda lifecycle: lifecycle.probe(CACHE),
    "pause": lambda lifecycle: lifecycle.pause(CACHE),
    "drain": lambda lifecycle: lifecycle.drain(CACHE),
    "close": lambda lifecycle: lifecycle.close(),
}


async def _cancelled_after(steps: int, work: Awaitable[object]) -> bool:
    """Cancel *work* after so many turns of the loop; tell whether it was still going on."""
    task = asyncio.ensure_future(work)
    for _ in range(steps):
        await asyncio.sleep(0)
    going_on = task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()
    return going_on


@pytest.mark.parametrize("kind", [Phased, Entered, Plain])
@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
@pytest.mark.parametrize("verb", VERBS)
async def test_promise_l5_cancellation_at_any_await_leaves_no_half_state(
    verb: str, warm: bool, kind: Callable[..., object]
) -> None:
    """After each, the component can be used, everything made is known, and all of it closes."""
    before, steps, going_on = asyncio.all_tasks(), 0, True
    while going_on:
        ledger = Ledger()
        offers = offer(ledger, "a", kind, priority=1), offer(ledger, "b", kind)
        lifecycle = manager_of(*offers)
        lifecycle.hook("pre_swap", lambda _: asyncio.sleep(0))
        lifecycle.hook("post_swap", lambda _: asyncio.sleep(0))
        lifecycle.hook("cleanup", _end_plain)
        if warm:
            await lifecycle.activate(CACHE)
        going_on = await _cancelled_after(steps, VERBS[verb](lifecycle))
        if verb != "close":
            await lifecycle.resume(CACHE)
            await _use(lifecycle)
            status = lifecycle.status(CACHE)
            assert (status.state, status.in_flight) == (LifecycleState.READY, 0)
            await lifecycle.swap(CACHE, clear=True)
            assert lifecycle.status(CACHE).provider == "a"
            up = [lifecycle.status(f"{CACHE}@{name}").generation > 0 for name in "ab"]
            assert ledger.open == sum(up)
        await lifecycle.close()
        assert (ledger.open, ledger.late, asyncio.all_tasks()) == (0, [], before)
        steps += 1
    assert steps >= 2


def _end_plain(context: SwapContext) -> None:
    if type(context.instance) is Plain:
        context.instance.end()


@pytest.mark.parametrize("kind", [Phased, Entered])
@pytest.mark.parametrize("fails", [False, True], ids=["swap holds", "swap is undone"])
@pytest.mark.parametrize("verb", ["activate", "use", "use another provider", "swap"])
async def test_promise_l5_closing_at_any_await_closes_everything(
    verb: str, fails: bool, kind: Callable[..., object]
) -> None:
    """Whatever was under way ends or is told that the manager was closed; no cleanup is cut."""
    before, steps, done = asyncio.all_tasks(), 0, False
    while not done:
        ledger = Ledger()
        offers = offer(ledger, "a", kind, priority=1), offer(ledger, "b", kind)
        lifecycle = manager_of(*offers)

        async def hook(_: SwapContext) -> None:
            await asyncio.sleep(0)
            if fails:
                raise ValueError("no")

        lifecycle.hook("post_swap", hook)
        if verb == "swap":
            await lifecycle.activate(CACHE)
        task = asyncio.ensure_future(VERBS[verb](lifecycle))
        for _ in range(steps):
            await asyncio.sleep(0)
        done = task.done()
        await lifecycle.close()
        await asyncio.wait({task})
        assert not task.cancelled()
        assert isinstance(task.exception(), ClosedError | None)
        assert (ledger.open, ledger.late, asyncio.all_tasks()) == (0, [], before)
        steps += 1
    assert steps > 4


async def test_promise_l5_a_cancelled_swap_still_happens() -> None:
    """Who asked stops waiting at once; the swap ends in order, and the selection with it."""
    ledger, go_on = Ledger(), asyncio.Event()

    class Slow(Phased):
        async def init(self) -> None:
            await go_on.wait()

    async with running(offer(ledger, "a", priority=1), offer(ledger, "b", Slow)) as lifecycle:
        await lifecycle.activate(CACHE)
        assert await _cancelled_after(5, lifecycle.swap(CACHE, provider="b"))
        assert lifecycle.status(CACHE).provider == "a"
        go_on.set()
        await until(lambda: lifecycle.status(CACHE).provider == "b")
        decision = lifecycle.resolver.explain(CACHE)
        assert decision.selection is not None
        assert (decision.selection.provider, decision.selection.origin) == ("b", "swap")
        await until(lambda: ledger.ended == ["a"])


async def test_promise_l5_one_callers_cancellation_is_no_others() -> None:
    """Of several who wait for one activation, only the cancelled one gives up."""
    ledger = Ledger()
    async with running(offer(ledger, "a")) as lifecycle:
        others = [asyncio.create_task(_use(lifecycle)) for _ in range(3)]
        assert await _cancelled_after(3, lifecycle.activate(CACHE))
        await asyncio.gather(*others)
        assert (ledger.made, lifecycle.in_flight(CACHE)) == (["a"], 0)


async def test_promise_l5_a_cleanup_is_not_cut_short_by_closing() -> None:
    """The old one's cleanup, under way when the manager is closed, ends in its own time."""
    ledger, begun = Ledger(), asyncio.Event()

    class Careful(Phased):
        async def cleanup(self) -> None:
            begun.set()
            await asyncio.sleep(0.02)
            self.end()

    async with running(offer(ledger, "a", Careful)) as lifecycle:
        await lifecycle.activate(CACHE)
        swapping = asyncio.create_task(lifecycle.swap(CACHE))
        await begun.wait()
        await lifecycle.close()
        report = await swapping
        assert (report.ok, report.cleanup_errors, ledger.open) == (True, (), 0)


# -- limits -----------------------------------------------------------------------------------

LIMITS = PhaseLimits(create=0.02, init=0.02, health=0.02, hook=0.02, drain=0.02, cleanup=0.02)
THREADED = PhaseLimits(create=0.3, init=0.3, health=0.3, hook=0.3, drain=0.3, cleanup=0.3)


class Hanging(Plain):
    """Hang in one phase: asleep, or deaf to cancellation for a while."""

    def __init__(self, ledger: Ledger, name: str, *, hangs: str, deaf: bool = False) -> None:
        super().__init__(ledger, name)
        self.hangs = hangs
        self.deaf = deaf

    async def init(self) -> None:
        await self._phase("init")

    async def health(self) -> bool:
        await self._phase("health")
        return True

    async def cleanup(self) -> None:
        self.end()
        await self._phase("cleanup")

    async def _phase(self, name: str) -> None:
        if name == self.hangs:
            await _hang(self.ledger, deaf=self.deaf)


async def _hang(ledger: Ledger, *, deaf: bool) -> None:
    deadline = time.monotonic() + HUNG_SECONDS
    while not ledger.awake and time.monotonic() < deadline:
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            if not deaf:
                raise


async def _wake(ledger: Ledger) -> None:
    """Let what hangs go on, and give it the time to do what it should not."""
    ledger.awake = True
    await asyncio.sleep(0.05)


async def _make_slowly(ledger: Ledger, name: str, *, deaf: bool) -> Plain:
    await _hang(ledger, deaf=deaf)
    return Phased(ledger, name)


@pytest.mark.parametrize("deaf", [False, True], ids=["asleep", "deaf"])
@pytest.mark.parametrize("phase", ["create", "init", "health"])
async def test_promise_l5_a_phase_that_hangs_is_ended_at_its_limit(phase: str, deaf: bool) -> None:
    """The swap fails in time, naming the phase; the old one serves and the new one is gone."""
    ledger = Ledger()
    kind = partial(Hanging, hangs=phase, deaf=deaf)
    slow = partial(_make_slowly, deaf=deaf) if phase == "create" else kind
    offers = offer(ledger, "a", priority=1), offer(ledger, "b", slow)
    async with running(*offers, limits=LIMITS) as lifecycle:
        lifecycle.builder.guard.grace_seconds = 0.01
        await lifecycle.activate(CACHE)
        started = time.monotonic()
        report = await lifecycle.swap(CACHE, provider="b")
        assert time.monotonic() - started < 5
        assert (report.failed_phase, report.ok) == (phase, False)
        assert "took longer than 0.02 s" in str(report.error)
        assert lifecycle.builder.guard.abandoned == deaf
        assert (lifecycle.status(CACHE).state, ledger.open) == (LifecycleState.READY, 1)
        await _wake(ledger)
        assert (ledger.open, ledger.late) == (1, [])


@pytest.mark.parametrize("deaf", [False, True], ids=["asleep", "deaf"])
async def test_promise_l5_a_cleanup_that_hangs_is_ended_and_reported(deaf: bool) -> None:
    """It never undoes a good swap, nor delays it beyond its limit."""
    ledger = Ledger()
    kind = partial(Hanging, hangs="cleanup", deaf=deaf)
    offers = offer(ledger, "a", kind, priority=1), offer(ledger, "b")
    async with running(*offers, limits=LIMITS) as lifecycle:
        lifecycle.builder.guard.grace_seconds = 0.01
        await lifecycle.activate(CACHE)
        report = await lifecycle.swap(CACHE, provider="b")
        assert report.ok
        assert [error.message for error in report.cleanup_errors] == [
            "adapter:cache@a failed in cleanup: took longer than 0.02 s"
        ]
        assert lifecycle.builder.guard.abandoned == deaf
        await _wake(ledger)


@pytest.mark.parametrize("point", ["pre_swap", "post_swap", "cleanup"])
async def test_promise_l5_a_hook_that_hangs_is_ended_at_its_limit(point: str) -> None:
    """Before and after bind it fails the swap; at cleanup it is reported."""
    ledger = Ledger()
    async with running(offer(ledger, "a"), limits=LIMITS) as lifecycle:
        await lifecycle.activate(CACHE)
        remove = lifecycle.hook(point, lambda _: asyncio.sleep(60))
        report = await lifecycle.swap(CACHE)
        remove()
        told = [report.error, *report.cleanup_errors] if point == "cleanup" else [report.error]
        assert report.ok is (point == "cleanup")
        assert any("took longer than 0.02 s" in str(error) for error in told)
        assert lifecycle.status(CACHE).generation == (2 if point == "cleanup" else 1)


@pytest.mark.parametrize("phase", ["create", "init", "health", "cleanup"])
async def test_promise_l5_a_blocking_phase_is_abandoned_and_its_result_cleaned_up(
    phase: str,
) -> None:
    """The loop goes on meanwhile; what the thread makes late is cleaned up, and counted."""
    ledger = Ledger()

    class Blocking(SyncPhased):
        def __init__(self, ledger: Ledger, name: str) -> None:
            self._block("create")
            super().__init__(ledger, name)

        def init(self) -> None:
            self._block("init")

        def health(self) -> bool:
            self._block("health")
            return True

        def cleanup(self) -> None:
            self.end()
            self._block("cleanup")

        def _block(self, here: str) -> None:
            deadline = time.monotonic() + HUNG_SECONDS
            while here == phase and not ledger.awake and time.monotonic() < deadline:
                time.sleep(0.01)

    offers = offer(ledger, "a", priority=1), offer(ledger, "b", Blocking, blocking=True)
    async with running(*offers, limits=THREADED) as lifecycle:
        await lifecycle.activate(CACHE)
        swapping, ticks = asyncio.create_task(lifecycle.swap(CACHE, provider="b")), 0
        while not swapping.done():
            await asyncio.sleep(0.001)
            ticks += 1
        report = swapping.result()
        assert report.failed_phase == ("" if phase == "cleanup" else phase)
        if phase == "cleanup":
            report = await lifecycle.swap(CACHE, provider="a")
            assert [error.message for error in report.cleanup_errors] == [
                "adapter:cache@b failed in cleanup: took longer than 0.3 s"
            ]
        assert (ticks > 3 or phase == "cleanup", lifecycle.builder.guard.abandoned) == (True, 1)
        await _wake(ledger)
        await until(lambda: ledger.made.count("b") == 1 and ledger.open == 1)
        assert (ledger.open, ledger.late) == (1, [])


@pytest.mark.parametrize("where", ["enter", "leave"])
@pytest.mark.parametrize("deaf", [False, True], ids=["asleep", "deaf"])
async def test_promise_l5_a_context_manager_that_hangs_is_ended(where: str, deaf: bool) -> None:
    """Entering fails the start, leaving is reported; its task is cancelled, not forgotten."""
    ledger = Ledger()

    class Scope(Entered):
        async def __aenter__(self) -> "Scope":
            if where == "enter":
                await _hang(ledger, deaf=deaf)
            return self

        async def __aexit__(self, *failure: object) -> None:
            self.end()
            if where == "leave":
                await _hang(ledger, deaf=deaf)

    async with running(offer(ledger, "a"), offer(ledger, "s", Scope), limits=LIMITS) as lifecycle:
        lifecycle.builder.guard.grace_seconds = 0.01
        await lifecycle.swap(CACHE, provider="a")
        report = await lifecycle.swap(CACHE, provider="s")
        if where == "enter":
            assert report.failed_phase == "init"
        else:
            report = await lifecycle.swap(CACHE, provider="a")
            assert [error.message for error in report.cleanup_errors] == [
                "adapter:cache@s failed in cleanup: took longer than 0.02 s"
            ]
        assert (ledger.made.count("s"), lifecycle.builder.guard.abandoned) == (1, deaf)
        await _wake(ledger)
        assert ledger.late == []
