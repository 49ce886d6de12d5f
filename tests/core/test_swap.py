"""Swaps: their order, their failures at every phase, rollback, and what links follow."""

import asyncio
from functools import partial

import pytest

from oneiric.core.build import PhaseLimits
from oneiric.core.generation import LifecycleState
from oneiric.core.handle import Link
from oneiric.core.hooks import HookPoint, SwapContext
from oneiric.core.lifecycle import LifecycleManager
from oneiric.testing import ManualClock
from tests.core.components import (
    CACHE,
    Broken,
    Ledger,
    Phased,
    Plain,
    Staged,
    offer,
    running,
    until,
)


def _note_hooks(lifecycle: LifecycleManager, ledger: Ledger) -> None:
    """Write every hook into the log, with whom it was told of and what served then."""

    def note(point: HookPoint, context: SwapContext) -> None:
        serves = lifecycle.status(CACHE).provider or "nobody"
        ledger.log.append(f"{point} {context.after.provider}, {serves} serves")

    for point in HookPoint:
        lifecycle.hook(point, partial(note, point))


def _tell(told: list[tuple[str, SwapContext]], point: str, context: SwapContext) -> None:
    told.append((point, context))


# -- L2: the order --------------------------------------------------------------------------


async def test_promise_l2_a_swap_goes_through_its_phases_in_order() -> None:
    """Resolve, create, init, health, pre-swap, bind, post-swap, drain, probation, cleanup."""
    ledger, clock = Ledger(), ManualClock()
    offers = offer(ledger, "a", Staged, priority=1), offer(ledger, "b", Staged)
    limits = PhaseLimits(probation=5.0)
    async with running(*offers, limits=limits, clock=clock) as lifecycle:
        await lifecycle.activate(CACHE)
        _note_hooks(lifecycle, ledger)
        ledger.take()
        held, let_go = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with lifecycle.use(CACHE) as instance:
                held.set()
                await let_go.wait()
                ledger.log.append(f"{instance.work()} is let go")

        holding = asyncio.create_task(hold())
        await held.wait()
        swapping = asyncio.create_task(lifecycle.swap(CACHE, provider="b"))
        await until(lambda: any(line.startswith("post_swap") for line in ledger.log))
        let_go.set()
        await clock.until_waiting()
        ledger.log.append("probation begins")
        clock.advance(5.0)
        report = await swapping
        await holding
        assert ledger.log == [
            "b create",
            "b init",
            "b health",
            "pre_swap b, a serves",
            "post_swap b, b serves",
            "a is let go",
            "probation begins",
            "b health",
            "a cleanup",
            "cleanup a, b serves",
        ]
        assert list(report.phases) == [
            "resolve",
            "create",
            "pre_swap",
            "bind",
            "post_swap",
            "drain",
            "probation",
            "cleanup",
        ]


async def test_promise_l2_the_first_swap_of_an_inactive_place_activates_it() -> None:
    """Nobody served before; the hooks are called all the same, and nothing is cleaned up."""
    ledger = Ledger()
    async with running(offer(ledger, "a", Staged)) as lifecycle:
        _note_hooks(lifecycle, ledger)
        contexts: list[SwapContext] = []
        lifecycle.hook("post_swap", contexts.append)
        report = await lifecycle.swap(CACHE)
        assert ledger.log == [
            "a create",
            "a init",
            "a health",
            "pre_swap a, nobody serves",
            "post_swap a, a serves",
        ]
        assert (report.ok, report.before, report.after, report.generation) == (True, "", "a", 1)
        ((ref, after, instance, before, previous),) = contexts
        assert (ref, after.provider, before, previous) == (CACHE, "a", None, None)
        async with lifecycle.use(CACHE) as held:
            assert held is instance


async def test_promise_l2_a_hook_is_told_who_serves_before_and_after() -> None:
    """Both offers and both instances, alive; at cleanup the one that was cleaned up."""
    ledger, told = Ledger(), list[tuple[str, SwapContext]]()
    offers = offer(ledger, "a", priority=1), offer(ledger, "b")
    async with running(*offers) as lifecycle:
        async with lifecycle.use(CACHE) as old:
            pass
        for point in ("pre_swap", "post_swap", "cleanup"):
            lifecycle.hook(point, partial(_tell, told, point))
        await lifecycle.swap(CACHE, provider="b")
        async with lifecycle.use(CACHE) as new:
            pass
        a, b = (lifecycle.resolver.resolve(CACHE, provider=name) for name in "ab")
        swapped, ended = SwapContext(CACHE, b, new, a, old), SwapContext(CACHE, a, old)  # type: ignore[arg-type]
        assert told == [("pre_swap", swapped), ("post_swap", swapped), ("cleanup", ended)]


