"""What hostile components, interrupted threads and eager loops do: nothing to anybody else."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest

from oneiric.core.build import PhaseLimits
from oneiric.core.candidate import Candidate
from oneiric.core.guard import Guard
from oneiric.core.hooks import SwapContext
from oneiric.core.lifecycle import LifecycleManager
from oneiric.core.precedence import Selection
from oneiric.errors import ClosedError, ComponentError, NotFoundError
from tests.core.components import CACHE, Broken, Ledger, Phased, Plain, offer, running, until


class Untellable(Exception):
    """An error that ends the program when it is told."""

    def __str__(self) -> str:
        raise SystemExit(3)


class Trapped(Plain):
    """A component whose phases are properties; those in *traps* raise when looked at."""

    def __init__(self, ledger: Ledger, name: str, *, traps: set[str]) -> None:
        super().__init__(ledger, name)
        self.traps = traps

    def _look(self, phase: str) -> Callable[[], object]:
        if phase in self.traps:
            raise Broken(phase)
        return lambda: True

    init = property(lambda self: self._look("init"))
    health = property(lambda self: self._look("health"))
    pause = property(lambda self: self._look("pause"))

    @property
    def cleanup(self) -> Callable[[], object]:
        self._look("cleanup")
        return self.end


@pytest.mark.parametrize("phase", ["init", "health"])
async def test_promise_l4_a_phase_that_cannot_even_be_looked_at_is_a_failed_phase(
    phase: str,
) -> None:
    """A property that raises fails its phase: the swap reports it and the old one serves."""
    ledger = Ledger()
    bad = partial(Trapped, traps={phase})
    async with running(offer(ledger, "a", priority=1), offer(ledger, "b", bad)) as lifecycle:
        await lifecycle.activate(CACHE)
        report = await lifecycle.swap(CACHE, provider="b")
        told = f"adapter:cache@b failed in {phase}: Broken: {phase}"
        assert (report.failed_phase, str(report.error)) == (phase, told)
        assert (lifecycle.status(CACHE).provider, lifecycle.status(CACHE).state) == ("a", "ready")
        assert ledger.ended == ["b"]


async def test_promise_l7_a_cleanup_that_cannot_be_looked_at_is_a_failed_cleanup() -> None:
    """It is reported with the others when the manager closes; everything is closed."""
    ledger = Ledger()
    trap = offer(ledger, "a", partial(Trapped, traps={"cleanup"}))
    with pytest.raises(ExceptionGroup) as failed:
        async with running(trap) as lifecycle:
            await lifecycle.activate(CACHE)
    assert [str(error) for error in failed.value.exceptions] == [
        "adapter:cache@a failed in cleanup: Broken: cleanup"
    ]


async def test_promise_l5_a_pause_that_cannot_be_looked_at_fails_and_refuses_all_the_same() -> None:
    """The caller is told in a component's error; new work is refused."""
    trap = offer(Ledger(), "a", partial(Trapped, traps={"pause"}))
    async with running(trap) as lifecycle:
        await lifecycle.activate(CACHE)
        with pytest.raises(ComponentError, match="failed in pause: Broken: pause"):
            await lifecycle.pause(CACHE)
        assert str(lifecycle.status(CACHE).activity.state) == "paused"


@pytest.mark.parametrize(
    "error",
    [GeneratorExit, SystemExit, asyncio.CancelledError, StopIteration, BaseException, Untellable],
)
async def test_promise_l5_whatever_a_phase_raises_is_an_error_of_the_component(
    error: type[BaseException],
) -> None:
    """None of them ends the caller, the loop or the manager; the next caller tries anew."""
    ledger, raised = Ledger(), [error]

    class Hostile(Phased):
        async def init(self) -> None:
            await asyncio.sleep(0)
            if raised:
                raise raised.pop()

    async with running(offer(ledger, "a", Hostile)) as lifecycle:
        with pytest.raises(ComponentError, match="adapter:cache@a failed in init"):
            await lifecycle.activate(CACHE)
        assert (await lifecycle.activate(CACHE)).provider == "a"
    assert ledger.open == 0


