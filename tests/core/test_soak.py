"""The long forms: hundreds of times what the suite does. `make soak`."""

import asyncio
import sys
import time

import pytest

from oneiric.core.candidate import Candidate
from oneiric.core.lifecycle import LifecycleManager
from oneiric.core.resolver import Resolver

CACHE = "adapter:cache"
SECONDS = 600


class Counted:
    """A component that knows whether it may still be used."""

    open = 0

    def __init__(self) -> None:
        Counted.open += 1
        self.closed = False

    async def work(self) -> bool:
        before = self.closed
        await asyncio.sleep(0)
        return before or self.closed

    async def cleanup(self) -> None:
        self.closed = True
        Counted.open -= 1


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 120)
async def test_ten_minutes_of_swaps_under_64_tasks_fail_no_call_and_leave_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No call meets a closed instance, and every instance that came up is cleaned up."""
    resolver = Resolver()
    for provider in ("a", "b"):
        resolver.register(Candidate(CACHE, provider, Counted))
    calls, bad, done = 0, 0, asyncio.Event()

    async with LifecycleManager(resolver) as lifecycle:

        async def call() -> None:
            nonlocal bad, calls
            while not done.is_set():
                async with lifecycle.use(CACHE) as component:
                    bad += await component.work()
                    calls += 1

        async with asyncio.TaskGroup() as callers:
            for _ in range(64):
                callers.create_task(call())
            end, swaps = time.monotonic() + SECONDS, 0
            while time.monotonic() < end:
                report = await lifecycle.swap(CACHE, provider="ab"[swaps % 2])
                assert report.ok, report.render()
                swaps += 1
            done.set()
        assert (bad, Counted.open, lifecycle.in_flight(CACHE)) == (0, 1, 0)
        assert swaps > 1_000
        latency = lifecycle.status(CACHE).swaps
    assert Counted.open == 0
    with capsys.disabled():
        told = f"{calls:,} calls under {swaps:,} swaps, {bad} failed; {latency.as_json()}"
        sys.stdout.write(f"\n{told}\n")
