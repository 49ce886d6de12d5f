"""Swaps that fail in each phase, and what stays as it was: L4 and R9."""

import asyncio
import threading
from collections.abc import Callable
from functools import partial

import pytest

from oneiric.core.build import PhaseLimits
from oneiric.core.generation import LifecycleState
from oneiric.core.hooks import SwapContext
from oneiric.core.lifecycle import LifecycleManager
from oneiric.core.precedence import Selection
from oneiric.core.quarantine import QuarantinePolicy
from oneiric.errors import InvalidError, NotFoundError
from tests.core.components import CACHE, Broken, Ledger, Staged, offer, running, until


def _in_phase(fails: set[str], phase: str) -> Callable[[LifecycleManager], None]:
    """Return how to make the next swap fail in *phase*."""

    def fail(_: SwapContext) -> None:
        raise Broken(phase)

    def prepare(lifecycle: LifecycleManager) -> None:
        if phase in ("pre_swap", "post_swap"):
            lifecycle.hook(phase, fail)
        elif phase == "resolve":
            lifecycle.resolver.withdraw("adapter:cache@b")
        elif phase == "probation":
            lifecycle.hook("post_swap", lambda _: fails.add("unhealthy"))
        else:
            fails.add("unhealthy" if phase == "health" else phase)

    return prepare


BEFORE_BIND = {
    "resolve": "swap selects b for adapter:cache, but nobody offers it",
    "create": "adapter:cache@b failed in create: Broken: create",
    "init": "adapter:cache@b failed in init: Broken: init",
    "health": "adapter:cache@b failed in health: health returned False",
    "pre_swap": "hook _in_phase.<locals>.fail: Broken: pre_swap",
}
AFTER_BIND = {
    "post_swap": "hook _in_phase.<locals>.fail: Broken: post_swap",
    "probation": "adapter:cache@b failed in probation: health returned False",
}


@pytest.mark.parametrize("active", [True, False], ids=["swap", "first swap"])
@pytest.mark.parametrize("phase", [*BEFORE_BIND, *AFTER_BIND])
async def test_promise_l4_a_failing_phase_leaves_the_old_one_serving(
    phase: str, active: bool
) -> None:
    """The old one serves, ready; the new one is cleaned up; the report names phase and why."""
    ledger, fails = Ledger(), set[str]()
    offers = (
        offer(ledger, "a", Staged, priority=1),
        offer(ledger, "b", partial(Staged, fails=fails)),
    )
    limits = PhaseLimits(probation=0.001)
    async with running(*offers, limits=limits) as lifecycle:
        if active:
            async with lifecycle.use(CACHE) as old:
                pass
        _in_phase(fails, phase)(lifecycle)
        report = await lifecycle.swap(CACHE, provider="b")
        assert (report.ok, report.failed_phase) == (False, phase)
        assert report.error is not None
        assert (BEFORE_BIND | AFTER_BIND)[phase] in report.error.message
        assert report.rolled_back is (phase in AFTER_BIND)
        assert (report.before, report.cleanup_errors) == ("a" if active else "", ())
        assert ledger.open == (1 if active else 0)
        assert ledger.ended == ([] if phase in ("resolve", "create") else ["b"])
        status = lifecycle.status(CACHE)
        assert (status.failed_swaps, status.problem) == (1, str(report.error))
        assert status.swaps.count == 0
        expected = LifecycleState.READY if active else LifecycleState.FAILED
        assert (status.state, status.provider) == (expected, "a" if active else "")
        async with lifecycle.use(CACHE) as held:
            assert (held.work(), held is old if active else True) == ("a", True)


@pytest.mark.parametrize("phase", [*BEFORE_BIND, *AFTER_BIND])
async def test_promise_l4_callers_work_through_a_swap_that_fails(phase: str) -> None:
    """Tasks and threads at work never see a closed instance, whichever way the swap goes."""
    ledger, fails, stop = Ledger(), set[str](), threading.Event()
    offers = (
        offer(ledger, "a", Staged, priority=1),
        offer(ledger, "b", partial(Staged, fails=fails)),
    )
    limits, patient = PhaseLimits(probation=0.002), QuarantinePolicy(failures=99)
    async with running(*offers, limits=limits, quarantine=patient) as lifecycle:
        await lifecycle.activate(CACHE)
        counts: list[int] = []

        async def task() -> None:
            count = 0
            while not stop.is_set():
                async with lifecycle.use(CACHE) as held:
                    held.work()
                    await asyncio.sleep(0)
                    held.work()
                count += 1
            counts.append(count)

        def thread() -> None:
            count = 0
            while not stop.wait(0.0002):
                with lifecycle.use(CACHE) as held:
                    held.work()
                count += 1
            counts.append(count)

        working = [asyncio.create_task(task()) for _ in range(4)]
        working += [asyncio.create_task(asyncio.to_thread(thread)) for _ in range(2)]
        _in_phase(fails, phase)(lifecycle)
        for _ in range(5):
            report = await lifecycle.swap(CACHE, provider="b")
            fails.discard("unhealthy" if phase == "probation" else "")
            assert report.failed_phase == phase
            await asyncio.sleep(0.001)
        stop.set()
        await asyncio.gather(*working)
        assert (len(counts), min(counts) > 0, ledger.late, ledger.open) == (6, True, [], 1)