async def test_a_removed_hook_is_not_called_and_order_is_that_of_adding() -> None:
    """The same function may be added twice; each removal takes away one."""
    ledger = Ledger()
    async with running(offer(ledger, "a", Plain)) as lifecycle:
        calls: list[str] = []

        def first(_: SwapContext) -> None:
            calls.append("first")

        remove = lifecycle.hook("pre_swap", first)
        lifecycle.hook("pre_swap", lambda _: calls.append("second"))
        lifecycle.hook("pre_swap", first)
        await lifecycle.swap(CACHE)
        remove()
        remove()
        await lifecycle.swap(CACHE)
        assert calls == ["first", "second", "first", "second", "first"]


# -- links and pins ---------------------------------------------------------------------------


class Near(Phased):
    """Keep a link to a cache."""

    def __init__(self, ledger: Ledger, name: str, *, near: Link[Plain]) -> None:
        super().__init__(ledger, name)
        self.near = near

    async def ask(self) -> str:
        async with self.near.use() as near:
            await asyncio.sleep(0)
            return near.work()


@pytest.mark.parametrize("near", [CACHE, "adapter:cache@memory"])
async def test_promise_l8_links_follow_swaps_and_pins_keep_their_instance(near: str) -> None:
    """A link to a place follows it; a link to an offer keeps that very instance up."""
    ledger = Ledger()
    offers = (
        offer(ledger, "memory", priority=1),
        offer(ledger, "redis"),
        offer(ledger, "user", Near, ref="service:user", requires={"near": near}),
    )
    async with running(*offers) as lifecycle, lifecycle.use("service:user") as user:
        before = await user.ask()
        await lifecycle.swap(CACHE, provider="redis")
        after = await user.ask()
        async with lifecycle.use(CACHE) as cache:
            assert cache.work() == "redis"
        pinned = near != CACHE
        assert (before, after) == ("memory", "memory" if pinned else "redis")
        assert ledger.ended == ([] if pinned else ["memory"])
        await lifecycle.swap(CACHE, provider="memory")
        assert (await user.ask(), ledger.made.count("memory")) == ("memory", 2)
        assert sorted(ledger.ended) == ["memory", "redis"]


async def test_a_pin_ends_with_whoever_held_it() -> None:
    """An instance that stayed for a component alone goes when that component is gone."""
    ledger = Ledger()
    offers = (
        offer(ledger, "memory", priority=1),
        offer(ledger, "redis"),
        offer(ledger, "user", Near, ref="service:user", requires={"near": "adapter:cache@memory"}),
        offer(ledger, "other", ref="service:user"),
    )
    async with running(*offers) as lifecycle:
        await lifecycle.swap("service:user", provider="user")
        async with lifecycle.use("service:user") as user:
            await user.ask()
        await lifecycle.swap(CACHE)
        await lifecycle.swap(CACHE, provider="redis")
        assert lifecycle.status("adapter:cache@memory").state is LifecycleState.READY
        await lifecycle.swap("service:user", provider="other")
        assert (sorted(ledger.ended), ledger.open) == (["memory", "memory", "user"], 2)


# -- what a report says -----------------------------------------------------------------------


async def test_a_report_says_what_happened_as_json_and_as_text() -> None:
    """Names, phases, times and errors; the text is for people."""
    clock, ledger = ManualClock(), Ledger()
    offers = (
        offer(ledger, "a", partial(Staged, fails={"cleanup"}), priority=1),
        offer(ledger, "b", Staged),
        offer(ledger, "c", partial(Staged, fails={"init"})),
    )
    async with running(*offers, clock=clock) as lifecycle:
        await lifecycle.activate(CACHE)
        lifecycle.hook("post_swap", lambda _: clock.advance(0.002))
        good = await lifecycle.swap(CACHE, provider="b")
        bad = await lifecycle.swap(CACHE, provider="c")
        assert good.as_json() == {
            "schema": "oneiric.swap/1",
            "ref": CACHE,
            "ok": True,
            "before": "a",
            "after": "b",
            "generation": 2,
            "phases_ms": {
                "resolve": 0.0,
                "create": 0.0,
                "pre_swap": 0.0,
                "bind": 0.0,
                "post_swap": 2.0,
                "drain": 0.0,
                "cleanup": 0.0,
            },
            "failed_phase": "",
            "error": None,
            "rolled_back": False,
            "forced": [],
            "cleanup_errors": ["adapter:cache@a failed in cleanup: Broken: cleanup"],
            "duration_ms": 2.0,
        }
        assert good.render() == (
            "adapter:cache  a -> b  2.00 ms\n"
            "  cleanup: adapter:cache@a failed in cleanup: Broken: cleanup"
        )
        assert bad.render() == (
            "adapter:cache  c refused in init; b serves\n"
            "  adapter:cache@c failed in init: Broken: init"
        )
        assert lifecycle.status(CACHE).swaps.as_json() == {
            "count": 1,
            "p50_ms": 2.0,
            "p95_ms": 2.0,
            "p99_ms": 2.0,
        }


