"""Artifacts: each in its own place by its digest, and none taken that is not exactly it."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from oneiric.clock import SystemClock
from oneiric.errors import InvalidPathError, OneiricError, RefusedError
from oneiric.remote.artifacts import ArtifactStore
from oneiric.remote.errors import (
    AddressError,
    ArtifactHostError,
    TooLongError,
    WrongDigestError,
    WrongLengthError,
)
from oneiric.remote.fetch import Fetcher, FetchLimits
from oneiric.remote.origin import Credential, Origin
from oneiric.testing.lies import RedirectTo
from oneiric.testing.loopback import LoopbackServer

DATA = b"the first bytes"


@dataclass(frozen=True)
class Named:
    """An artifact as a manifest names it."""

    uri: str
    sha256: str
    length: int


def named(uri: str, data: bytes = DATA) -> Named:
    """Name *data* at *uri*, rightly."""
    return Named(uri, hashlib.sha256(data).hexdigest(), len(data))


def files(folder: Path) -> list[str]:
    """All files below *folder*."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    """A server with two versions of one file."""
    with LoopbackServer() as running:
        running.put("/v1/pkg.whl", DATA)
        running.put("/v2/pkg.whl", b"the second ones")
        yield running


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    """A fetcher that tries once."""
    async with Fetcher(clock=SystemClock(), limits=FetchLimits(retries=0)) as made:
        yield made


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    """An empty store."""
    return ArtifactStore(tmp_path / "artifacts")


async def test_defect_oneiric_s11_files_of_one_name_have_each_their_own_place(
    server: LoopbackServer, fetcher: Fetcher, store: ArtifactStore
) -> None:
    """Two versions under the same base name never take each other's place."""
    first = await store.ensure(named(server.address("/v1/pkg.whl")), fetcher)
    second = await store.ensure(named(server.address("/v2/pkg.whl"), b"the second ones"), fetcher)

    assert (first.read_bytes(), second.read_bytes()) == (DATA, b"the second ones")
    assert first.parent.name == hashlib.sha256(DATA).hexdigest()


@pytest.mark.parametrize(
    "path", ["/domain_activity.sqlite", "/lifecycle_status.json", "/%2e%2e/%2e%2e/oneiric.sqlite"]
)
async def test_defect_oneiric_s12_no_name_from_afar_names_a_file(
    server: LoopbackServer, fetcher: Fetcher, store: ArtifactStore, tmp_path: Path, path: str
) -> None:
    """The state of a runtime lies where no artifact can be written."""
    server.put(path, DATA)

    place = await store.ensure(named(server.address(path)), fetcher)

    assert place == tmp_path / "artifacts" / hashlib.sha256(DATA).hexdigest() / "content"
    assert files(tmp_path) == ["content"]


async def test_defect_oneiric_s13_a_bad_digest_leaves_nothing_that_a_good_one_would_meet(
    fetcher: Fetcher, store: ArtifactStore, tmp_path: Path
) -> None:
    """Also for a local file: what was refused once is not refused for ever."""
    file = tmp_path / "pkg.whl"
    file.write_bytes(b"the worse bytes")
    artifact = named(file.as_uri())

    with pytest.raises(WrongDigestError):
        await store.ensure(artifact, fetcher, folder=tmp_path)
    assert files(tmp_path / "artifacts") == []

    file.write_bytes(DATA)
    assert (await store.ensure(artifact, fetcher, folder=tmp_path)).read_bytes() == DATA


@pytest.mark.parametrize(
    "sha256", ["", "zzz", "A" * 64, "a" * 63, "../" + "a" * 61, "a" * 64 + "\n"]
)
async def test_defect_oneiric_s14_a_digest_is_required_and_is_one(
    server: LoopbackServer, fetcher: Fetcher, store: ArtifactStore, sha256: str
) -> None:
    """Nothing is fetched by another name."""
    artifact = Named(server.address("/v1/pkg.whl"), sha256, len(DATA))

    with pytest.raises(WrongDigestError):
        await store.ensure(artifact, fetcher)

    assert server.requests == []


async def test_defect_oneiric_s9_an_artifact_is_bounded_before_it_is_fetched(
    server: LoopbackServer, fetcher: Fetcher, tmp_path: Path
) -> None:
    """What a manifest says is too long is not asked for; what is longer than said is cut off."""
    store = ArtifactStore(tmp_path, most_bytes=len(DATA) - 1)
    with pytest.raises(TooLongError):
        await store.ensure(named(server.address("/v1/pkg.whl")), fetcher)
    assert server.requests == []

    short = Named(server.address("/v1/pkg.whl"), hashlib.sha256(DATA).hexdigest(), 5)
    with pytest.raises((TooLongError, WrongLengthError)):
        await store.ensure(short, fetcher)


async def test_promise_m5_what_is_kept_is_hashed_again_and_mended(
    server: LoopbackServer, fetcher: Fetcher, store: ArtifactStore
) -> None:
    """A kept artifact is used without asking; a changed one is fetched anew."""
    artifact = named(server.address("/v1/pkg.whl"))
    place = await store.ensure(artifact, fetcher)
    await store.ensure(artifact, fetcher)
    assert len(server.requests) == 1

    place.write_bytes(b"THE FIRST BYTES")
    assert (await store.ensure(artifact, fetcher)).read_bytes() == DATA
    place.unlink()
    place.mkdir()
    assert (await store.ensure(artifact, fetcher)).read_bytes() == DATA
    place.unlink()
    place.symlink_to("/etc/passwd")
    assert (await store.ensure(artifact, fetcher)).read_bytes() == DATA
    assert not place.is_symlink()


