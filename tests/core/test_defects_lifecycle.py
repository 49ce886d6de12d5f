"""Defects found in the lifecycle this one replaces: each is a situation that must go well here."""

import asyncio
import time
from datetime import UTC, datetime
from functools import partial

import pytest
from pydantic import BaseModel

from oneiric.core.activity import ACTIVE
from oneiric.core.build import PhaseLimits
from oneiric.core.candidate import Candidate
from oneiric.core.generation import LifecycleState
from oneiric.core.lifecycle import LifecycleManager
from oneiric.errors import ClosedError, ComponentError, PausedError
from oneiric.testing import ManualClock
from tests.core.components import (
    CACHE,
    Broken,
    Ledger,
    Phased,
    Plain,
    Staged,
    SyncPhased,
    manager_of,
    offer,
    running,
    until,
)


def _refuse(_: object) -> None:
    raise Broken("hook")


async def _use(lifecycle: LifecycleManager) -> str:
    async with lifecycle.use(CACHE) as held:
        await asyncio.sleep(0)
        return str(held.work())


async def test_defect_oneiric_l1_ten_first_callers_made_ten_instances() -> None:
    """Ten concurrent first uses make one instance, and none is leaked."""
    ledger = Ledger()
    async with running(offer(ledger, "a")) as lifecycle:
        await asyncio.gather(*(_use(lifecycle) for _ in range(10)))
        assert ledger.made == ["a"]
    assert ledger.open == 0


async def test_defect_oneiric_l2_a_swap_cleaned_up_under_a_caller() -> None:
    """The old one is cleaned up after the caller inside it has left."""
    ledger, inside, go_on = Ledger(), asyncio.Event(), asyncio.Event()
    async with running(offer(ledger, "a", priority=1), offer(ledger, "b")) as lifecycle:

        async def caller() -> str:
            async with lifecycle.use(CACHE) as held:
                inside.set()
                await go_on.wait()
                return str(held.work())

        calling = asyncio.create_task(caller())
        await inside.wait()
        swapping = asyncio.create_task(lifecycle.swap(CACHE, provider="b"))
        await until(lambda: lifecycle.status(CACHE).provider == "b")
        assert (await _use(lifecycle), ledger.ended) == ("b", [])
        go_on.set()
        assert (await calling, (await swapping).ok, ledger.ended) == ("a", True, ["a"])


async def test_defect_oneiric_l3_a_failing_cleanup_undid_a_good_swap() -> None:
    """The new one serves; the old one's cleanup error is in the report and nowhere else."""
    ledger = Ledger()
    offers = (
        offer(ledger, "a", partial(Staged, fails={"cleanup"}), priority=1),
        offer(ledger, "b", Staged),
    )
    async with running(*offers) as lifecycle:
        await lifecycle.activate(CACHE)
        report = await lifecycle.swap(CACHE, provider="b")
        status = lifecycle.status(CACHE)
        assert (report.ok, [error.code for error in report.cleanup_errors]) == (
            True,
            ["component-failed"],
        )
        assert (status.state, status.provider, status.problem) == (LifecycleState.READY, "b", "")
        assert (await _use(lifecycle), ledger.open) == ("b", 1)


async def test_defect_oneiric_l4_a_failed_first_swap_left_a_closed_instance_published() -> None:
    """When a post-swap hook refuses the first instance, the next caller gets a living one."""
    ledger = Ledger()
    async with running(offer(ledger, "a")) as lifecycle:
        remove = lifecycle.hook("post_swap", _refuse)
        report = await lifecycle.swap(CACHE)
        remove()
        assert (report.rolled_back, ledger.ended) == (True, ["a"])
        assert (await _use(lifecycle), ledger.late, ledger.made) == ("a", [], ["a", "a"])