async def test_swaps_of_one_place_take_turns_and_those_of_several_do_not() -> None:
    """Two swaps of a place never overlap; another place does not wait for them."""
    ledger, go_on = Ledger(), asyncio.Event()

    class Slow(Staged):
        async def init(self) -> None:
            await super().init()
            await go_on.wait()

    other = "adapter:queue"
    async with running(offer(ledger, "a", Slow), offer(ledger, "q", ref=other)) as lifecycle:
        swaps = [asyncio.create_task(lifecycle.swap(CACHE)) for _ in range(3)]
        await until(lambda: "a init" in ledger.log)
        assert (await lifecycle.swap(other)).ok
        assert ledger.made == ["a", "q"]
        go_on.set()
        reports = await asyncio.gather(*swaps)
        assert [report.generation for report in reports] == [1, 2, 3]
        assert ledger.open == 2


# -- races with other verbs -------------------------------------------------------------------


@pytest.mark.parametrize("fails", [False, True], ids=["swap holds", "swap is undone"])
async def test_an_activation_that_races_a_swap_leaves_one_instance_an_offer(fails: bool) -> None:
    """Asking for a provider while a swap brings it up, or gives it back, orphans nobody."""
    for steps in range(24):
        ledger = Ledger()
        offers = offer(ledger, "a", priority=1), offer(ledger, "b")
        async with running(*offers) as lifecycle:
            await lifecycle.activate(CACHE)
            lifecycle.hook("pre_swap", lambda _: asyncio.sleep(0))

            async def slow(_: SwapContext) -> None:
                for _step in range(6):
                    await asyncio.sleep(0)
                if fails:
                    raise Broken("no")

            lifecycle.hook("post_swap", slow)
            swapping = asyncio.create_task(lifecycle.swap(CACHE, provider="b"))
            for _step in range(steps):
                await asyncio.sleep(0)
            asked = [lifecycle.activate(CACHE, provider=name) for name in ("a", "b")]
            await asyncio.gather(swapping, *asked)
            place = lifecycle.status(CACHE)
            offers_up = [lifecycle.status(f"adapter:cache@{name}") for name in ("a", "b")]
            assert ledger.open == sum(status.provider != "" for status in offers_up)
            assert place.generation in {status.generation for status in offers_up}
            assert place.provider == ("a" if fails else "b")
        assert (ledger.open, ledger.late) == (0, [])


@pytest.mark.parametrize("held", ["memory", "redis"], ids=["who stayed", "who served"])
async def test_promise_l1_swaps_that_end_one_instance_at_once_end_it_once(held: str) -> None:
    """Who stayed for a pin is displaced by one swap while another takes the pin away.

    Whichever of the two swaps waits for holders, both hold, and its offer's slot keeps the
    one new instance.
    """
    ledger = Ledger()
    offers = (
        offer(ledger, "memory", priority=1),
        offer(ledger, "redis"),
        offer(ledger, "user", Near, ref="service:user", requires={"near": "adapter:cache@memory"}),
        offer(ledger, "other", ref="service:user"),
    )
    async with running(*offers) as lifecycle:
        await lifecycle.swap("service:user", provider="user")
        await lifecycle.activate(CACHE)
        await lifecycle.swap(CACHE, provider="redis")
        async with lifecycle.use(f"adapter:cache@{held}"):
            back = asyncio.create_task(lifecycle.swap(CACHE, provider="memory"))
            await until(lambda: lifecycle.status(CACHE).provider == "memory")
            other = asyncio.create_task(lifecycle.swap("service:user", provider="other"))
            await until(lambda: "user" in ledger.ended)
            async with (
                lifecycle.use(CACHE) as now,
                lifecycle.use("adapter:cache@memory") as named,
            ):
                assert now is named
        assert [(await one).render() for one in (back, other) if not (await one).ok] == []
        assert (sorted(ledger.ended), ledger.open) == (["memory", "redis", "user"], 2)
        assert lifecycle.in_flight(CACHE) == 0
    assert (ledger.open, ledger.late) == (0, [])


async def test_promise_l4_who_served_before_an_undone_swap_is_up_though_its_pin_went() -> None:
    """Who is displaced but stays for a pin is kept until the swap has held."""
    ledger = Ledger()
    offers = (
        offer(ledger, "memory", priority=1),
        offer(ledger, "redis"),
        offer(ledger, "user", Near, ref="service:user", requires={"near": "adapter:cache@memory"}),
        offer(ledger, "other", ref="service:user"),
    )
    async with running(*offers) as lifecycle:
        await lifecycle.swap("service:user", provider="user")
        async with lifecycle.use(CACHE) as before:
            pass

        async def doubt(context: SwapContext) -> None:
            if context.ref == CACHE:
                assert (await lifecycle.swap("service:user", provider="other")).ok
                raise Broken("no")

        remove = lifecycle.hook("post_swap", doubt)
        assert (await lifecycle.swap(CACHE, provider="redis")).rolled_back
        async with lifecycle.use(CACHE) as after:
            assert after is before
        remove()
        assert (await lifecycle.swap(CACHE, provider="redis")).ok
        assert sorted(ledger.ended) == ["memory", "redis", "user"]
    assert (ledger.open, ledger.late) == (0, [])
