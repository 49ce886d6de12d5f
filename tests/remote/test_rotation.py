"""Trust roots follow each other, each signed by enough of the old keys and of the new ones.

The table of cases is that of the TUF project's conformance suite, key rotations of the root.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from oneiric.documents import canonical
from oneiric.errors import JSONValue, OneiricError
from oneiric.remote.envelope import TRUST, Envelope, Signature
from oneiric.remote.security import PrivateKey
from oneiric.remote.trust import TrustRoot
from oneiric.remote.verify import verify
from tests.remote.publishing import LATER, NOW, manifest, root, signed, trust

K = [PrivateKey(bytes([number]) * 32) for number in range(11, 22)]
OLD, NEW = "under-signed", "under-signed"


@dataclass(frozen=True, slots=True)
class Root:
    """Which keys a root names, how many have to sign, and who did."""

    keys: Sequence[int]
    threshold: int
    signed_by: Sequence[int]

    def envelope(self, version: int, **fields: JSONValue) -> bytes:
        keys = [K[number] for number in self.keys]
        told = trust(version, roots=keys, manifests=K[-1:], thresholds=(self.threshold, 1))
        return signed(told | fields, *(K[number] for number in self.signed_by), kind=TRUST)


ROTATIONS = {
    "1-of-1, the same key": ([Root([0], 1, [0]), Root([0], 1, [0])], ""),
    "1-of-1 rotated": ([Root([0], 1, [0]), Root([1], 1, [0, 1])], ""),
    "1-of-1 rotated, signatures the other way round": (
        [Root([0], 1, [0]), Root([1], 1, [1, 0])],
        "",
    ),
    "1-of-1 rotated, not by the new key": ([Root([0], 1, [0]), Root([1], 1, [0])], NEW),
    "1-of-1 rotated, not by the old key": ([Root([0], 1, [0]), Root([1], 1, [1])], OLD),
    "1-of-1 rotated, by nobody": ([Root([0], 1, [0]), Root([1], 1, [])], OLD),
    "1-of-1 rotated, by strangers": ([Root([0], 1, [0]), Root([1], 1, [2, 3])], OLD),
    "1-of-1 rotated twice": (
        [Root([0], 1, [0]), Root([1], 1, [0, 1]), Root([2], 1, [1, 2])],
        "",
    ),
    "rotated back by a key that is the old one no more": (
        [Root([0], 1, [0]), Root([1], 1, [0, 1]), Root([0], 1, [0])],
        OLD,
    ),
    "3-of-5, the first three and the last three": (
        [Root([0, 1, 2, 3, 4], 3, [0, 1, 2]), Root([0, 1, 2, 3, 4], 3, [2, 3, 4])],
        "",
    ),
    "3-of-5, every second": (
        [Root([0, 1, 2, 3, 4], 3, [1, 2, 3]), Root([0, 1, 2, 3, 4], 3, [0, 2, 4])],
        "",
    ),
    "3-of-5, two only": (
        [Root([0, 1, 2, 3, 4], 3, [0, 1, 2]), Root([0, 1, 2, 3, 4], 3, [0, 4])],
        OLD,
    ),
    "3-of-5, one rotated, enough of both without it": (
        [Root([0, 1, 2, 3, 4], 3, [0, 1, 2]), Root([0, 1, 2, 3, 5], 3, [0, 1, 2])],
        "",
    ),
    "3-of-5, one rotated, by the old and the new one of it": (
        [Root([0, 1, 2, 3, 4], 3, [0, 1, 2]), Root([0, 1, 2, 3, 5], 3, [2, 3, 4, 5])],
        "",
    ),
    "3-of-5, one rotated, too few of the old": (
        [Root([0, 1, 2, 3, 4], 3, [0, 1, 2]), Root([0, 1, 2, 3, 5], 3, [2, 3, 5])],
        OLD,
    ),
    "3-of-5, one rotated, too few of the new": (
        [Root([0, 1, 2, 3, 4], 3, [0, 1, 2]), Root([0, 1, 2, 3, 5], 3, [2, 3, 4])],
        NEW,
    ),
    "3-of-5, all rotated at once": (
        [Root([0, 1, 2, 3, 4], 3, [0, 1, 2]), Root([5, 6, 7, 8, 9], 3, [0, 2, 4, 5, 7, 9])],
        "",
    ),
    "3-of-5, all rotated, not by the old": (
        [Root([0, 1, 2, 3, 4], 3, [0, 1, 2]), Root([5, 6, 7, 8, 9], 3, [5, 6, 7, 8, 9])],
        OLD,
    ),
    "3-of-5, all rotated, not by the new": (
        [Root([0, 1, 2, 3, 4], 3, [0, 1, 2]), Root([5, 6, 7, 8, 9], 3, [0, 1, 2, 3, 4])],
        NEW,
    ),
    "3-of-5, all rotated through an intermediate": (
        [
            Root([0, 1, 2, 3, 4], 3, [0, 2, 4]),
            Root([5, 6, 7, 8, 9], 3, [0, 2, 4, 5, 6, 7]),
            Root([5, 6, 7, 8, 9], 3, [7, 8, 9]),
        ],
        "",
    ),
    "threshold up, reached": ([Root([0, 1], 1, [0]), Root([0, 1], 2, [0, 1])], ""),
    "threshold up, the new one not reached": ([Root([0, 1], 1, [0]), Root([0, 1], 2, [0])], NEW),
    "threshold down, reached": (
        [Root([0, 1], 2, [0, 1]), Root([0, 1], 1, [0, 1]), Root([0, 1], 1, [1])],
        "",
    ),
    "threshold down, the old one not reached": (
        [Root([0, 1], 2, [0, 1]), Root([0, 1], 1, [0])],
        OLD,
    ),
    "unused signatures present": ([Root([0], 1, [0]), Root([1], 1, [4, 3, 1, 2, 0])], ""),
    "a key that was added signs for itself only": ([Root([0], 1, [0]), Root([0, 1], 1, [1])], OLD),
}


@pytest.mark.parametrize("name", ROTATIONS)
def test_promise_m3_rotation(name: str) -> None:
    """Both thresholds, the old root's and the new one's, have to be reached at each step."""
    (first, *others), code = ROTATIONS[name]
    present = TrustRoot.read(first.envelope(1), source="acme")
    found = ""
    try:
        for version, each in enumerate(others, start=2):
            present = present.advance(each.envelope(version), source="acme")
    except OneiricError as error:
        found = error.code
    assert found == code
    assert present.version == len(others) + (0 if code else 1)


FIRST = TrustRoot.read(Root([0], 1, [0]).envelope(4), source="acme")
NEXT = Root([1], 1, [0, 1])


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (NEXT.envelope(6), "rotation"),
        (NEXT.envelope(2**53 - 1), "rotation"),
        (NEXT.envelope(4), "rotation"),
        (NEXT.envelope(3), "rotation"),
        (NEXT.envelope(5, name="other"), "rotation"),
        (NEXT.envelope(0), "invalid-trust"),
        (NEXT.envelope(2**53 - 1).replace(b"payload", b"Payload"), "invalid-envelope"),
        (canonical(trust(5)), "invalid-envelope"),
        (b"", "invalid-document"),
    ],
    ids=[
        "version-skipped",
        "highest-version",
        "same-version",
        "older-version",
        "other-name",
        "version-0",
        "no-payload",
        "bare",
        "empty",
    ],
)
def test_promise_m3_what_does_not_follow(data: bytes, code: str) -> None:
    """A root is followed by the next version of the same name, and by nothing else."""
    with pytest.raises(OneiricError) as caught:
        FIRST.advance(data, source="acme")
    assert caught.value.code == code


def test_promise_m3_an_expired_root_may_be_passed_but_not_used() -> None:
    """Whoever was away for long comes over roots that have expired; the last one has to last."""
    old: dict[str, JSONValue] = {
        "issued": "2020-01-01T00:00:00Z",
        "expires": "2020-02-01T00:00:00Z",
    }
    first = TrustRoot.read(Root([0], 1, [0]).envelope(1, **old), source="acme")
    second = first.advance(NEXT.envelope(2, **old), source="acme")
    last = second.advance(Root([1], 1, [1]).envelope(3), source="acme")
    data = signed(manifest(), K[-1])

    assert verify(data, source="acme", root=last, now=NOW).manifest.version == 1
    for expired in (first, second):
        with pytest.raises(OneiricError) as caught:
            verify(data, source="acme", root=expired, now=NOW)
        assert caught.value.code == "expired"


def test_promise_m3_a_root_of_the_future_is_not_used() -> None:
    """The clock of this machine may be wrong; until somebody looked, nothing is trusted."""
    with pytest.raises(OneiricError) as caught:
        FIRST.current(NOW - timedelta(days=2), source="acme")
    assert caught.value.code == "issued-in-future"
    with pytest.raises(OneiricError) as caught:
        FIRST.current(LATER, source="acme")
    assert caught.value.code == "expired"


def test_promise_m3_a_key_that_was_taken_is_replaced_and_revoked() -> None:
    """After the rotation the thief signs neither manifests nor roots, though a role names it."""
    stolen, offline, fresh = K[0], K[1], K[2]
    before = root(offline, told=trust(roots=(offline,), manifests=(stolen, K[3])))
    theirs = signed(manifest(), stolen)
    assert verify(theirs, source="acme", root=before, now=NOW).signers == (stolen.public.id,)

    told = trust(2, roots=(offline, stolen), manifests=(fresh, stolen), revoked=[stolen.public.id])
    after = before.advance(signed(told, offline, kind=TRUST), source="acme")

    with pytest.raises(OneiricError) as caught:
        verify(theirs, source="acme", root=after, now=NOW)
    assert caught.value.code == "under-signed"
    assert caught.value.details()["revoked"] == [stolen.public.id]
    with pytest.raises(OneiricError) as caught:
        after.advance(signed(trust(3, roots=(stolen,)), stolen, kind=TRUST), source="acme")
    assert caught.value.code == "under-signed"
    both = signed(manifest(), stolen, fresh)
    assert verify(both, source="acme", root=after, now=NOW).signers == (fresh.public.id,)


def test_promise_m3_a_pinned_root_is_signed_by_itself() -> None:
    """A root that too few of its own keys signed pins nothing."""
    for made in (Root([0], 1, []), Root([0], 1, [1]), Root([0, 1], 2, [0])):
        with pytest.raises(OneiricError) as caught:
            TrustRoot.read(made.envelope(1), source="acme")
        assert caught.value.code == "under-signed"


def test_promise_m3_a_signature_counts_once_for_the_root_too() -> None:
    """Threshold two is not reached by one key that signed twice."""
    envelope = Envelope.parse(Root([0, 1], 2, [0]).envelope(1))
    twice: tuple[Signature, ...] = envelope.signatures * 2
    with pytest.raises(OneiricError) as caught:
        TrustRoot.read(replace(envelope, signatures=twice).as_bytes(), source="acme")
    assert caught.value.code == "under-signed"


# what a trust root or a manifest says of itself

HEADS: dict[str, dict[str, JSONValue]] = {
    "version-0": {"version": 0},
    "version-below-0": {"version": -1},
    "version-text": {"version": "1"},
    "version-true": {"version": True},
    "version-fraction": {"version": 1.5},
    "version-null": {"version": None},
    "version-list": {"version": [1]},
    "expires-no-date": {"expires": "soon"},
    "expires-date-alone": {"expires": "2026-12-20"},
    "expires-no-zone": {"expires": "2026-12-20T00:00:00"},
    "expires-no-such-day": {"expires": "2026-02-30T00:00:00Z"},
    "expires-week": {"expires": "2026-W51-1T00:00:00Z"},
    "expires-compact": {"expires": "20261220T000000Z"},
    "expires-other-digits": {"expires": "\uff12\uff10\uff12\uff16-12-20T00:00:00Z"},
    "expires-number": {"expires": 1797724800},
    "expires-beyond-9999": {"expires": "9999-12-31T23:59:59-23:59"},
    "issued-before-1": {"issued": "0001-01-01T00:00:00+23:59"},
    "expires-before-issued": {"expires": "2020-01-01T00:00:00Z"},
    "expires-null": {"expires": None},
    "name-no-name": {"name": "../acme"},
    "name-empty": {"name": ""},
    "name-list": {"name": ["acme"]},
    "schema-other": {"schema": "oneiric.manifest/1"},
    "unknown-field": {"more": 1},
}


@pytest.mark.parametrize("fields", HEADS.values(), ids=HEADS)
def test_promise_m2_metadata_that_cannot_be(fields: dict[str, JSONValue]) -> None:
    """Neither a manifest nor a trust root is guessed at, and each says which field is wrong."""
    with pytest.raises(OneiricError) as of_root:
        root(told=trust() | fields)
    with pytest.raises(OneiricError) as of_manifest:
        verify(signed(manifest() | fields, K[0]), source="acme", root=_trusting(K[0]), now=NOW)
    assert (of_root.value.code, of_manifest.value.code) == ("invalid-trust", "invalid-manifest")
    for caught in (of_root, of_manifest):
        (problem,) = caught.value.problems  # type: ignore[attr-defined]
        assert problem.key == next(iter(fields))


@pytest.mark.parametrize("name", ["schema", "name", "version", "issued", "expires"])
def test_promise_m2_metadata_that_is_not_there(name: str) -> None:
    """Nothing of it has a default: version and expiry are what was signed."""
    told, keys = manifest(), trust()
    del told[name], keys[name]
    with pytest.raises(OneiricError) as caught:
        verify(signed(told, K[0]), source="acme", root=_trusting(K[0]), now=NOW)
    assert caught.value.code == "invalid-manifest"
    with pytest.raises(OneiricError) as caught:
        root(told=keys)
    assert caught.value.code == "invalid-trust"


def _trusting(key: PrivateKey) -> TrustRoot:
    return root(key, told=trust(roots=(key,), manifests=(key,)))


def _roles(**manifests: JSONValue) -> dict[str, JSONValue]:
    usual = trust()["roles"]
    assert isinstance(usual, dict)
    return {"roles": {**usual, "manifest": {**usual["manifest"], **manifests}}}


_OWN = root()
_ID = next(iter(_OWN.keys))
_PUBLIC = _OWN.keys[_ID].public
ROOTS: dict[str, tuple[dict[str, JSONValue], str]] = {
    "threshold-0": (_roles(threshold=0), "roles.manifest.threshold"),
    "threshold-below-0": (_roles(threshold=-1), "roles.manifest.threshold"),
    "threshold-text": (_roles(threshold="1"), "roles.manifest.threshold"),
    "threshold-true": (_roles(threshold=True), "roles.manifest.threshold"),
    "threshold-beyond-keys": (_roles(threshold=2), "roles.manifest.threshold"),
    "threshold-beyond-different-keys": (
        _roles(keys=[_ID, _ID], threshold=2),
        "roles.manifest.threshold",
    ),
    "keys-of-a-role-empty": (_roles(keys=[]), "roles.manifest.threshold"),
    "key-of-a-role-unknown": (_roles(keys=[_ID, "0" * 64]), "roles.manifest.keys"),
    "key-id-of-another": (
        {"keys": {_ID: {"public": K[0].public.text}}},
        f"keys.{_ID}",
    ),
    "key-id-in-capitals": (
        {"keys": {_ID: {"public": _PUBLIC}, _ID.upper(): {"public": _PUBLIC}}},
        f"keys.{_ID.upper()}",
    ),
    "key-no-key": ({"keys": {_ID: {"public": "zzz"}}}, f"keys.{_ID}.public"),
    "key-of-another-kind": (
        {"keys": {_ID: {"public": _PUBLIC, "algorithm": "rsa"}}},
        f"keys.{_ID}.algorithm",
    ),
    "prefix-no-package": (
        {"keys": {_ID: {"public": _PUBLIC, "factories": ["acme."]}}},
        f"keys.{_ID}.factories.0",
    ),
    "prefix-empty": (
        {"keys": {_ID: {"public": _PUBLIC, "factories": [""]}}},
        f"keys.{_ID}.factories.0",
    ),
    "host-with-scheme": (
        {"keys": {_ID: {"public": _PUBLIC, "hosts": ["https://a.example"]}}},
        f"keys.{_ID}.hosts.0",
    ),
    "host-with-somebody": (
        {"keys": {_ID: {"public": _PUBLIC, "hosts": ["me@a.example"]}}},
        f"keys.{_ID}.hosts.0",
    ),
    "host-pattern-port": (
        {"keys": {_ID: {"public": _PUBLIC, "hosts": ["a.example:99999"]}}},
        f"keys.{_ID}.hosts.0",
    ),
    "role-missing": ({"roles": {"root": {"keys": [_ID]}}}, "roles.manifest"),
    "role-unknown": ({"roles": {**_roles()["roles"], "targets": {"keys": []}}}, "roles.targets"),  # type: ignore[dict-item]
    "every-key-revoked": ({"revoked": [_ID]}, "roles.root.threshold"),
}


@pytest.mark.parametrize(("fields", "key"), ROOTS.values(), ids=ROOTS)
def test_promise_m3_a_root_that_contradicts_itself(fields: dict[str, JSONValue], key: str) -> None:
    """A threshold nobody can reach, or a key under another's name, is told with its place."""
    with pytest.raises(OneiricError) as caught:
        root(told=trust() | fields)
    assert caught.value.code == "invalid-trust"
    assert key in {problem.key for problem in caught.value.problems}  # type: ignore[attr-defined]
