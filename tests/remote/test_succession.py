"""Running components follow what is on offer: swapped, put off, orphaned, rolled back."""

import asyncio
from pathlib import Path

import pytest

from oneiric.core.activity import ActivityState
from oneiric.remote.wheels import forget_wheel, loaded_wheels
from oneiric.runtime import RuntimeOrchestrator
from oneiric.testing import ManualClock
from tests.remote.building import build, shop
from tests.remote.sites import (
    CACHE,
    SEARCH,
    Better,
    Part,
    Sick,
    Slow,
    codes,
    configure,
    entry,
    files_in,
    name_of,
    publisher,
    runtime_in,
    signed,
)


async def test_defect_oneiric_s23_a_running_component_is_swapped(tmp_path: Path) -> None:
    """Another winner serves at once; so does the same provider when it is offered otherwise."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("site-cache", "acme"), entry("site-search", "acme"))
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
            assert await name_of(runtime, CACHE) == await name_of(runtime, SEARCH) == "part"
            site.publish(
                entry("site-cache", "acme"),
                entry("site-cache", "other", Better, priority=1),
                entry("site-search", "acme", Better),
            )
            report = await runtime.sync_remote()
            assert [str(each.ref) for each in report.succeeded.swaps] == [CACHE, SEARCH]
            assert all(each.ok for each in report.succeeded.swaps)
            assert await name_of(runtime, CACHE) == await name_of(runtime, SEARCH) == "better"


async def test_promise_m4_a_component_that_is_not_up_is_not_brought_up(tmp_path: Path) -> None:
    """Only what runs is swapped, and what runs elsewhere is left alone."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("site-cache", "acme"), entry("site-search", "acme"))
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
            await name_of(runtime, SEARCH)
            number = runtime.lifecycle.status(SEARCH).generation
            site.publish(entry("site-cache", "acme", Better), entry("site-search", "acme"))
            report = await runtime.sync_remote()
            assert report.succeeded.swaps == ()
            assert runtime.lifecycle.status(SEARCH).generation == number
            assert runtime.lifecycle.status(CACHE).generation == 0


async def _past(runtime: RuntimeOrchestrator, generation: int) -> None:
    """Wait until other offers are registered than at *generation*, and not an instant longer."""
    while runtime.resolver.registry.generation == generation:  # noqa: ASYNC110
        await asyncio.sleep(0)


async def test_promise_m4_a_component_that_was_coming_up_is_swapped_too(tmp_path: Path) -> None:
    """It was chosen before its winner changed, and was not up yet when that happened."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("site-cache", "acme", Slow))
        async with runtime_in(tmp_path) as runtime, asyncio.TaskGroup() as group:
            await runtime.sync_remote()
            first = group.create_task(name_of(runtime, CACHE))
            await Slow.begun.wait()
            generation = runtime.resolver.registry.generation
            site.publish(entry("site-cache", "acme", Better))
            syncing = group.create_task(runtime.sync_remote())
            await _past(runtime, generation)
            Slow.let.set()
            report = await syncing
            assert await first == "slow"
            assert [str(each.ref) for each in report.succeeded.swaps] == [CACHE]
            assert await name_of(runtime, CACHE) == "better"


async def test_promise_m4_a_sync_that_was_cut_short_is_made_up_for_by_the_next(
    tmp_path: Path,
) -> None:
    """Wherever it was cancelled, nothing that runs stays behind for good."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("site-cache", "acme"))
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
            await name_of(runtime, CACHE)
            for kind in (Better, Part) * 10:
                generation = runtime.resolver.registry.generation
                site.publish(entry("site-cache", "acme", kind))
                syncing = asyncio.ensure_future(runtime.sync_remote())
                await _past(runtime, generation)
                syncing.cancel()
                await asyncio.wait({syncing})
                await runtime.sync_remote()
                assert await name_of(runtime, CACHE) == kind.name


async def test_what_is_offered_still_but_may_not_serve_is_no_orphan(tmp_path: Path) -> None:
    """A place whose only offer is paused has no winner, and yet somebody offers it."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("site-cache", "acme"))
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
            async with runtime.lifecycle.use(CACHE):
                await runtime.lifecycle.pause("adapter:site-cache@acme")
                site.publish(entry("site-cache", "acme"), entry("a", "acme"))
                report = await runtime.sync_remote()
            assert report.succeeded.orphaned == ()


@pytest.mark.parametrize("verb", ["pause", "drain"])
async def test_promise_m4_a_swap_waits_until_its_component_takes_work(
    tmp_path: Path, verb: str
) -> None:
    """Paused or draining it is left alone; when it is resumed, it is swapped."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("site-cache", "acme"))
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
            assert await name_of(runtime, CACHE) == "part"
            await getattr(runtime, verb)(CACHE)
            site.publish(entry("site-cache", "acme", Better))
            report = await runtime.sync_remote()
            assert (report.succeeded.deferred, report.succeeded.swaps) == ((CACHE,), ())
            assert runtime.remote.status().sources["acme"].deferred == (CACHE,)
            assert runtime.lifecycle.status(CACHE).generation == 1
            await runtime.resume(CACHE)
            assert await name_of(runtime, CACHE) == "better"
            assert runtime.remote.status().sources["acme"].deferred == ()


