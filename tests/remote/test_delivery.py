"""From a publisher to a component: fetched, verified, checked, unpacked, loaded and swapped."""

import os
from functools import partial
from pathlib import Path

import pytest

from oneiric.clock import SystemClock
from oneiric.remote.artifacts import ArtifactStore
from oneiric.remote.errors import ArtifactHostError, WrongDigestError
from oneiric.remote.fetch import Fetcher
from oneiric.remote.manifest import Artifact
from oneiric.remote.trust import TrustRoot
from oneiric.remote.verify import VerifiedManifest, verify
from oneiric.remote.wheels import forget_wheel, loaded_wheels, unpack_wheel
from oneiric.runtime import RuntimeOrchestrator
from oneiric.testing import LoopbackServer, ManifestSimulator
from oneiric.testing.lies import Sends, Status
from tests.remote.building import build, shop
from tests.remote.sites import configure, publisher, runtime_in, signed


async def fetched(site: ManifestSimulator, fetcher: Fetcher) -> VerifiedManifest:
    """Fetch and verify what is published."""
    data = (await fetcher.get(site.uri, limit=1_000_000)).data
    root = TrustRoot.read(site.pinned, source="acme")
    return verify(data, source="acme", root=root, now=site.clock.now())


async def test_promise_m5_two_versions_of_a_wheel_are_delivered_side_by_side(
    tmp_path: Path,
) -> None:
    """The manifest of today replaces that of yesterday; what yesterday's made serves on."""
    store, made = ArtifactStore(tmp_path / "artifacts"), []
    with ManifestSimulator(factories=["shop"]) as publisher:
        async with Fetcher(clock=SystemClock()) as fetcher:
            for version in ("1", "2"):
                wheel = build(tmp_path / "built", shop(version), version=version)[0].read_bytes()
                entry = publisher.entry("service:prices", "acme", "shop.prices:Prices")
                artifact = publisher.artifact(f"/v{version}/shop.whl", wheel)
                publisher.publish({**entry, "artifact": artifact})

                found = await fetched(publisher, fetcher)
                [entry_found] = found.manifest.entries
                assert entry_found.artifact is not None
                hosts = partial(allowed, found)
                path = await store.ensure(entry_found.artifact, fetcher, hosts)
                unpacked = unpack_wheel(path, entry_found.artifact.sha256)
                made.append(unpacked.factory(entry_found.factory))

    instances = [factory.load()() for factory in made]
    assert [each.version() for each in instances] == ["late 1", "late 2"]
    for factory in made:
        assert forget_wheel(factory.sha256)


def allowed(found: VerifiedManifest, host: str) -> bool:
    """Tell whether the signers of a manifest may name this host."""
    return found.allows(host=host)


async def test_promise_m5_an_artifact_from_elsewhere_is_not_asked_for(tmp_path: Path) -> None:
    """The signer may name the publisher's host only, and that host may not send other bytes."""
    store = ArtifactStore(tmp_path)
    with LoopbackServer() as other, ManifestSimulator() as publisher:
        told = publisher.artifact("/a.whl", b"the right bytes")
        other.put("/a.whl", b"the right bytes")
        publisher.publish()
        async with Fetcher(clock=SystemClock()) as fetcher:
            hosts = partial(allowed, await fetched(publisher, fetcher))
            elsewhere = Artifact.model_validate({**told, "uri": other.address("/a.whl")})
            with pytest.raises(ArtifactHostError):
                await store.ensure(elsewhere, fetcher, hosts)
            publisher.lie("/a.whl", Sends(b"the wrong bytes"))
            with pytest.raises(WrongDigestError):
                await store.ensure(Artifact.model_validate(told), fetcher, hosts)
            await store.ensure(Artifact.model_validate(told), fetcher, hosts)

        assert other.requests == []


async def test_a_sync_deletes_what_none_has_needed_for_long(tmp_path: Path) -> None:
    """Not what is in force, though its publisher was away all that time, nor what is up."""
    folder = tmp_path / ".oneiric_cache" / "artifacts"

    async def left_of_old(runtime: RuntimeOrchestrator) -> int:
        for each in folder.iterdir():
            os.utime(each, (1000, 1000))
        await runtime.sync_remote()
        return len(list(folder.iterdir()))

    with publisher(SystemClock()) as site:
        site._factories = ("shop",)
        site.rotate()
        configure(tmp_path, signed(tmp_path, site))
        text = (tmp_path / "oneiric.toml").read_text()
        (tmp_path / "oneiric.toml").write_text(text.replace('["tests"]', '["shop"]'))
        async with runtime_in(tmp_path, SystemClock()) as runtime:
            for version in ("1", "2"):
                data = build(tmp_path / "built", shop(version), version=version)[0].read_bytes()
                told = site.artifact(f"/v{version}/shop.whl", data)
                site.publish(site.entry("service:p", "acme", "shop.prices:Prices", artifact=told))
                await runtime.sync_remote()
                async with runtime.lifecycle.use("service:p@acme"):
                    pass  # whoever names it keeps the first one
            site.always("/manifest.json", Status(503))
            assert await left_of_old(runtime) == 2
        async with runtime_in(tmp_path, SystemClock()) as runtime:
            assert await left_of_old(runtime) == 1
            async with runtime.lifecycle.use("service:p") as prices:
                assert prices.version() == "late 2"
    for sha256 in loaded_wheels():
        forget_wheel(sha256)