async def test_promise_l4_a_failing_pre_swap_hook_stops_those_after_it() -> None:
    """The first failure decides; later hooks and the bind do not happen."""
    ledger, calls = Ledger(), list[str]()

    async def refuse(_: SwapContext) -> None:
        raise Broken("no")

    async with running(offer(ledger, "a")) as lifecycle:
        await lifecycle.activate(CACHE)
        lifecycle.hook("pre_swap", refuse)
        lifecycle.hook("pre_swap", lambda _: calls.append("later"))
        report = await lifecycle.swap(CACHE)
        assert (report.failed_phase, calls, lifecycle.status(CACHE).generation) == (
            "pre_swap",
            [],
            1,
        )


async def test_promise_l4_errors_while_the_new_one_is_cleaned_up_are_reported() -> None:
    """The cause is told first; what went wrong afterwards is not lost either."""
    ledger = Ledger()
    offers = (
        offer(ledger, "a", Staged, priority=1),
        offer(ledger, "b", partial(Staged, fails={"init", "cleanup"})),
        offer(ledger, "c", partial(Staged, fails={"cleanup"})),
    )
    async with running(*offers) as lifecycle:
        await lifecycle.activate(CACHE)
        unborn = await lifecycle.swap(CACHE, provider="b")
        lifecycle.hook("post_swap", lambda context: 1 / (context.after.provider != "c"))
        undone = await lifecycle.swap(CACHE, provider="c")
        assert unborn.error is not None
        assert unborn.error.__notes__ == ["adapter:cache@b failed in cleanup: Broken: cleanup"]
        assert [error.message for error in undone.cleanup_errors] == [
            "adapter:cache@c failed in cleanup: Broken: cleanup"
        ]
        async with lifecycle.use(CACHE) as held:
            assert held.work() == "a"


async def test_promise_l4_an_undone_swap_drains_those_who_hold_the_new_one() -> None:
    """Who was given the new one before it was found bad finishes with it, then it is closed."""
    ledger, held, let_go = Ledger(), asyncio.Event(), asyncio.Event()
    offers = offer(ledger, "a", priority=1), offer(ledger, "b")
    async with running(*offers) as lifecycle:
        await lifecycle.activate(CACHE)

        async def hold() -> str:
            async with lifecycle.use(CACHE) as instance:
                held.set()
                await let_go.wait()
                return str(instance.work())

        async def refuse(_: SwapContext) -> None:
            holding.append(asyncio.create_task(hold()))
            await held.wait()
            raise Broken("no")

        holding: list[asyncio.Task[str]] = []
        lifecycle.hook("post_swap", refuse)
        swapping = asyncio.create_task(lifecycle.swap(CACHE, provider="b"))
        await until(lambda: holding and held.is_set())
        await until(lambda: lifecycle.status(CACHE).provider == "a")
        async with lifecycle.use(CACHE) as again:
            assert (again.work(), ledger.ended) == ("a", [])
        let_go.set()
        report = await swapping
        assert (await holding[0], report.failed_phase, ledger.ended) == ("b", "post_swap", ["b"])


# -- R9: the selection ------------------------------------------------------------------------


async def test_promise_r9_a_swap_stores_its_selection_until_it_is_cleared() -> None:
    """It outranks configuration, explain shows both, and `clear` gives way to it again."""
    ledger = Ledger()
    offers = [offer(ledger, name) for name in "abc"]
    async with running(*offers) as lifecycle:
        configured = Selection.of(CACHE, "a", origin="oneiric.toml:3")
        lifecycle.resolver.configure(selections=[configured])
        await lifecycle.activate(CACHE)
        report = await lifecycle.swap(CACHE, provider="b")
        decision = lifecycle.resolver.explain(CACHE)
        assert (report.before, report.after) == ("a", "b")
        assert decision.selection == Selection.of(CACHE, "b", origin="swap")
        assert decision.overridden == configured
        cleared = await lifecycle.swap(CACHE, clear=True)
        assert (cleared.before, cleared.after) == ("b", "a")
        assert lifecycle.resolver.explain(CACHE).selection == configured


