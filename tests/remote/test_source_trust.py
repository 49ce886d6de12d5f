"""What a source is trusted for: signatures, versions, trust roots, time, and its memory."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from oneiric.errors import InvalidError
from oneiric.remote.settings import SourceSettings
from oneiric.remote.status import SourceState
from oneiric.runtime.remote_answers import PreviewAnswer
from oneiric.testing import ManualClock
from tests.remote.sites import (
    CACHE,
    codes,
    configure,
    entry,
    files_in,
    name_of,
    offers,
    publisher,
    runtime_in,
    signed,
)


async def test_promise_m1_defect_oneiric_s1_s2_an_unsigned_manifest_is_refused(
    tmp_path: Path,
) -> None:
    """From a source with a trust root, whatever it says, and with the signature taken away."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("a", "acme"))
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
            told = site.told(2, entries=[entry("a", "acme", priority=1000)])
            for data in (json.dumps(told).encode(), site.sign(told, *())):
                if data.lstrip().startswith(b'{"payload"'):
                    stripped = json.loads(data)
                    stripped["signatures"] = []
                    data = json.dumps(stripped).encode()
                site.serve(data)
                report = await runtime.sync_remote()
                assert codes(report)[0] in ("unsigned", "under-signed")
                assert report.exit_code == 3
            assert runtime.resolver.resolve("adapter:a").priority == 0
            assert runtime.remote.status().sources["acme"].state is SourceState.REFUSED


async def test_promise_m1_an_unsigned_source_is_local_and_below_a_root(tmp_path: Path) -> None:
    """A server without a trust root is not even asked; a file elsewhere is not read."""
    folder, elsewhere = tmp_path / "work", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    with publisher() as site:
        told = site.told(1, entries=[entry("a", "acme")])
        for place in (folder, elsewhere):
            (place / "m.json").write_text(json.dumps(told))
        (folder / "link.json").symlink_to(elsewhere / "m.json")
        site.publish(entry("a", "acme"))
        tables = {
            "here": "m.json",
            "far": site.uri,
            "there": str(elsewhere / "m.json"),
            "link": "link.json",
        }
        sources = "\n".join(f'[remote.sources.{n}]\nuri = "{uri}"' for n, uri in tables.items())
        configure(folder, sources)
        async with runtime_in(folder) as runtime:
            report = await runtime.sync_remote()
        assert site.requests == []
        found = {each.source.name: each.error.code if each.error else "" for each in report.sources}
        assert found == {"here": "", "far": "unsigned", "there": "unsigned", "link": "unsigned"}
        [offer] = runtime.resolver.registry.offers("adapter:a")
        assert str(offer.source) == "manifest:here 1 (unsigned)"
        configure(folder, sources, allowed_roots=[".", str(elsewhere)])
        assert set(runtime_in(folder).hydration.problems) == {"far"}


@pytest.mark.parametrize("restart", [False, True])
async def test_promise_m2_defect_oneiric_s3_an_older_manifest_is_refused(
    tmp_path: Path, restart: bool
) -> None:
    """Also after a restart, for the highest version is on disk before it is used."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("a", "acme"))
        site.publish(entry("a", "acme", priority=2))
        runtime = runtime_in(tmp_path)
        async with runtime:
            await runtime.sync_remote()
            if not restart:
                site.roll_back(1)
                assert codes(await runtime.sync_remote()) == ["rollback"]
        if restart:
            site.roll_back(1)
            runtime = runtime_in(tmp_path)
            async with runtime:
                assert codes(await runtime.sync_remote()) == ["rollback"]
        assert runtime.resolver.resolve("adapter:a").priority == 2


async def test_promise_m2_defect_oneiric_s3_what_is_issued_in_2999_is_refused(
    tmp_path: Path,
) -> None:
    """A date that has not come is no fresher than today."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        times: dict[str, Any] = {
            "issued": "2999-01-01T00:00:00Z",
            "expires": "2999-02-01T00:00:00Z",
        }
        site.publish(entry("a", "acme"), **times)
        async with runtime_in(tmp_path) as runtime:
            assert codes(await runtime.sync_remote()) == ["issued-in-future"]
            assert offers(runtime) == []