async def test_defect_oneiric_l5_a_failed_swap_marked_the_serving_one_as_failed() -> None:
    """The state is that of what serves; the failure is told beside it."""
    ledger = Ledger()
    offers = (
        offer(ledger, "a", Staged, priority=1),
        offer(ledger, "b", partial(Staged, fails={"init"})),
    )
    async with running(*offers) as lifecycle:
        await lifecycle.activate(CACHE)
        report = await lifecycle.swap(CACHE, provider="b")
        status = lifecycle.status(CACHE)
        assert (status.state, status.provider, status.failed_swaps) == (
            LifecycleState.READY,
            "a",
            1,
        )
        assert status.problem == str(report.error)


async def test_defect_oneiric_l6_a_cancelled_activation_stayed_activating_for_ever() -> None:
    """The caller gives up, the activation ends, and the instance is used by the next caller."""
    ledger, go_on = Ledger(), asyncio.Event()

    class Slow(Phased):
        async def init(self) -> None:
            await go_on.wait()

    async with running(offer(ledger, "a", Slow)) as lifecycle:
        activating = asyncio.create_task(lifecycle.activate(CACHE))
        await until(lambda: ledger.made)
        activating.cancel()
        await asyncio.wait({activating})
        assert activating.cancelled()
        go_on.set()
        assert (await _use(lifecycle), ledger.made) == ("a", ["a"])
        assert lifecycle.status(CACHE).state is LifecycleState.READY
    assert ledger.open == 0


@pytest.mark.parametrize("blocking", [False, True])
async def test_defect_oneiric_l7_a_factory_past_its_limit_leaked_its_instance(
    blocking: bool,
) -> None:
    """What the factory makes after it was given up is cleaned up, async or in a thread."""
    ledger = Ledger()

    def in_thread() -> Plain:
        time.sleep(0.05)
        return SyncPhased(ledger, "late")

    async def on_loop() -> Plain:
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            await asyncio.sleep(0.05)
        return Phased(ledger, "late")

    late = Candidate(CACHE, "late", in_thread if blocking else on_loop, blocking=blocking)
    async with running(late, limits=PhaseLimits(create=0.01)) as lifecycle:
        lifecycle.builder.guard.grace_seconds = 0.01
        with pytest.raises(ComponentError, match=r"failed in create: took longer than 0.01 s"):
            await lifecycle.activate(CACHE)
        await until(lambda: ledger.ended == ["late"])
        assert (ledger.made, lifecycle.builder.guard.abandoned) == (["late"], 1)


@pytest.mark.parametrize("phase", ["create", "health"])
async def test_defect_oneiric_l8_sync_phases_blocked_the_loop_without_limit(phase: str) -> None:
    """A component that says it blocks runs in a thread, within its limit; the loop ticks on."""
    ledger = Ledger()

    class Slow(SyncPhased):
        def __init__(self, ledger: Ledger, name: str) -> None:
            time.sleep(0.1 if phase == "create" else 0.0)
            super().__init__(ledger, name)

        def health(self) -> bool:
            time.sleep(0.1 if phase == "health" else 0.0)
            return True

    limits = PhaseLimits(create=0.04, health=0.04)
    async with running(offer(ledger, "a", Slow, blocking=True), limits=limits) as lifecycle:
        activating, ticks = asyncio.create_task(lifecycle.activate(CACHE)), 0
        while not activating.done():
            await asyncio.sleep(0.001)
            ticks += 1
        assert f"failed in {phase}: took longer than 0.04 s" in str(activating.exception())
        assert ticks > 1
        await until(lambda: ledger.made and ledger.open == 0)


async def test_defect_oneiric_l9_falsy_instances_were_never_cleaned_up_or_bound_again() -> None:
    """An empty container is cleaned up, and bound again when a swap fails; `None` is an error."""
    ledger = Ledger()

    class Empty(Phased):
        def __len__(self) -> int:
            return 0

    offers = (
        offer(ledger, "a", Empty, priority=1),
        offer(ledger, "b", Empty),
        Candidate(CACHE, "none", lambda: None),
    )
    async with running(*offers) as lifecycle:
        await lifecycle.activate(CACHE)
        remove = lifecycle.hook("post_swap", _refuse)
        undone = await lifecycle.swap(CACHE, provider="b")
        remove()
        assert (undone.rolled_back, await _use(lifecycle), ledger.ended) == (True, "a", ["b"])
        nothing = await lifecycle.swap(CACHE, provider="none")
        assert "it gave None, not an instance" in str(nothing.error)
        await lifecycle.swap(CACHE, provider="b")
        assert ledger.ended == ["b", "a"]
    assert ledger.open == 0


