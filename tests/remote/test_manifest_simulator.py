"""The simulator: an honest publisher by default, and every lie is the lie it says it is."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from oneiric.clock import SystemClock
from oneiric.remote.errors import (
    ChangedError,
    ExpiredError,
    PayloadTypeError,
    RollbackError,
    TrustError,
    UnderSignedError,
)
from oneiric.remote.fetch import Fetcher
from oneiric.remote.security import PrivateKey
from oneiric.remote.trust import TrustRoot
from oneiric.remote.verify import Seen, VerifiedManifest, verify
from oneiric.testing import ManifestSimulator, ManualClock


class Client:
    """Fetch and verify as a source of manifests would, without keeping anything on disk."""

    def __init__(self, publisher: ManifestSimulator) -> None:
        self.root = TrustRoot.read(publisher.pinned, source="acme")
        self.seen: Seen | None = None
        self.publisher = publisher

    async def refresh(self, uri: str = "") -> VerifiedManifest:
        """Walk to the last root, then take the manifest."""
        async with Fetcher(clock=SystemClock()) as fetcher:
            while self.root.version < self.publisher.root_version:
                path = f"/{self.root.version + 1}.root.json"
                fetched = await fetcher.get(self.publisher.address(path), limit=100_000)
                self.root = self.root.advance(fetched.data, source="acme")
            data = (await fetcher.get(uri or self.publisher.uri, limit=1_000_000)).data
        found = verify(
            data,
            source="acme",
            root=self.root,
            seen=self.seen,
            now=self.publisher.clock.now(),
        )
        self.seen = found.seen
        return found


@pytest.fixture
def publisher() -> Iterator[ManifestSimulator]:
    """A publisher of one version, whose three keys sign by twos."""
    with ManifestSimulator(clock=ManualClock(), keys=3, threshold=2) as running:
        running.publish(running.entry("adapter:cache", "acme", "acme.cache:Cache"))
        yield running


async def test_an_honest_publisher_is_believed(publisher: ManifestSimulator) -> None:
    """Version after version, each with the entries of before unless others are given."""
    client = Client(publisher)
    first = await client.refresh()
    publisher.publish()
    second = await client.refresh()

    assert (first.manifest.version, second.manifest.version) == (1, 2)
    assert first.manifest.entries == second.manifest.entries
    assert len(second.signers) == 3


async def test_promise_m3_roots_are_walked_one_after_the_other(
    publisher: ManifestSimulator,
) -> None:
    """New keys, another threshold, and a key that was stolen: by old and new thresholds."""
    client = Client(publisher)
    await client.refresh()
    stolen = publisher.manifest_keys[0]
    publisher.rotate(root_keys=[PrivateKey.generate(), *publisher.root_keys[1:]])
    publisher.rotate(threshold=3)
    new = publisher.revoke(stolen)
    publisher.publish()

    found = await client.refresh()

    assert client.root.version == 4
    assert new.public.id in found.signers
    assert stolen.public.id in client.root.revoked


async def test_a_rotation_by_strangers_is_not_followed(publisher: ManifestSimulator) -> None:
    """Nor one that the new keys did not sign."""
    client = Client(publisher)
    strangers = [PrivateKey.generate() for _ in range(3)]
    publisher.rotate(root_keys=strangers, signers=strangers)

    with pytest.raises(UnderSignedError):
        await client.refresh()


def _too_few(publisher: ManifestSimulator) -> None:
    publisher.publish(keys=publisher.manifest_keys[:1])


def _expired(publisher: ManifestSimulator) -> None:
    assert isinstance(publisher.clock, ManualClock)
    publisher.freeze()
    publisher.publish()
    publisher.rotate()
    publisher.clock.advance(timedelta(days=29).total_seconds())
    publisher.rotate()
    publisher.clock.advance(timedelta(days=2).total_seconds())


@pytest.mark.parametrize(
    ("lie", "error"),
    [
        (lambda publisher: publisher.roll_back(1), RollbackError),
        (lambda publisher: publisher.change_content(), ChangedError),
        (lambda publisher: publisher.mistype(), PayloadTypeError),
        (_too_few, UnderSignedError),
        (_expired, ExpiredError),
        (lambda publisher: publisher.publish(keys=[PrivateKey.generate()]), UnderSignedError),
    ],
    ids=["rollback", "changed", "mistyped", "too-few", "frozen", "stranger"],
)
async def test_promise_m2_each_lie_is_told_by_its_own_code(
    publisher: ManifestSimulator,
    lie: Callable[[ManifestSimulator], object],
    error: type[TrustError],
) -> None:
    """Over the wire, from a publisher with the right keys."""
    client = Client(publisher)
    publisher.publish()
    await client.refresh()
    lie(publisher)

    with pytest.raises(error):
        await client.refresh()


async def test_promise_m2_the_older_of_two_mirrors_is_a_rollback(
    publisher: ManifestSimulator,
) -> None:
    """Whichever is asked first; a good mirror second is believed."""
    client = Client(publisher)
    with publisher.mirror() as other:
        publisher.publish()
        assert (await client.refresh(other.uri)).manifest.version == 1
        assert (await client.refresh()).manifest.version == 2
        with pytest.raises(RollbackError):
            await client.refresh(other.uri)
        assert [len(each.asked("/manifest.json")) for each in (publisher, other)] == [1, 2]


async def test_promise_m6_what_did_not_change_is_not_sent_again(
    publisher: ManifestSimulator,
) -> None:
    """Each version has its own ETag."""
    async with Fetcher(clock=SystemClock()) as fetcher:
        first = await fetcher.get(publisher.uri, limit=100_000)
        again = await fetcher.get(publisher.uri, limit=100_000, etag=first.etag)
        publisher.publish()
        newer = await fetcher.get(publisher.uri, limit=100_000, etag=first.etag)

    assert (again.not_modified, newer.not_modified) == (True, False)


async def test_a_fast_forward_is_recovered_from_by_a_revocation(
    publisher: ManifestSimulator,
) -> None:
    """Whoever had as many keys as must sign could make the version as high as they liked."""
    client = Client(publisher)
    publisher.publish(version=2**53 - 1)
    await client.refresh()
    for key in publisher.manifest_keys[: publisher.threshold]:
        publisher.revoke(key)
    publisher.publish(version=3)

    assert (await client.refresh()).manifest.version == 3
