"""Everything at once on a real orchestrator: nothing is lost, nothing fails, nothing grows."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest

from tests.faults.conftest import Tell
from tests.faults.traffic import Traffic, Vitals, orchestra

MINUTE = 60.0
GROWTH = 1.1
SLACK = 4
"""Descriptors and threads that come and go with what happens to be under way."""
KILLED_SECONDS = 30.0
KILL_EVERY = (3.0, 6.0)
PASSING = frozenset({"callback-answered", "message-given-back", "step-waits"})
"""What is logged where work meets a pause; nothing else is."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in the folder, as commands do."""
    monkeypatch.chdir(tmp_path)


def grown(vitals: list[Vitals]) -> dict[str, tuple[float, float]]:
    """Return what was in use when a tenth of the time was over, and at the end; medians of both."""
    tenth = max(1, len(vitals) // 10)
    early, late = vitals[tenth : 2 * tenth], vitals[-tenth:]

    def compared(of: Callable[[Vitals], int]) -> tuple[float, float]:
        return median(map(of, early)), median(map(of, late))

    return {
        "KB RSS": compared(lambda vitals: vitals.rss // 1_000),
        "descriptors": compared(lambda vitals: vitals.descriptors),
        "threads": compared(lambda vitals: vitals.threads),
    }


async def flow(folder: Path, seconds: float, tell: Tell) -> None:
    """Let everything flow for so long, and compare the end with the begin."""
    async with orchestra(folder, lease=60) as found:
        traffic = Traffic(found, seconds)
        await traffic.run()
        swaps, troubles = await found.swaps(), found.troubles()
        code = await found.end()
    use = grown(traffic.vitals) if traffic.vitals else {}
    told = {name: f"{early:,.0f} -> {late:,.0f}" for name, (early, late) in use.items()}
    tell({**traffic.figures(), "swaps done": swaps["ok"], **told})
    traffic.check()
    logged = Counter(each["event"] for each in found.logged())
    assert (code, troubles, set(logged) - PASSING) == (0, {}, set())
    assert set(swaps) == {"ok"}
    assert swaps["ok"] >= traffic.counts["versions"]
    if use:
        assert use["KB RSS"][1] <= GROWTH * use["KB RSS"][0]
        assert use["descriptors"][1] <= use["descriptors"][0] + SLACK
        assert use["threads"][1] <= use["threads"][0] + SLACK


@pytest.mark.timeout(600)
async def test_a_minute_of_mixed_traffic_loses_nothing_and_leaves_nothing(
    tmp_path: Path, tell: Tell
) -> None:
    """Callbacks, queued runs and events beside swaps, pauses, saves and new manifests."""
    await flow(tmp_path, MINUTE, tell)


@pytest.mark.soak
@pytest.mark.timeout(1_500)
async def test_ten_minutes_of_mixed_traffic(tmp_path: Path, tell: Tell) -> None:
    """The long form."""
    await flow(tmp_path, 10 * MINUTE, tell)


async def killed(folder: Path, seconds: float, tell: Tell) -> None:
    """Kill the orchestrator again and again while everything flows."""
    chance = random.Random(5)

    async def kill(traffic: Traffic) -> None:
        while not traffic.is_over:
            await asyncio.sleep(chance.uniform(*KILL_EVERY))
            await found.kill()
            await found.begin()
            traffic.counts["kills"] += 1

    async with orchestra(folder, lease=2) as found:
        traffic = Traffic(found, seconds, is_disturbed=True)
        await traffic.run(kill)
        code = await found.end()
    again = len(found.marks("step")) - len({on for on, _, _ in found.marks("step")})
    tell({**traffic.figures(), "steps begun again": again})
    traffic.check()
    assert code == 0
    assert traffic.counts["kills"] >= 2


@pytest.mark.timeout(600)
async def test_promise_w2_every_run_that_was_accepted_outlives_kills_under_mixed_traffic(
    tmp_path: Path, tell: Tell
) -> None:
    """`kill -9` every few seconds: each run is finished once, each step under one key."""
    await killed(tmp_path, KILLED_SECONDS, tell)


@pytest.mark.soak
@pytest.mark.timeout(1_500)
async def test_promise_w2_five_minutes_of_kills_under_mixed_traffic(
    tmp_path: Path, tell: Tell
) -> None:
    """The long form."""
    await killed(tmp_path, 5 * MINUTE, tell)