class Size(BaseModel):
    """Settings that tell whose they are."""

    owner: str = ""


class Owners:
    """Give every provider settings with its own name."""

    def settings_for(self, candidate: Candidate, model: type[BaseModel]) -> BaseModel:
        return model(owner=candidate.provider)


class Owned(Phased):
    """Keep its settings."""

    def __init__(self, settings: Size) -> None:
        super().__init__(Ledger(), settings.owner)


async def test_defect_oneiric_l10_asking_for_b_gave_a_with_the_settings_of_b() -> None:
    """b is b, with its own settings; a goes on serving the place with its own."""
    offers = [Candidate(CACHE, name, Owned, settings_model=Size) for name in ("b", "a")]
    async with (
        running(*offers, settings=Owners()) as lifecycle,
        lifecycle.use(CACHE) as a,
        lifecycle.use(CACHE, provider="b") as b,
    ):
        assert (a.work(), b.work()) == ("a", "b")


async def test_defect_oneiric_l11_factories_got_no_settings_and_init_was_never_called() -> None:
    """Settings come as the first argument, and `init` has ended before anyone is served."""
    done: list[object] = []

    class Store:
        def __init__(self, settings: Size) -> None:
            self.settings = settings

        async def init(self) -> None:
            await asyncio.sleep(0)
            done.append(self)

    store = Candidate(CACHE, "store", Store, settings_model=Size)
    async with running(store, settings=Owners()) as lifecycle, lifecycle.use(CACHE) as held:
        assert (held.settings, done) == (Size(owner="store"), [held])


async def test_defect_oneiric_l12_nothing_ever_closed_the_instances() -> None:
    """Closing the manager closes all of them, and it takes no more work."""
    ledger = Ledger()
    lifecycle = manager_of(*(offer(ledger, name, ref=f"adapter:{name}") for name in "abc"))
    for name in "abc":
        await lifecycle.activate(f"adapter:{name}")
    await lifecycle.close()
    with pytest.raises(ClosedError):
        await lifecycle.activate("adapter:a")
    assert (sorted(ledger.ended), ledger.open) == (["a", "b", "c"], 0)


async def test_defect_oneiric_l13_a_probe_asked_the_winners_check_about_anothers_instance() -> None:
    """Whoever serves is asked by its own offer's check, whoever would win by now."""
    asked: list[tuple[str, str]] = []

    def check(owner: str, instance: Plain) -> bool:
        asked.append((owner, instance.name))
        return True

    ledger = Ledger()
    first = offer(ledger, "a", health=partial(check, "a"))
    async with running(first) as lifecycle:
        await lifecycle.activate(CACHE)
        lifecycle.resolver.register(offer(ledger, "b", health=partial(check, "b"), priority=9))
        assert lifecycle.resolver.resolve(CACHE).provider == "b"
        assert (await lifecycle.probe(CACHE)).healthy
        assert asked == [("a", "a"), ("a", "a")]


async def test_defect_oneiric_a1_work_was_accepted_for_two_seconds_after_a_pause() -> None:
    """The very next use is refused; there is no cache to wait for."""
    clock = ManualClock(datetime(2026, 6, 1, tzinfo=UTC))
    async with running(offer(Ledger(), "a"), clock=clock) as lifecycle:
        await lifecycle.activate(CACHE)
        await lifecycle.pause(CACHE, note="maint")
        for _ in range(3):
            with pytest.raises(PausedError, match="adapter:cache is paused: maint"):
                await _use(lifecycle)
        await lifecycle.resume(CACHE)
        assert (await _use(lifecycle), lifecycle.status(CACHE).activity) == ("a", ACTIVE)
