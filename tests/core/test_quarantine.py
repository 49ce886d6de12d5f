"""Quarantine: what fails again and again is kept out, for longer each time, and tried again."""

import asyncio
from functools import partial

import pytest

from oneiric.backoff import Backoff
from oneiric.core.health import HealthReport
from oneiric.core.lifecycle import LifecycleManager
from oneiric.core.quarantine import Quarantine, QuarantinePolicy
from oneiric.core.resolver import Resolver
from oneiric.errors import ComponentError, NoCandidateError, PausedError
from oneiric.testing import ManualClock
from tests.core.components import CACHE, Ledger, Staged, offer, running, until

A = f"{CACHE}@a"
POLICY = QuarantinePolicy(
    failures=3, backoff=Backoff(base_seconds=10.0, factor=2.0, max_seconds=60.0)
)


def _why(lifecycle: LifecycleManager, provider: str) -> str:
    """Return a provider's standing in one line."""
    standing = lifecycle.resolver.explain(CACHE).standing(provider)
    return f"{standing.place}: {standing.why}"


async def _wait(clock: ManualClock, seconds: float) -> None:
    """Let the retry fall asleep, move the clock, and let it do its work."""
    await clock.until_waiting()
    clock.advance(seconds)
    for _ in range(50):
        await asyncio.sleep(0)


async def test_promise_l8_repeated_failures_quarantine_and_the_next_best_serves() -> None:
    """After the third failing probe b serves; explain says until when and why; a comes back."""
    ledger, fails, clock = Ledger(), set[str](), ManualClock()
    offers = offer(ledger, "a", partial(Staged, fails=fails), priority=1), offer(ledger, "b")
    async with running(*offers, clock=clock, quarantine=POLICY) as lifecycle:
        await lifecycle.activate(CACHE)
        fails.add("unhealthy")
        served = []
        for _ in range(3):
            report = await lifecycle.probe(CACHE)
            served.append((report.healthy, lifecycle.status(CACHE).provider))
        assert served == [(False, "a"), (False, "a"), (False, "b")]
        assert _why(lifecycle, "a") == (
            "rejected: quarantined for 10 s: failed 3 times, last: health returned False"
        )
        fails.clear()
        await _wait(clock, 9.9)
        assert lifecycle.status(CACHE).provider == "b"
        await _wait(clock, 0.1)
        assert (lifecycle.status(CACHE).provider, _why(lifecycle, "a")) == (
            "a",
            "selected: priority 1",
        )
        assert (ledger.open, ledger.late) == (1, [])


async def test_promise_l8_the_backoff_grows_until_a_probe_finds_it_healthy() -> None:
    """10 s, 20 s, 40 s, 60 s at most; a healthy probe forgets, and it takes three again."""
    ledger, fails, clock = Ledger(), set[str](), ManualClock()
    offers = offer(ledger, "a", partial(Staged, fails=fails), priority=1), offer(ledger, "b")
    async with running(*offers, clock=clock, quarantine=POLICY) as lifecycle:
        await lifecycle.activate(CACHE)
        fails.add("unhealthy")
        for _ in range(3):
            await lifecycle.probe(CACHE)
        terms = []
        for seconds in (10.0, 20.0, 40.0, 60.0):
            terms.append(_why(lifecycle, "a").split(": ")[1])
            await _wait(clock, seconds)
            assert lifecycle.status(CACHE).provider == "b"
        assert terms == [f"quarantined for {seconds} s" for seconds in (10, 20, 40, 60)]
        fails.clear()
        await _wait(clock, 60.0)
        assert (await lifecycle.probe(CACHE), lifecycle.status(CACHE).provider) == (
            HealthReport(healthy=True),
            "a",
        )
        fails.add("unhealthy")
        await lifecycle.probe(CACHE)
        assert lifecycle.status(CACHE).provider == "a"


async def test_promise_l8_what_comes_up_well_and_fails_soon_after_waits_longer() -> None:
    """Coming up does not prove it: the next failing probe counts at once, and for longer."""
    ledger, fails, clock = Ledger(), set[str](), ManualClock()
    offers = offer(ledger, "a", partial(Staged, fails=fails), priority=1), offer(ledger, "b")
    async with running(*offers, clock=clock, quarantine=POLICY) as lifecycle:
        await lifecycle.activate(CACHE)
        fails.add("unhealthy")
        for _ in range(3):
            await lifecycle.probe(CACHE)
        fails.clear()
        await _wait(clock, 10.0)
        assert lifecycle.status(CACHE).provider == "a"
        fails.add("unhealthy")
        await lifecycle.probe(CACHE)
        assert (lifecycle.status(CACHE).provider, _why(lifecycle, "a")) == (
            "b",
            "rejected: quarantined for 20 s: failed once, last: health returned False",
        )