async def test_a_guard_gives_a_late_generator_exit_as_the_outcome() -> None:
    """An end that foreign code claims for itself is an error like any other."""

    async def leave() -> None:
        raise GeneratorExit

    outcome = await Guard().call(leave, limit=1.0)
    assert type(outcome.error) is GeneratorExit


async def test_promise_l5_an_interrupted_thread_leaves_no_hold() -> None:
    """A thread that stops waiting for a cold component does not hold it when it comes up."""
    ledger, go_on = Ledger(), asyncio.Event()

    class Slow(Phased):
        async def init(self) -> None:
            await go_on.wait()

    async with running(offer(ledger, "a", Slow)) as lifecycle:
        own = asyncio.create_task(lifecycle.activate(CACHE))
        await until(lambda: ledger.made)
        ended: list[BaseException] = []

        def hold() -> None:
            try:
                with lifecycle.use(CACHE):
                    ended.append(AssertionError("it was held"))
            except KeyboardInterrupt as error:
                ended.append(error)

        thread = threading.Thread(target=_interrupted, args=(hold,))
        thread.start()
        await until(lambda: ended)
        go_on.set()
        await own
        await asyncio.to_thread(thread.join, 5.0)
        assert (type(ended[0]), lifecycle.in_flight(CACHE)) == (KeyboardInterrupt, 0)


def _interrupted(function: Callable[[], None]) -> None:
    """Call *function*, and interrupt it once it waits for a lock, as a signal would."""

    def trace(frame: object, event: str, _: object) -> object:
        code = frame.f_code  # type: ignore[attr-defined]
        if event == "call" and code.co_name == "wait" and "futures" in code.co_filename:
            sys.settrace(None)
            raise KeyboardInterrupt
        return trace

    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        function()
    finally:
        sys.settrace(None)


async def test_promise_l7_closing_while_threads_ask_for_links_closes_everything() -> None:
    """New references that appear meanwhile do not disturb the closing."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(20):
            ledger, stop = Ledger(), threading.Event()
            async with running(offer(ledger, "a")) as lifecycle:
                await lifecycle.activate(CACHE)
                for number in range(2_000):
                    lifecycle.link(f"adapter:k{number}")

                def ask(
                    link: Callable[[str], object] = lifecycle.link,
                    stop: threading.Event = stop,
                ) -> None:
                    for number in range(100_000):
                        if stop.is_set():
                            return
                        link(f"adapter:n{number}")

                thread = threading.Thread(target=ask)
                thread.start()
            stop.set()
            thread.join(5.0)
            assert ledger.open == 0
    finally:
        sys.setswitchinterval(before)


async def test_promise_r9_a_failed_swap_leaves_what_was_configured_meanwhile() -> None:
    """The earlier swap's choice ended with the new configuration; it does not come back."""
    ledger = Ledger()
    offers = [offer(ledger, name) for name in "abc"]
    async with running(*offers) as lifecycle:
        await lifecycle.swap(CACHE, provider="a")
        configured = Selection.of(CACHE, "c", origin="oneiric.toml:3")

        async def change(_: SwapContext) -> None:
            lifecycle.resolver.configure(selections=[configured])
            raise Broken

        lifecycle.hook("post_swap", change)
        report = await lifecycle.swap(CACHE, provider="b")
        decision = lifecycle.resolver.explain(CACHE)
        assert (report.rolled_back, decision.selection, decision.overridden) == (
            True,
            configured,
            None,
        )


@pytest.mark.parametrize("verb", ["pause", "resume", "drain"])
async def test_a_component_that_nobody_knows_can_not_be_paused(verb: str) -> None:
    """A typo is an error with the nearest spelling, not a pause of nothing."""
    async with running(offer(Ledger(), "a")) as lifecycle:
        act: Callable[[str], Awaitable[object]] = getattr(lifecycle, verb)
        for typo, close in ((f"{CACHE}s", CACHE), (f"{CACHE}@aa", f"{CACHE}@a")):
            with pytest.raises(NotFoundError) as unknown:
                await act(typo)
            assert unknown.value.hint == f"did you mean {close}?"
        assert (lifecycle.activity.snapshot(), lifecycle.statuses()) == ({}, [])