async def test_promise_m3_trust_roots_are_followed_and_remembered(tmp_path: Path) -> None:
    """New roots lie beside the manifest; what an old key signs is refused afterwards."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("a", "acme"))
        [old] = site.manifest_keys
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
            site.revoke(old)
            site.publish(entry("a", "acme", priority=1))
            [report] = (await runtime.sync_remote()).sources
            assert (report.error, report.roots) == (None, 1)
            assert report.serving is not None
            assert report.serving.root == 2
            site.publish(entry("a", "acme", priority=2), keys=[old])
            assert codes(await runtime.sync_remote()) == ["under-signed"]
        again = runtime_in(tmp_path)
        assert again.hydration.serving["acme"].root == 2
        assert again.resolver.resolve("adapter:a").priority == 1


async def test_promise_m3_a_later_root_may_be_pinned(tmp_path: Path) -> None:
    """What was kept from before it counts no more, and its own successor is found."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("a", "acme"))
        site.rotate()
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
        site.rotate()
        site.rotate()
        (tmp_path / "acme.root.json").write_bytes(site.roots[4])
        site.rotate()
        for _ in range(2):
            async with runtime_in(tmp_path) as runtime:
                report = await runtime.sync_remote()
                assert (report.errors, runtime.hydration.serving["acme"].root) == ((), 5)


async def test_promise_m6_defect_oneiric_s22_a_start_needs_no_server(tmp_path: Path) -> None:
    """The kept manifest is verified again, and serves; it is told to be offline."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("a", "acme"))
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
    async with runtime_in(tmp_path) as runtime:
        assert runtime.resolver.resolve("adapter:a").provider == "acme"
        report = await runtime.sync_remote()
        assert codes(report) == ["fetch-failed"]
        assert report.exit_code == 5
        assert runtime.resolver.resolve("adapter:a").provider == "acme"
        assert runtime.remote.status().sources["acme"].state is SourceState.OFFLINE


async def test_promise_m6_hydrating_writes_nothing(tmp_path: Path) -> None:
    """Neither for a local file nor for a kept manifest, nor where there is neither."""
    with publisher() as site:
        (tmp_path / "local.json").write_text(
            json.dumps({**site.told(1, entries=[entry("b", "x")]), "name": "local"})
        )
        local = '[remote.sources.local]\nuri = "local.json"\n'
        configure(tmp_path, signed(tmp_path, site) + local)
        runtime_in(tmp_path)
        assert not (tmp_path / ".oneiric_cache").exists()
        site.publish(entry("a", "acme"))
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
        before = files_in(tmp_path)
        assert set(runtime_in(tmp_path).hydration.serving) == {"acme", "local"}
        assert files_in(tmp_path) == before


async def test_promise_m6_a_kept_manifest_is_verified_against_current_trust(
    tmp_path: Path,
) -> None:
    """One whose key the pinned root names no more does not serve; the warning says why."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("a", "acme"))
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
        site.revoke(site.manifest_keys[0])
        (tmp_path / "acme.root.json").write_bytes(site.roots[2])
        found = runtime_in(tmp_path)
        assert found.hydration.problems["acme"].code == "under-signed"
        assert any("the source acme brings nothing" in each for each in found.warnings())
        assert offers(found) == []


@pytest.mark.parametrize("grace", [0, 3600])
async def test_promise_m6_an_expired_manifest_serves_on_but_starts_only_within_the_grace(
    tmp_path: Path, grace: int
) -> None:
    """What runs keeps serving, and the status says `expired`."""
    clock = ManualClock()
    with publisher(clock, lifetime=timedelta(days=30)) as site:
        configure(tmp_path, signed(tmp_path, site), offline_grace_seconds=grace)
        site.publish(entry("site-cache", "acme"), expires="2026-01-01T01:00:00Z")
        async with runtime_in(tmp_path, clock) as runtime:
            await runtime.sync_remote()
            await name_of(runtime, CACHE)
            clock.advance(3600)
            assert runtime.remote.status().sources["acme"].state is SourceState.EXPIRED
            report = await runtime.sync_remote()
            assert codes(report) == ["expired"]
            assert await name_of(runtime, CACHE) == "part"
            assert runtime.remote.status().sources["acme"].state is SourceState.EXPIRED
        later = ManualClock(clock.now() + timedelta(minutes=30))
        again = runtime_in(tmp_path, later)
        assert ("acme" in again.hydration.serving) is bool(grace)
        assert any("expired" in each for each in again.warnings())
        last = runtime_in(tmp_path, ManualClock(clock.now() + timedelta(hours=2)))
        assert last.hydration.problems["acme"].code == "expired"


