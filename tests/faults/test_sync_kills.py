"""Kill -9 of a process that syncs, at any moment, while somebody publishes."""

import asyncio
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from oneiric.clock import SystemClock
from oneiric.testing import ManifestSimulator
from tests.faults.children import Child
from tests.faults.conftest import Tell
from tests.remote.building import build, shop
from tests.remote.sites import codes, configure, publisher, runtime_in, signed


def publish(site: ManifestSimulator, folder: Path, number: int, chance: random.Random) -> None:
    """Publish another wheel, and now and then another trust root."""
    files = {**shop(str(number)), "shop/long.py": "X = 1\n" * chance.randrange(1, 100_000)}
    data = build(folder / "built", files, version=str(number))[0].read_bytes()
    told = site.artifact(f"/{number}.whl", data)
    if chance.random() < 0.3:
        site.rotate()
    site.publish(site.entry("service:prices", "acme", "shop.prices:Prices", artifact=told))


def killed(folder: Path, chance: random.Random, window: float) -> tuple[list[int], float]:
    """Kill one within so many seconds; return which versions it applied, and after how long.

    Without a window it is killed when it has applied one.
    """
    child = Child("tests.faults.syncer", folder)
    child.wait_for("ready")
    begun = time.monotonic()
    if window:
        time.sleep(chance.uniform(0, window))
    else:
        child.wait_for("applied")
    spent = time.monotonic() - begun
    lines = [line.split() for line in child.kill() if line.startswith("applied")]
    assert all(len(words) == 2 for words in lines), lines
    return [int(version) for _, version in lines], spent


def kill_again_and_again(folder: Path, kills: int, seed: int) -> Counter[str]:
    """Kill so many processes in one folder; after each, see what the next start would find."""
    chance, counts, latest, window = random.Random(seed), Counter[str](), 0, 0.0
    with publisher(SystemClock()) as site:
        site._factories = ("shop",)
        site.rotate()
        configure(folder, signed(folder, site))
        text = (folder / "oneiric.toml").read_text().replace('["tests"]', '["shop"]')
        (folder / "oneiric.toml").write_text(text)
        for number in range(1, kills + 1):
            publish(site, folder, number, chance)
            applied, spent = killed(folder, chance, window)
            window = window or 2 * spent
            found = runtime_in(folder, SystemClock()).hydration
            serving = found.serving["acme"]
            assert found.problems == {}
            assert serving.version >= max([latest, *applied])
            assert serving.quarantined == ()
            latest = serving.version
            counts.update(kills=1, applied=bool(applied), kept=latest == number)
        asyncio.run(_synced(folder, kills))
    return counts


async def _synced(folder: Path, version: int) -> None:
    async with runtime_in(folder, SystemClock()) as runtime:
        assert codes(await runtime.sync_remote()) == []
        assert runtime.hydration.serving["acme"].version == version


def test_promise_m6_a_kill_at_any_moment_leaves_what_serves_the_next_start(
    tmp_path: Path, tell: Tell
) -> None:
    """Never less than what was applied, never a half, and the next sync goes on."""
    tell(kill_again_and_again(tmp_path, 8, seed=1))


@pytest.mark.soak
def test_promise_m6_two_hundred_kills_lose_nothing(tmp_path: Path, tell: Tell) -> None:
    """The same for longer."""
    tell(kill_again_and_again(tmp_path, 200, seed=2))
