"""Sources are looked at, applied whole or not at all, and followed by what runs."""

import json
import resource
from pathlib import Path

import pytest

from oneiric.core.candidate import Candidate
from oneiric.errors import NotFoundError
from tests.remote.building import build, shop
from tests.remote.sites import (
    CACHE,
    Part,
    codes,
    configure,
    entry,
    offers,
    publisher,
    runtime_in,
    signed,
)


async def test_promise_m4_entries_are_added_changed_removed_and_left(tmp_path: Path) -> None:
    """Each sync says what it did; the same manifest again does nothing."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("a", "acme"), entry("b", "acme"), entry("c", "acme"))
        async with runtime_in(tmp_path) as runtime:
            first = (await runtime.sync_remote()).sources[0]
            again = (await runtime.sync_remote()).sources[0]
            site.publish(entry("a", "acme"), entry("b", "acme", priority=5), entry("d", "acme"))
            second = (await runtime.sync_remote()).sources[0]

            assert first.change.added == tuple(f"adapter:{key}@acme" for key in "abc")
            assert (again.not_modified, len(again.change.unchanged)) == (True, 3)
            assert second.change.added == ("adapter:d@acme",)
            assert second.change.changed == ("adapter:b@acme",)
            assert second.change.removed == ("adapter:c@acme",)
            assert second.change.unchanged == ("adapter:a@acme",)
            assert offers(runtime) == [f"adapter:{key}@acme" for key in "abd"]
            [found] = runtime.resolver.registry.offers("adapter:a")
            assert (found.source.version, found.source.detail) == ("2", second.serving.digest)  # type: ignore[union-attr]


async def test_defect_oneiric_s16_ten_refreshes_are_one(tmp_path: Path) -> None:
    """Nothing grows, whether the server says that nothing changed or not."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("a", "acme"))
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
            generation = runtime.resolver.registry.generation
            for _ in range(10):
                await runtime.sync_remote()
            assert offers(runtime) == ["adapter:a@acme"]
            assert runtime.resolver.registry.generation == generation


async def test_defect_oneiric_s16_what_was_removed_or_lowered_is_so(tmp_path: Path) -> None:
    """A removed entry is withdrawn, and a lowered priority loses."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("a", "one", priority=10), entry("a", "two"), entry("b", "one"))
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
            assert runtime.resolver.resolve("adapter:a").provider == "one"
            site.publish(entry("a", "one", priority=-10), entry("a", "two"))
            await runtime.sync_remote()
            assert runtime.resolver.resolve("adapter:a").provider == "two"
            assert runtime.resolver.registry.offers("adapter:b") == ()


async def test_defect_oneiric_s15_one_bad_entry_stops_no_other(tmp_path: Path) -> None:
    """It is rejected where it can be named, and told of; the rest serve."""
    bad = entry("b", "acme", unheard_of=1)
    outside = {**entry("c", "acme"), "factory": "os:system"}
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("a", "acme"), bad, outside)
        async with runtime_in(tmp_path) as runtime:
            report = await runtime.sync_remote()
            serving = report.sources[0].serving
            assert serving is not None
            assert [each.offer for each in serving.quarantined] == [
                "adapter:b@acme",
                "adapter:c@acme",
            ]
            assert report.exit_code == 0
            assert runtime.resolver.resolve("adapter:a").provider == "acme"
            standing = runtime.resolver.explain("adapter:c").standings[0]
            assert (str(standing.place), "os:system" in standing.why) == ("rejected", True)


async def test_defect_oneiric_s15_a_bad_second_artifact_leaves_nothing(tmp_path: Path) -> None:
    """What was applied before serves on; of the new manifest nothing is applied or remembered."""
    wheel = build(tmp_path / "built", shop("1"), version="1")[0].read_bytes()
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("a", "acme"))
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
            good = site.artifact("/good.whl", wheel)
            bad = {**site.artifact("/bad.whl", wheel + b"x"), "sha256": "0" * 64}
            site.publish(
                entry("a", "acme", priority=7),
                entry("b", "acme", artifact=good),
                entry("c", "acme", artifact=bad),
            )
            report = await runtime.sync_remote()
            assert codes(report) == ["wrong-digest"]
            assert report.exit_code == 3
            assert offers(runtime) == ["adapter:a@acme"]
            assert runtime.resolver.resolve("adapter:a").priority == 0
            assert runtime.hydration.serving["acme"].version == 1
        assert runtime_in(tmp_path).resolver.resolve("adapter:a").priority == 0


async def test_defect_oneiric_s15_a_wheel_that_the_disk_has_no_room_for_leaves_nothing(
    tmp_path: Path,
) -> None:
    """Not even a version that the next start would bring back without the wheel's entries."""
    files = {**shop("1"), "shop/long.py": "X = 1\n" * 20_000}
    wheel = build(tmp_path / "built", files, version="1")[0].read_bytes()
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("a", "acme"))
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
            told = {**entry("b", "acme"), "factory": "shop.prices:Prices"}
            told["artifact"] = site.artifact("/shop.whl", wheel)
            site.publish(entry("a", "acme", priority=7), told)
            soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, hard))
            try:
                report = await runtime.sync_remote()
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert codes(report) == ["unavailable"]
            assert offers(runtime) == ["adapter:a@acme"]
        assert offers(runtime_in(tmp_path)) == ["adapter:a@acme"]


