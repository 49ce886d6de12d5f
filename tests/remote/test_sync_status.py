"""How a sync is told of, watched and timed, and what it needs of its surroundings."""

import asyncio
import json
from pathlib import Path

import pytest

from oneiric.remote.report import SyncReport
from oneiric.remote.status import StatusFile
from oneiric.testing import ManualClock
from oneiric.testing.lies import Drips, Status
from tests.remote.sites import (
    codes,
    configure,
    entry,
    offers,
    publisher,
    runtime_in,
    signed,
)


class Wall(ManualClock):
    """A clock whose monotonic time is that of the loop."""

    def monotonic(self) -> float:
        """Return real seconds."""
        return asyncio.get_running_loop().time()


async def test_defect_oneiric_s20_durations_include_the_fetch(tmp_path: Path) -> None:
    """What takes longer than the budget says so, in the report and in the status."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site), latency_budget_ms=50.0)
        data = site.publish(entry("a", "acme"))
        site.lie("/manifest.json", Drips(seconds=0.1 / len(data)))
        async with runtime_in(tmp_path, Wall()) as runtime:
            report = await runtime.sync_remote()
            assert report.errors == ()
            assert report.duration_ms >= report.sources[0].duration_ms >= 90
            assert not StatusFile(runtime.paths.remote_status).read().within_budget  # type: ignore[union-attr]


async def test_defect_oneiric_s21_the_failure_that_opens_the_breaker_is_reported(
    tmp_path: Path,
) -> None:
    """Each failure is an error of its own, and the one after says that nobody was asked."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("a", "acme"))
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
            site.always("/manifest.json", Status(503))
            site.always("/2.root.json", Status(503))
            found = [await runtime.sync_remote() for _ in range(4)]
            assert [codes(each) for each in found] == [["fetch-failed"]] * 3 + [["breaker-open"]]
            assert [each.exit_code for each in found] == [5, 5, 5, 5]
            told = runtime.remote.status().sources["acme"]
            assert told.consecutive_failures == 4
            assert told.last_error_code == "breaker-open"
            assert told.breaker is not None
            assert told.breaker["open"] is True


async def test_the_status_file_tells_what_older_tools_look_for(tmp_path: Path) -> None:
    """And each source with what of it serves; written whole, with when and by whom."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("a", "acme"), {**entry("t", "acme"), "domain": "task"})
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
            site.serve(b"nothing")
            await runtime.sync_remote()
    path = tmp_path / ".oneiric_cache/remote_status.json"
    told = json.loads(path.read_text())
    assert told["schema"] == "oneiric.remote-status/1"
    assert set(told) >= {
        "last_success_at",
        "last_failure_at",
        "consecutive_failures",
        "last_error",
        "last_source",
        "last_registered",
        "last_duration_ms",
        "last_digest_checks",
        "last_per_domain",
        "last_skipped",
        "written_at",
        "pid",
    }
    assert told["last_per_domain"] == {"adapter": 1, "task": 1}
    assert (told["last_registered"], told["consecutive_failures"]) == (2, 1)
    assert told["counters"]["syncs"] == 2
    each = told["sources"]["acme"]
    assert (each["state"], each["version"], len(each["signers"])) == ("refused", 1, 1)
    path.write_text("{broken")
    assert StatusFile(path).read() is None


async def test_a_credential_is_a_secret_and_goes_to_its_origin_only(tmp_path: Path) -> None:
    """It is looked up in the secrets domain when the source is looked at."""
    with publisher() as site:
        configure(
            tmp_path,
            signed(tmp_path, site, more='credential = "ACME_TOKEN"\n')
            + '[adapters.selections]\nsecrets = "env"\n',
        )
        site.publish(entry("a", "acme"))
        async with runtime_in(tmp_path) as runtime:
            report = await runtime.sync_remote()
            assert codes(report) == ["missing-secret"]
            assert site.requests == []


async def test_two_processes_may_look_at_once(tmp_path: Path) -> None:
    """The slower one looks again, and both have the newest."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("a", "acme"))
        async with runtime_in(tmp_path) as one, runtime_in(tmp_path) as two:
            found = await asyncio.gather(one.sync_remote(), two.sync_remote())
            assert [each.errors for each in found] == [(), ()]
            assert offers(one) == offers(two) == ["adapter:a@acme"]