@pytest.mark.parametrize("earlier", ["", "a"])
@pytest.mark.parametrize("phase", [*BEFORE_BIND, *AFTER_BIND])
async def test_promise_r9_a_failed_swap_leaves_the_selection_as_it_was(
    phase: str, earlier: str
) -> None:
    """Whether there was none or one of an earlier swap, a failure in any phase keeps it."""
    ledger, fails = Ledger(), set[str]()
    offers = (
        offer(ledger, "a", Staged, priority=1),
        offer(ledger, "b", partial(Staged, fails=fails)),
    )
    async with running(*offers, limits=PhaseLimits(probation=0.001)) as lifecycle:
        await lifecycle.swap(CACHE, provider=earlier)
        before = lifecycle.resolver.explain(CACHE).selection
        _in_phase(fails, phase)(lifecycle)
        report = await lifecycle.swap(CACHE, provider="b")
        assert report.failed_phase == phase
        assert lifecycle.resolver.explain(CACHE).selection == before
        fails.update({"init"})
        lifecycle.hook("pre_swap", lambda _: 1 / 0)
        again = await lifecycle.swap(CACHE, clear=True)
        assert again.failed_phase == "pre_swap"
        assert lifecycle.resolver.explain(CACHE).selection == before


async def test_promise_r9_rollback_goes_back_one_swap_at_a_time() -> None:
    """Each rollback selects who served before; at the first there is nobody before."""
    ledger = Ledger()
    offers = offer(ledger, "a", priority=1), offer(ledger, "b"), offer(ledger, "c")
    async with running(*offers) as lifecycle:
        for provider in ("", "b", "c", ""):
            await lifecycle.swap(CACHE, provider=provider)
        reports = [await lifecycle.rollback(CACHE) for _ in range(2)]
        assert [(r.before, r.after, r.ok) for r in reports] == [("c", "b", True), ("b", "a", True)]
        assert lifecycle.resolver.explain(CACHE).selection == Selection.of(
            CACHE, "a", origin="swap"
        )
        with pytest.raises(NotFoundError, match="no earlier provider of adapter:cache"):
            await lifecycle.rollback(CACHE)


async def test_promise_r9_a_failed_rollback_can_be_tried_again() -> None:
    """The way back is not forgotten because it could not be gone at once."""
    ledger, fails = Ledger(), set[str]()
    offers = offer(ledger, "a", partial(Staged, fails=fails)), offer(ledger, "b", Staged)
    async with running(*offers) as lifecycle:
        await lifecycle.swap(CACHE, provider="a")
        await lifecycle.swap(CACHE, provider="b")
        fails.add("init")
        failed = await lifecycle.rollback(CACHE)
        fails.clear()
        again = await lifecycle.rollback(CACHE)
        assert (failed.ok, failed.failed_phase, again.ok, again.after) == (False, "init", True, "a")


async def test_a_swap_to_a_provider_that_may_not_serve_is_refused() -> None:
    """Failover never puts another in the place of the one that was asked for."""
    offers = offer(Ledger(), "a", priority=1), offer(Ledger(), "b")
    async with running(*offers) as lifecycle:
        await lifecycle.activate(CACHE)
        await lifecycle.pause("adapter:cache@b", note="new disk", actor="ann")
        report = await lifecycle.swap(CACHE, provider="b")
        assert (report.ok, report.failed_phase) == (False, "resolve")
        assert report.error is not None
        assert report.error.message == (
            "swap selects b for adapter:cache, but paused by ann: new disk"
        )
        assert lifecycle.status(CACHE).provider == "a"


async def test_a_swap_cannot_select_and_clear_at_once() -> None:
    """The two contradict each other, so neither is done."""
    async with running(offer(Ledger(), "a")) as lifecycle:
        with pytest.raises(InvalidError, match="selects a or clears, not both"):
            await lifecycle.swap(CACHE, provider="a", clear=True)
        report = await lifecycle.swap("adapter:cache@a")
        assert (report.ref, report.after) == (CACHE, "a")