async def test_what_was_withdrawn_can_still_be_paused_and_resumed() -> None:
    """What is up, or is paused already, is known whatever is on offer."""
    async with running(offer(Ledger(), "a")) as lifecycle:
        await lifecycle.activate(CACHE)
        lifecycle.resolver.withdraw(CACHE)
        await lifecycle.pause(CACHE)
        await lifecycle.resume(CACHE)
        assert lifecycle.activity.snapshot() == {}


async def test_promise_l1_a_loop_that_starts_tasks_eagerly_activates_again_and_again() -> None:
    """Where an activation ends before its caller could note it, the next one still happens."""
    loop, ledger = asyncio.get_running_loop(), Ledger()
    loop.set_task_factory(getattr(asyncio, "eager_task_factory", None))  # from Python 3.12
    try:
        offers = [offer(ledger, name, Plain) for name in "ab"]
        async with asyncio.timeout(5.0), running(*offers) as lifecycle:
            for name in "abab":
                await lifecycle.activate(f"{CACHE}@{name}")
                assert (await lifecycle.swap(CACHE, provider=name)).ok
                assert lifecycle.status(f"{CACHE}@{name}").state == "ready"
    finally:
        loop.set_task_factory(None)


async def test_promise_l5_a_component_that_uses_its_own_place_is_cut_off_at_its_limit() -> None:
    """Waiting for oneself ends with the phase's limit; the place can be asked for again."""
    ledger = Ledger()
    lifecycles: list[LifecycleManager] = []

    class Inward(Phased):
        async def init(self) -> None:
            async with lifecycles[0].use(CACHE):
                pass

    limits = PhaseLimits(init=0.05, hook=0.05)
    async with running(offer(ledger, "a", Inward), limits=limits) as lifecycle:
        lifecycles.append(lifecycle)
        with pytest.raises(ComponentError, match="failed in init: took longer"):
            await lifecycle.activate(CACHE)
    assert ledger.open == 0


@pytest.mark.parametrize("point", ["pre_swap", "post_swap", "cleanup"])
async def test_promise_l5_a_hook_may_use_swap_and_close(point: str) -> None:
    """Whatever it waits for that waits for the swap ends at its limit; nothing is left."""
    for verb in ("use", "swap", "close"):
        ledger = Ledger()
        limits = PhaseLimits(hook=0.05)
        with suppress(ExceptionGroup, ClosedError):
            async with running(offer(ledger, "a"), offer(ledger, "b"), limits=limits) as lifecycle:

                async def act(
                    _: SwapContext, verb: str = verb, manager: LifecycleManager = lifecycle
                ) -> None:
                    if verb == "use":
                        async with manager.use(CACHE) as held:
                            held.work()
                    elif verb == "swap":
                        await manager.swap(CACHE)
                    else:
                        await manager.close()

                lifecycle.hook(point, act)
                with suppress(ClosedError):
                    await lifecycle.swap(CACHE, provider="a")
                    await lifecycle.swap(CACHE, provider="b")
        assert (ledger.open, ledger.late) == (0, []), verb


async def test_an_async_generator_may_be_the_instance_and_a_falsy_one_too() -> None:
    """A factory that is an async context manager is entered; what it yields may be falsy."""
    ended: list[str] = []

    @asynccontextmanager
    async def make() -> AsyncIterator[list[str]]:
        yield []
        ended.append("left")

    async def numbers() -> AsyncIterator[int]:
        yield 1

    async with (
        running(
            Candidate(CACHE, "a", make), Candidate("adapter:numbers", "n", numbers)
        ) as lifecycle,
        lifecycle.use(CACHE) as held,
        lifecycle.use("adapter:numbers") as ones,
    ):
        assert (held, [n async for n in ones]) == ([], [1])
    assert ended == ["left"]