async def test_watching_goes_on_after_failures(tmp_path: Path) -> None:
    """Each interval has its sync, whatever the last one found."""
    clock, reports = ManualClock(), list[SyncReport]()
    with publisher(clock) as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("a", "acme"))
        runtime = runtime_in(tmp_path, clock)
        watching = asyncio.ensure_future(runtime.remote.watch(60, told=reports.append))
        await clock.until_waiting()
        site.serve(b"nothing")
        clock.advance(60)
        await clock.until_waiting()
        site.publish(entry("b", "acme"))
        clock.advance(60)
        await clock.until_waiting()
        watching.cancel()
        await asyncio.wait({watching})
        assert [codes(each) for each in reports] == [[], ["unsigned"], []]
        assert offers(runtime) == ["adapter:b@acme"]
        await runtime.stop()


async def test_no_source_means_that_nothing_is_looked_at(tmp_path: Path) -> None:
    """Nothing of the room is made, and a sync is empty; switched off it is the same."""
    configure(tmp_path, "")
    runtime = runtime_in(tmp_path)
    assert "hydration" not in vars(runtime)
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site), enabled=False)
        site.publish(entry("a", "acme"))
        async with runtime_in(tmp_path) as off:
            assert (await off.sync_remote()).sources == ()
        assert site.requests == []


async def test_defect_oneiric_s24_the_loop_turns_while_ten_thousand_entries_are_applied(
    tmp_path: Path,
) -> None:
    """No step of it holds the loop for a fifth of the whole, the first time or when some change."""
    count = 10_000
    entries = [entry(f"key-{number}", "acme", priority=number % 9) for number in range(count)]
    shares = []
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        async with runtime_in(tmp_path, Wall()) as runtime:
            for turn in range(3):
                site.publish(*entries[: count - turn])
                stalls: list[float] = []
                ticking = asyncio.ensure_future(ticked(stalls))
                report = await runtime.sync_remote()
                ticking.cancel()
                await asyncio.wait({ticking})
                assert report.errors == ()
                shares.append(max(stalls) * 1000 / report.duration_ms)
            assert len(offers(runtime)) == count - 2
    assert min(shares) < 0.2, shares


async def ticked(stalls: list[float]) -> None:
    """Note how long the loop was away between two turns, resolving something at each."""
    loop = asyncio.get_running_loop()
    last = loop.time()
    while True:
        await asyncio.sleep(0)
        now = loop.time()
        stalls.append(now - last)
        last = now


async def test_a_secret_that_is_there_is_sent_to_its_origin_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trust roots and manifest are asked for with it; another origin's is not sent."""
    monkeypatch.setenv("ONEIRIC_SECRET_TOKEN", "s3cret")
    for origin, sent in (("", "Bearer s3cret"), ("https://other.example", "")):
        with publisher() as site:
            more = f'credential = "token"\ncredential_origin = "{origin}"\n'
            folder = tmp_path / (sent[:6] or "none")
            folder.mkdir()
            select = '[adapters.selections]\nsecrets = "env"\n'
            configure(folder, signed(folder, site, more=more) + select)
            site.publish(entry("a", "acme"))
            async with runtime_in(folder) as runtime:
                assert (await runtime.sync_remote()).errors == ()
            assert {each.credential for each in site.requests} == {sent}
            assert "s3cret" not in (folder / ".oneiric_cache/remote_status.json").read_text()


async def test_a_status_that_cannot_be_written_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder where the file should be: what was published is applied, and that is logged."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("a", "acme"))
        (tmp_path / ".oneiric_cache" / "remote_status.json").mkdir(parents=True)
        async with runtime_in(tmp_path) as runtime:
            assert codes(await runtime.sync_remote()) == []
            assert runtime.resolver.resolve("adapter:a").provider == "acme"
    assert "remote-status-failed" in caplog.text


async def test_a_source_that_is_configured_no_more_leaves_the_status(tmp_path: Path) -> None:
    """Nobody is alarmed for ever by the last failure of what was taken away while nothing ran."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site) + '[remote.sources.old]\nuri = "old.json"\n')
        site.publish(entry("a", "acme"))
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
        configure(tmp_path, signed(tmp_path, site))
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
            told = StatusFile(runtime.paths.remote_status).read()
    assert told is not None
    assert set(told.sources) == {"acme"}
    assert (told.consecutive_failures, told.last_error) == (0, "")


async def test_a_status_of_very_many_entries_in_quarantine_can_be_read_again(
    tmp_path: Path,
) -> None:
    """As when a package was not allowed: what was counted before is not lost by that."""
    factory = f"elsewhere.{'x' * 800}:Y"
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(
            *({**entry(f"k{number}", "acme"), "factory": factory} for number in range(1500))
        )
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
            path = runtime.paths.remote_status
            told = StatusFile(path).read()
            assert path.stat().st_size > 1 << 20
            assert told is not None
            assert len(told.sources["acme"].quarantined) == 1500