async def test_promise_m6_nothing_new_is_applied_once_it_has_expired(tmp_path: Path) -> None:
    """A new version whose time is over changes nothing."""
    clock = ManualClock()
    with publisher(clock) as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("a", "acme"))
        async with runtime_in(tmp_path, clock) as runtime:
            await runtime.sync_remote()
            clock.advance(7200)
            times: dict[str, Any] = {
                "issued": "2026-01-01T00:00:00Z",
                "expires": "2026-01-01T01:00:00Z",
            }
            site.publish(entry("a", "acme", priority=3), **times)
            assert codes(await runtime.sync_remote()) == ["expired"]
            assert runtime.resolver.resolve("adapter:a").priority == 0


async def test_damaged_memory_fails_closed_and_stops_no_other_source(tmp_path: Path) -> None:
    """A source whose state is gone brings nothing; the others and the start go on."""
    with publisher() as site:
        (tmp_path / "local.json").write_text(
            json.dumps({**site.told(1, entries=[entry("b", "x")]), "name": "local"})
        )
        local = '[remote.sources.local]\nuri = "local.json"\n'
        configure(tmp_path, signed(tmp_path, site) + local)
        site.publish(entry("a", "acme"))
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
        (tmp_path / ".oneiric_cache/trust/acme/state.json").unlink()
        async with runtime_in(tmp_path) as runtime:
            assert runtime.hydration.problems["acme"].code == "trust-state-damaged"
            report = await runtime.sync_remote()
            assert codes(report) == ["trust-state-damaged"]
            assert runtime.resolver.resolve("adapter:b").provider == "x"


@pytest.mark.parametrize("uri", ["file://[", "https://[", "ftp://x/m.json", "http://far.example/m"])
async def test_an_address_that_is_none_is_a_problem_of_its_source(tmp_path: Path, uri: str) -> None:
    """It is told, by every command and by the sync, and stops nothing."""
    with publisher() as site:
        source = f'[remote.sources.odd]\nuri = "{uri}"\ntrust = "acme.root.json"\n'
        configure(tmp_path, signed(tmp_path, site) + source)
        site.publish(entry("a", "acme"))
        async with runtime_in(tmp_path) as runtime:
            report = await runtime.sync_remote()
            assert codes(report) == ["bad-address"]
            assert codes(await runtime.sync_remote("odd")) == ["bad-address"]
            assert runtime.resolver.resolve("adapter:a").provider == "acme"
            assert runtime.remote.status().sources["odd"].state is SourceState.REFUSED