async def test_promise_m5_only_hosts_that_the_signers_may_name_are_asked(
    server: LoopbackServer, fetcher: Fetcher, store: ArtifactStore
) -> None:
    """Loopback is no exception, and a redirect is no way around."""
    with LoopbackServer() as other:
        other.put("/pkg.whl", DATA)
        own = Origin.of(server.origin).netloc
        with pytest.raises(ArtifactHostError) as refused:
            await store.ensure(named(other.address("/pkg.whl")), fetcher, own.__eq__)
        server.lie("/v1/pkg.whl", RedirectTo(other.address("/pkg.whl")))
        with pytest.raises(RefusedError):
            await store.ensure(named(server.address("/v1/pkg.whl")), fetcher, own.__eq__)

        assert refused.value.code == "artifact-host"
        assert other.requests == []


async def test_defect_oneiric_s10_an_artifacts_host_is_told_no_secret_of_the_manifests(
    server: LoopbackServer, fetcher: Fetcher, store: ArtifactStore
) -> None:
    """The credential of a source goes to its origin; the artifacts' hosts may be anybody's."""
    with LoopbackServer() as other:
        other.put("/pkg.whl", b"the second ones")
        credential = Credential(Origin.of(server.origin), "s3cret")
        artifacts = (
            named(server.address("/v1/pkg.whl")),
            named(other.address("/pkg.whl"), b"the second ones"),
        )
        for artifact in artifacts:
            await store.ensure(artifact, fetcher, credential=credential)

        assert [each.credential for each in server.requests] == ["Bearer s3cret"]
        assert [each.credential for each in other.requests] == [""]


async def test_many_at_once_do_no_harm(
    server: LoopbackServer, fetcher: Fetcher, store: ArtifactStore
) -> None:
    """Each writes beside the place; whoever is last puts the same bytes there."""
    artifact = named(server.address("/v1/pkg.whl"))
    again = ArtifactStore(store.folder)

    both = (store, again)
    found = await asyncio.gather(*(both[i % 2].ensure(artifact, fetcher) for i in range(12)))

    assert {path.read_bytes() for path in found} == {DATA}
    assert files(store.folder) == ["content"]


async def test_a_relative_address_is_seen_from_the_manifest(
    server: LoopbackServer, fetcher: Fetcher, store: ArtifactStore, tmp_path: Path
) -> None:
    """Beside it on its server, or in its folder."""
    artifact = named("v1/pkg.whl")
    base = server.address("/manifest.json")
    assert (await store.ensure(artifact, fetcher, base=base)).read_bytes() == DATA

    (tmp_path / "local.whl").write_bytes(b"local")
    local = await store.ensure(named("local.whl", b"local"), fetcher, folder=tmp_path)
    assert local.read_bytes() == b"local"


@pytest.mark.parametrize(
    ("uri", "error"),
    [
        ("../secret", InvalidPathError),
        ("/etc/hostname", RefusedError),
        ("file:///etc/hostname", RefusedError),
        ("out/secret", InvalidPathError),
        ("file://host/etc/hostname", AddressError),
        ("http://example.org/x", AddressError),
    ],
)
async def test_a_local_artifact_lies_below_its_folder(
    fetcher: Fetcher, store: ArtifactStore, tmp_path: Path, uri: str, error: type[OneiricError]
) -> None:
    """Neither dots, nor absolute paths, nor links lead out of it."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(DATA)
    (folder / "out").symlink_to(tmp_path)

    with pytest.raises(error):
        await store.ensure(named(uri), fetcher, folder=folder)
    with pytest.raises(OneiricError):
        await store.ensure(named(uri), fetcher)


async def test_what_no_sync_needed_for_long_is_deleted(
    fetcher: Fetcher, store: ArtifactStore, tmp_path: Path
) -> None:
    """With what was left half done that long ago; what is kept, new, or not ours stays."""
    digests = []
    for text in (b"old", b"kept", b"needed", b"new"):
        (tmp_path / "file").write_bytes(text)
        digests.append(named((tmp_path / "file").as_uri(), text).sha256)
        await store.ensure(named((tmp_path / "file").as_uri(), text), fetcher, folder=tmp_path)
    old, kept, needed, new = (store.folder / digest for digest in digests)
    (old / "unpacked").mkdir()
    (kept / ".half.part").write_bytes(b"ha")
    (kept / ".unpacking-1").mkdir()
    (store.folder / "notes").mkdir()
    for path in (*store.folder.iterdir(), *kept.iterdir()):
        if path != new:
            os.utime(path, (1000, 1000))
    await store.ensure(named("file:///nowhere", b"needed"), fetcher)

    assert store.prune({kept.name}, before=2000) == 1
    assert store.prune({kept.name}, before=2000) == 0

    assert {each.name for each in store.folder.iterdir()} == {
        *(each.name for each in (kept, needed, new)),
        "notes",
    }
    assert [each.name for each in kept.iterdir()] == ["content"]
    assert ArtifactStore(tmp_path / "none").prune((), before=2000) == 0