async def test_promise_l8_without_failover_nobody_else_serves() -> None:
    """What is up serves on, though it is rejected for whoever comes new; then it may again."""
    ledger, fails, clock = Ledger(), set[str](), ManualClock()
    offers = offer(ledger, "a", partial(Staged, fails=fails), priority=1), offer(ledger, "b")
    async with running(*offers, clock=clock, quarantine=POLICY) as lifecycle:
        lifecycle.resolver.configure(failover=False)
        await lifecycle.activate(CACHE)
        fails.add("unhealthy")
        for _ in range(5):
            await lifecycle.probe(CACHE)
        assert (lifecycle.status(CACHE).provider, ledger.made) == ("a", ["a"])
        assert lifecycle.resolver.explain(CACHE).winner is None
        refused = await lifecycle.swap(CACHE)
        assert (type(refused.error), refused.failed_phase) == (NoCandidateError, "resolve")
        fails.clear()
        await _wait(clock, 10.0)
        assert lifecycle.resolver.resolve(CACHE).provider == "a"
        assert (await lifecycle.swap(CACHE)).ok


async def test_promise_l8_starts_that_fail_count_too() -> None:
    """An offer that does not come up three times gives way to the next best."""
    ledger, clock = Ledger(), ManualClock()
    offers = (
        offer(ledger, "a", partial(Staged, fails={"init"}), priority=1),
        offer(ledger, "b"),
    )
    async with running(*offers, clock=clock, quarantine=POLICY) as lifecycle:
        for _ in range(3):
            with pytest.raises(ComponentError):
                await lifecycle.activate(CACHE)
        assert (await lifecycle.activate(CACHE)).provider == "b"
        assert _why(lifecycle, "a") == (
            "rejected: quarantined for 10 s: failed 3 times, last: Broken: init"
        )


async def test_a_start_that_succeeds_ends_a_row_of_failures() -> None:
    """Two failures, a success and two failures are no row of three."""
    ledger, fails = Ledger(), set[str]()
    async with running(offer(ledger, "a", partial(Staged, fails=fails))) as lifecycle:
        for failing in (True, True, False, True, True, False):
            fails.clear()
            fails.update({"init"} if failing else ())
            report = await lifecycle.swap(CACHE)
            assert report.ok is not failing


async def test_an_offer_paused_and_quarantined_serves_when_both_have_ended() -> None:
    """The end of a quarantine resumes nobody, and resuming ends no quarantine."""
    ledger, fails, clock = Ledger(), set[str](), ManualClock()
    offers = offer(ledger, "a", partial(Staged, fails=fails), priority=1), offer(ledger, "b")
    async with running(*offers, clock=clock, quarantine=POLICY) as lifecycle:
        await lifecycle.activate(CACHE)
        fails.add("unhealthy")
        for _ in range(3):
            await lifecycle.probe(CACHE)
        fails.clear()
        await lifecycle.pause(A, note="by hand")
        await _wait(clock, 10.0)
        paused = (_why(lifecycle, "a"), lifecycle.status(CACHE).provider)
        with pytest.raises(PausedError):
            await lifecycle.activate(A)
        await lifecycle.resume(A)
        assert paused == ("rejected: paused: by hand", "b")
        assert lifecycle.status(CACHE).provider == "a"


async def test_probing_what_is_not_up_says_so() -> None:
    """A probe brings nothing up."""
    ledger = Ledger()
    async with running(offer(ledger, "a")) as lifecycle:
        assert await lifecycle.probe(CACHE) == HealthReport(healthy=False, detail="inactive")
        assert ledger.made == []


async def test_a_probe_holds_what_it_probes() -> None:
    """A swap waits for a probe of the old one, and a probe that hangs is named."""
    ledger, probing = Ledger(), asyncio.Event()

    class Slow(Staged):
        async def health(self) -> bool:
            if self.name in self.ledger.log:
                probing.set()
                await asyncio.sleep(0.01)
                self.work()
            self.ledger.log.append(self.name)
            return True

    async with running(offer(ledger, "a", Slow, priority=1), offer(ledger, "b")) as lifecycle:
        await lifecycle.activate(CACHE)
        probe = asyncio.create_task(lifecycle.probe(CACHE))
        await probing.wait()
        assert lifecycle.in_flight(CACHE) == 1
        report = await lifecycle.swap(CACHE, provider="b")
        assert ((await probe).healthy, report.forced, ledger.late) == (True, (), [])


async def test_closing_ends_a_quarantine_that_waits() -> None:
    """Nothing sleeps on after the manager is closed."""
    ledger, clock = Ledger(), ManualClock()
    policy = QuarantinePolicy(failures=1)
    offers = offer(ledger, "a", partial(Staged, fails={"init"}))
    async with running(offers, clock=clock, quarantine=policy) as lifecycle:
        with pytest.raises(ComponentError):
            await lifecycle.activate(CACHE)
        await clock.until_waiting()
        await lifecycle.close()
        await until(lambda: clock.waiting == 0)


def test_failures_during_a_quarantine_do_not_count() -> None:
    """One term at a time: whoever is out already is not put out for longer."""
    resolver = Resolver()
    quarantine = Quarantine(resolver, POLICY)
    delays = [quarantine.failed(A, "x") for _ in range(6)]
    quarantine.release(A)
    delays.append(quarantine.failed(A, "x"))
    quarantine.release(A)
    quarantine.passed(A)
    delays.append(quarantine.failed(A, "x"))
    assert delays == [0.0, 0.0, 10.0, 0.0, 0.0, 0.0, 20.0, 0.0]
    assert resolver.rules.excluded == {}