async def test_promise_m4_a_swap_that_waited_is_done_when_another_process_resumes(
    tmp_path: Path,
) -> None:
    """The one that follows the others finds out within a poll."""
    clock = ManualClock()
    with publisher(clock) as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("site-cache", "acme"))
        async with runtime_in(tmp_path, clock) as runtime:
            await runtime.sync_remote()
            await name_of(runtime, CACHE)
            await runtime.pause(CACHE)
            site.publish(entry("site-cache", "acme", Better))
            await runtime.sync_remote()
            other = runtime_in(tmp_path)
            other.load_activity()
            await other.resume(CACHE)
            await other.stop()
            await runtime.activity.catch_up()
            assert runtime.lifecycle.activity.get(CACHE).state is ActivityState.ACTIVE
            assert await name_of(runtime, CACHE) == "better"


async def test_promise_m4_what_nobody_offers_any_more_serves_on_as_orphaned(
    tmp_path: Path,
) -> None:
    """It is told of at every sync; where a successor comes, that serves."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("site-cache", "acme"), entry("a", "acme"))
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
            await name_of(runtime, CACHE)
            site.publish(entry("a", "acme"))
            for _ in range(2):
                report = await runtime.sync_remote()
                assert report.succeeded.orphaned == (CACHE,)
            assert await name_of(runtime, CACHE) == "part"
            assert runtime.remote.status().sources["acme"].orphaned == (CACHE,)
            site.publish(entry("site-cache", "other", Better))
            report = await runtime.sync_remote()
            assert report.succeeded.orphaned == ()
            assert await name_of(runtime, CACHE) == "better"


async def test_promise_m4_a_failed_swap_rolls_back_and_is_tried_again(tmp_path: Path) -> None:
    """The old one serves on, the report says why, and the next sync tries once more."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("site-cache", "acme"), entry("site-search", "acme"))
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
            await name_of(runtime, CACHE)
            await name_of(runtime, SEARCH)
            site.publish(entry("site-cache", "acme", Sick), entry("site-search", "acme", Better))
            report = await runtime.sync_remote()
            assert [str(each.ref) for each in report.succeeded.failed] == [CACHE]
            assert report.exit_code == 1
            assert await name_of(runtime, CACHE) == "part"
            assert await name_of(runtime, SEARCH) == "better"
            assert CACHE in runtime.remote.status().sources["acme"].failed_swaps
            assert [str(each.ref) for each in (await runtime.sync_remote()).succeeded.failed] == [
                CACHE
            ]
            site.publish(entry("site-cache", "acme", Better), entry("site-search", "acme", Better))
            report = await runtime.sync_remote()
            assert (report.succeeded.failed, report.exit_code) == ((), 0)
            assert await name_of(runtime, CACHE) == "better"
            assert runtime.remote.status().sources["acme"].failed_swaps == {}