async def test_a_wheel_that_may_not_be_loaded_is_a_rejected_entry(tmp_path: Path) -> None:
    """The others serve, and the explanation says what is wrong with the wheel."""
    wheel = build(tmp_path / "built", shop("1"), version="1")[0].read_bytes()
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        told = site.artifact("/shop.whl", wheel)
        site.publish(entry("a", "acme"), entry("b", "acme", artifact=told))
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
            assert runtime.resolver.resolve("adapter:a").provider == "acme"
            standing = runtime.resolver.explain("adapter:b").standings[0]
            assert "is not in" in standing.why


async def test_promise_r1_defect_oneiric_s17_a_manifest_outranks_nothing_local(
    tmp_path: Path,
) -> None:
    """Whatever priority it claims, unless the stack order says that its stack counts more."""
    mine = Candidate(CACHE, "mine", Part)
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("site-cache", "acme", priority=1000, stack_level=100))
        async with runtime_in(tmp_path, None, mine) as runtime:
            await runtime.sync_remote()
            assert runtime.resolver.resolve(CACHE).provider == "mine"
        with (tmp_path / "oneiric.toml").open("a") as file:
            file.write('[resolver]\nstack_order = "base,acme"\n')
        assert runtime_in(tmp_path, None, mine).resolver.resolve(CACHE).provider == "acme"


async def test_defect_oneiric_s18_one_list_of_packages_for_every_source(tmp_path: Path) -> None:
    """What the runtime allows may come from a manifest; what its signer may not name may not."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(entry("a", "acme"), {**entry("b", "acme"), "factory": "oneiric.demo.x:Y"})
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
            assert runtime.resolver.resolve("adapter:a").provider == "acme"
            assert "enough of the signers" in runtime.resolver.explain("adapter:b").standings[0].why
        text = (tmp_path / "oneiric.toml").read_text()
        (tmp_path / "oneiric.toml").write_text(text.replace('["tests"]', "[]"))
        found = runtime_in(tmp_path).resolver.explain("adapter:a").standings[0]
        assert "under no allowed prefix" in found.why


async def test_promise_m7_defect_oneiric_s19_constraints_of_entries_hold(tmp_path: Path) -> None:
    """Python, system, requirements and conflicts are rejections, each with its reason."""
    with publisher() as site:
        configure(tmp_path, signed(tmp_path, site))
        site.publish(
            entry("python", "acme", python_version=">=99"),
            entry("system", "acme", os_platform=["plan9"]),
            entry("needs", "acme", requires={"other": "adapter:not-there"}),
            entry("rival", "acme", conflicts_with=["adapter:other"]),
            entry("other", "acme"),
        )
        async with runtime_in(tmp_path) as runtime:
            await runtime.sync_remote()
            found = {
                key: runtime.resolver.explain(f"adapter:{key}").standings[0].rejection
                for key in ("python", "system", "needs", "rival", "other")
            }
    assert {key: str(each.reason) if each else "" for key, each in found.items()} == {
        "python": "python-version",
        "system": "platform",
        "needs": "requirement",
        "rival": "conflict",
        "other": "",
    }


async def test_a_folder_is_a_source_for_each_of_its_manifests(tmp_path: Path) -> None:
    """Each stands for itself; one that is taken away is withdrawn, one that is wrong is told."""
    folder = tmp_path / "manifests"
    folder.mkdir()
    with publisher() as site:
        for name in ("one", "two"):
            told = {**site.told(1, entries=[entry(name, name)]), "name": name}
            (folder / f"{name}.json").write_text(json.dumps(told))
        (folder / "2.root.json").write_text("{}")
        (folder / "README.md").write_text("no manifest")
        (folder / "bad.yaml").write_text("schema: nothing")
        configure(tmp_path, '[remote.sources.mine]\nuri = "manifests"\n')
        async with runtime_in(tmp_path) as runtime:
            assert set(runtime.hydration.serving) == {"mine.one", "mine.two"}
            assert set(runtime.hydration.problems) == {"mine.bad"}
            (folder / "two.json").unlink()
            report = await runtime.sync_remote()
            assert list(report.withdrawn) == ["mine.two"]
            assert runtime.resolver.registry.offers("adapter:two") == ()
            assert runtime.resolver.resolve("adapter:one").source.name == "mine.one"
            only = await runtime.sync_remote("mine.one")
            assert [each.source.name for each in only.sources] == ["mine.one"]


async def test_a_folder_of_signed_manifests_has_a_trust_root_for_each(tmp_path: Path) -> None:
    """`STEM.root.json` beside the manifest, as they are published."""
    folder = tmp_path / "signed"
    folder.mkdir()
    with publisher() as site:
        (folder / "acme.json").write_bytes(site.publish(entry("a", "acme")))
        site.pin(folder / "acme.root.json")
        configure(tmp_path, '[remote.sources.mine]\nuri = "signed"\ntrust = "signed"\n')
        async with runtime_in(tmp_path) as runtime:
            report = await runtime.sync_remote()
            assert (report.errors, report.sources[0].applied) == ((), "stored")
            assert str(runtime.resolver.resolve("adapter:a").source) == "manifest:mine.acme 1"


async def test_several_sources_stand_side_by_side(tmp_path: Path) -> None:
    """One that fails takes nothing from the others."""
    with publisher() as site, publisher() as other:
        other.name = "other"
        configure(tmp_path, signed(tmp_path, site) + signed(tmp_path, other, "second"))
        site.publish(entry("a", "acme"))
        other.publish(entry("a", "acme"), entry("b", "acme"))
        async with runtime_in(tmp_path) as runtime:
            report = await runtime.sync_remote()
            assert [each.source.name for each in report.sources] == ["acme", "second"]
            assert codes(report) == ["wrong-manifest"]
            assert offers(runtime) == ["adapter:a@acme"]
            with pytest.raises(NotFoundError):
                await runtime.sync_remote("third")