@pytest.mark.parametrize("name", ["manifest.dsse.json", "2.root.json"])
@pytest.mark.parametrize("content", [b"", b"garbage", b'{"payload": 1}'])
async def test_a_damaged_file_of_the_memory_is_named_with_a_way_out(
    tmp_path: Path, name: str, content: bytes
) -> None:
    """Which file it is and what to delete, whatever stands in it; nothing is half believed."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.rotate()
        site.publish(entry("a", "acme"))
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
        (tmp_path / ".oneiric_cache/trust/acme" / name).write_bytes(content)

        problem = runtime_in(tmp_path).hydration.problems["acme"]

    assert (problem.code, name in problem.message) == ("trust-state-damaged", True)
    assert ".oneiric_cache/trust/acme" in problem.hint


@pytest.mark.parametrize(
    ("names", "of", "reason"),
    [
        (["y.yaml", "y.yml"], "many.y", "y.yaml and y.yml name one source"),
        (["a b.yaml"], "many.a b", "rename it"),
    ],
)
async def test_promise_m4_files_that_name_no_source_of_their_own_are_a_problem_alone(
    tmp_path: Path, names: list[str], of: str, reason: str
) -> None:
    """None silently takes the place of another, none is silently left out, and others serve."""
    with publisher() as site:
        (tmp_path / "many").mkdir()
        told = {**site.told(1, entries=[entry("b", "x")]), "name": "good"}
        for name in ("good.json", ".good.swp.json", *names):
            (tmp_path / "many" / name).write_text(json.dumps(told))
        configure(tmp_path, '[remote.sources.many]\nuri = "many"\n')

        async with runtime_in(tmp_path) as runtime:
            problems = runtime.hydration.problems
            assert list(problems) == [of]
            assert reason in problems[of].message
            assert runtime.resolver.resolve("adapter:b").provider == "x"


async def test_promise_m1_two_sources_never_share_a_name(tmp_path: Path) -> None:
    """A file of a folder that bears a configured source's name is a problem, and that one serves.

    What is remembered of one would be believed of the other.
    """
    with publisher() as site:
        (tmp_path / "many").mkdir()
        for path, key in (("many/x.json", "b"), ("many/y.json", "c"), ("x.json", "a")):
            told = {**site.told(1, entries=[entry(key, "x")]), "name": "good"}
            (tmp_path / path).write_text(json.dumps(told))
        sources = '[remote.sources.many]\nuri = "many"\n[remote.sources."many.x"]\nuri = "x.json"\n'
        configure(tmp_path, sources)
        async with runtime_in(tmp_path) as runtime:
            report = await runtime.sync_remote()
            assert [each.source.name for each in report.sources] == ["many", "many.y", "many.x"]
            assert codes(report) == ["bad-address"]
            assert "x.json" in report.errors[0].message
            assert runtime.resolver.resolve("adapter:a").provider == "x"
            assert runtime.resolver.resolve("adapter:c").provider == "x"
            assert runtime.resolver.registry.offers("adapter:b") == ()
            with pytest.raises(InvalidError, match="source many"):
                runtime.hydration.add("many.y", SourceSettings.model_validate({"uri": "x.json"}))


async def test_a_look_at_one_source_leaves_alone_what_is_known_of_others(tmp_path: Path) -> None:
    """Why another brings nothing is told after it as before."""
    with publisher() as site:
        told = {**site.told(1, entries=[entry("a", "x")]), "name": "good"}
        (tmp_path / "good.json").write_text(json.dumps(told))
        (tmp_path / "bad.json").write_text("{}")
        sources = (f'[remote.sources.{name}]\nuri = "{name}.json"\n' for name in ("good", "bad"))
        configure(tmp_path, "".join(sources))
        async with runtime_in(tmp_path) as runtime:
            before = list(runtime.hydration.warnings())
            await runtime.sync_remote("good")
            assert list(runtime.hydration.warnings()) == before
            assert runtime.remote.status().sources["bad"].state is SourceState.REFUSED
            (tmp_path / "bad.json").write_text(json.dumps(told))
            await runtime.sync_remote("bad")
            assert list(runtime.hydration.warnings()) == []


async def test_a_preview_tells_of_sources_that_lead_nowhere(tmp_path: Path) -> None:
    """As the sync would; who only looks shall not think that all is well."""
    configure(tmp_path, '[remote.sources.odd]\nuri = "ftp://x/m.json"\n')
    async with runtime_in(tmp_path) as runtime:
        (preview,) = await runtime.remote.preview()
        assert preview.error is not None
        assert (preview.source.name, preview.error.code) == ("odd", "bad-address")
        assert PreviewAnswer((preview,)).exit_code == 2


async def test_a_look_that_failed_is_not_asked_for(tmp_path: Path) -> None:
    """Whoever has just looked need not be told to look."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        issued, expires = "2025-01-01T00:00:00Z", "2025-12-31T00:00:00Z"
        site.publish(entry("a", "acme"), issued=issued, expires=expires)
        async with runtime_in(tmp_path) as runtime:
            assert "remote-sync" in "".join(runtime.hydration.warnings())
            assert codes(await runtime.sync_remote()) == ["expired"]
            assert list(runtime.hydration.warnings()) == []


async def test_promise_m4_a_folder_that_is_away_takes_nothing_with_it(tmp_path: Path) -> None:
    """What it brought serves on until it can be looked into again, and then follows it."""
    with publisher() as site:
        folder = tmp_path / "many"
        folder.mkdir()
        told = {**site.told(1, entries=[entry("b", "x")]), "name": "good"}
        (folder / "good.json").write_text(json.dumps(told))
        configure(tmp_path, '[remote.sources.many]\nuri = "many"\n')
        async with runtime_in(tmp_path) as runtime:
            folder.rename(tmp_path / "away")
            report = await runtime.sync_remote()
            assert codes(report) == ["not-found"]
            assert runtime.resolver.resolve("adapter:b").provider == "x"

            folder.mkdir()
            await runtime.sync_remote()
            assert runtime.resolver.registry.offers("adapter:b") == ()