async def test_promise_m4_what_is_used_by_name_is_told_to_be_outdated_or_orphaned(
    tmp_path: Path,
) -> None:
    """Who asks for a provider by its name keeps what is up, and the status says so."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("site-cache", "acme"), entry("site-cache", "best", priority=9))
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
            async with runtime.lifecycle.use("adapter:site-cache@acme"):
                pass
            site.publish(
                entry("site-cache", "acme", Better), entry("site-cache", "best", priority=9)
            )
            report = await runtime.sync_remote()
            assert report.succeeded.outdated == ("adapter:site-cache@acme",)
            site.publish(entry("site-cache", "best", priority=9))
            report = await runtime.sync_remote()
            assert report.succeeded.orphaned == ("adapter:site-cache@acme",)


async def test_promise_m5_a_wheel_is_swapped_for_its_next_version(tmp_path: Path) -> None:
    """Both are delivered by sync; the old one serves whoever holds it until they let go."""
    with publisher() as site:
        site._factories = ("shop",)
        site.rotate()
        configure(tmp_path, signed(tmp_path, site))
        text = (tmp_path / "oneiric.toml").read_text()
        (tmp_path / "oneiric.toml").write_text(text.replace('["tests"]', '["shop"]'))
        place = "service:prices"

        def publish(version: str) -> None:
            data = build(tmp_path / "built", shop(version), version=version)[0].read_bytes()
            told = site.artifact(f"/v{version}/shop.whl", data)
            site.publish(site.entry(place, "acme", "shop.prices:Prices", artifact=told))

        publish("1")
        async with runtime_in(tmp_path) as runtime:
            assert codes(await runtime.sync_remote()) == []
            async with runtime.lifecycle.use(place) as old:
                publish("2")
                swapped = asyncio.Event()
                runtime.lifecycle.hook("post_swap", lambda _: swapped.set())
                syncing = asyncio.ensure_future(runtime.sync_remote())
                await swapped.wait()
                async with runtime.lifecycle.use(place) as new:
                    assert (old.version(), new.version()) == ("late 1", "late 2")
            report = await syncing
            assert [each.ok for each in report.succeeded.swaps] == [True]
            assert report.sources[0].digests == 2
        offline = runtime_in(tmp_path)
        assert offline.hydration.problems == {}
        async with offline, offline.lifecycle.use(place) as again:
            assert again.version() == "late 2"
    for sha256 in loaded_wheels():
        forget_wheel(sha256)


async def test_promise_l5_a_wheel_whose_import_hangs_holds_nothing_up(tmp_path: Path) -> None:
    """It gets the time of an activation; then the old one serves on, and others are synced."""
    with publisher() as site:
        site._factories = ("shop",)
        site.rotate()
        configure(tmp_path, signed(tmp_path, site))
        text = (tmp_path / "oneiric.toml").read_text().replace('["tests"]', '["shop"]')
        (tmp_path / "oneiric.toml").write_text(f"{text}\n[lifecycle]\nactivation_timeout = 0.3\n")
        place = "service:prices"
        async with runtime_in(tmp_path) as runtime:
            for version in ("1", "2"):
                files = shop(version)
                if version == "2":
                    files["shop/prices.py"] = (
                        f"import time\ntime.sleep(1.5)\n{files['shop/prices.py']}"
                    )
                data = build(tmp_path / "built", files, version=version)[0].read_bytes()
                told = site.artifact(f"/v{version}/shop.whl", data)
                site.publish(site.entry(place, "acme", "shop.prices:Prices", artifact=told))
                report = await runtime.sync_remote()
                async with runtime.lifecycle.use(place) as prices:
                    assert prices.version() == "late 1"
            (swap,) = report.succeeded.swaps
            assert (swap.ok, swap.failed_phase) == (False, "create")
    while len(loaded_wheels()) < 2:  # noqa: ASYNC110 - what was under way tells nobody of its end
        await asyncio.sleep(0.05)
    for sha256 in loaded_wheels():
        forget_wheel(sha256)


@pytest.mark.parametrize("ends", ["", "raise RuntimeError('not today')"])
async def test_promise_l5_a_wheel_is_imported_beside_the_loop(tmp_path: Path, ends: str) -> None:
    """By its first caller as by a swap, and once only where it fails: nobody else waits for it."""
    told = tmp_path / "imported"
    with publisher() as site:
        site._factories = ("shop",)
        site.rotate()
        configure(tmp_path, signed(tmp_path, site))
        text = (tmp_path / "oneiric.toml").read_text()
        (tmp_path / "oneiric.toml").write_text(text.replace('["tests"]', '["shop"]'))
        async with runtime_in(tmp_path) as runtime:
            for version in ("1", "2"):
                files, end = shop(version), ends if version == "2" else ""
                files["shop/prices.py"] += (
                    "import threading\n"
                    f"with open({str(told)!r}, 'a') as file:\n"
                    f"    print('{version}', threading.current_thread().name, file=file)\n{end}\n"
                )
                data = build(tmp_path / "built", files, version=version)[0].read_bytes()
                wheel = site.artifact(f"/v{version}/shop.whl", data)
                site.publish(
                    site.entry("service:prices", "acme", "shop.prices:Prices", artifact=wheel)
                )
                report = await runtime.sync_remote()
                async with runtime.lifecycle.use("service:prices"):
                    pass
        assert [swap.ok for swap in report.succeeded.swaps] == [not ends]
    imports = [line.split() for line in told.read_text().splitlines()]
    assert [version for version, _ in imports] == ["1", "2"]
    assert all(thread != "MainThread" for _, thread in imports)
    for sha256 in loaded_wheels():
        forget_wheel(sha256)


async def test_promise_r5_a_preview_tells_decisions_and_swaps_and_writes_nothing(
    tmp_path: Path,
) -> None:
    """Entries, decisions with both winners, running components; what a sync then does."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("site-cache", "acme"), entry("gone", "acme"))
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
            await name_of(runtime, CACHE)
            async with runtime.lifecycle.use("adapter:gone"):
                pass
            site.publish(entry("site-cache", "other", Better), entry("new", "acme"))
            before = files_in(tmp_path)
            generation = runtime.resolver.registry.generation
            [preview] = await runtime.remote.preview()
            assert preview.change.added == ("adapter:new@acme", "adapter:site-cache@other")
            assert preview.change.removed == ("adapter:gone@acme", "adapter:site-cache@acme")
            told = {
                str(each.before.ref): (
                    each.before.winner and each.before.winner.provider,
                    each.after.winner and each.after.winner.provider,
                )
                for each in preview.decisions
            }
            assert told == {
                "adapter:gone": ("acme", None),
                "adapter:new": (None, "acme"),
                "adapter:site-cache": ("acme", "other"),
            }
            assert (preview.swaps, preview.orphaned) == ((CACHE,), ("adapter:gone",))
            assert files_in(tmp_path) == before
            assert runtime.resolver.registry.generation == generation
            report = await runtime.sync_remote()
            assert report.sources[0].change.added == preview.change.added
            assert [each.ref for each in report.succeeded.swaps] == [CACHE]
