"""Only what enough trusted keys signed, of the right kind, name, time and version, is taken."""

import pytest

from oneiric.remote.envelope import TRUST
from oneiric.remote.errors import TrustError
from oneiric.remote.verify import Seen, VerifiedManifest, verify
from tests.remote.publishing import ALICE, LATER, MALLORY, NOW, manifest, root, signed, trust


def check(data: bytes, *, seen: Seen | None = None) -> VerifiedManifest:
    return verify(data, source="acme", root=root(), seen=seen, now=NOW)


def test_promise_m1_a_manifest_signed_by_a_trusted_key_is_taken() -> None:
    """The bytes received were signed by as many trusted keys as the root asks for."""
    found = check(signed(manifest(7), ALICE))

    assert found.signers == (ALICE.public.id,)
    assert found.source.signed
    assert found.seen == Seen(7, found.digest, (ALICE.public.id,))
    assert [entry.offer for entry in found.manifest.entries] == ["adapter:cache@acme"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (signed(manifest()), "under-signed"),
        (signed(manifest(), MALLORY), "under-signed"),
        (b'{"schema": "oneiric.manifest/2"}', "unsigned"),
        (signed(trust(), ALICE, kind=TRUST), "wrong-payload-type"),
        (signed(manifest(name="other"), ALICE), "wrong-manifest"),
        (
            signed(manifest(issued="2999-01-01T00:00:00Z", expires="2999-02-01T00:00:00Z"), ALICE),
            "issued-in-future",
        ),
        (
            signed(manifest(issued="2020-01-01T00:00:00Z", expires="2020-02-01T00:00:00Z"), ALICE),
            "expired",
        ),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_promise_m2_what_may_be_a_lie_is_refused_by_its_own_code(data: bytes, code: str) -> None:
    """Nobody has to read a sentence to know which attack was seen."""
    with pytest.raises(TrustError) as caught:
        check(data)

    assert caught.value.code == code


def test_promise_m2_an_older_version_or_other_content_is_refused() -> None:
    """The highest version that was seen binds whoever publishes."""
    seen = check(signed(manifest(7), ALICE)).seen

    for told, code in ((manifest(6), "rollback"), (manifest(7, entries=[]), "changed-content")):
        with pytest.raises(TrustError) as caught:
            check(signed(told, ALICE), seen=seen)
        assert caught.value.code == code
    assert check(signed(manifest(8), ALICE), seen=seen).manifest.version == 8


def test_an_expired_root_verifies_nothing() -> None:
    """Trust has its time too."""
    with pytest.raises(TrustError, match="trust root expired"):
        verify(signed(manifest(), ALICE), source="acme", root=root(), now=LATER)
