"""What somebody between the publisher and us may try, each refused by its own code.

The names of the attacks are those of The Update Framework's specification, section 1.5.2.
"""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneiric.documents import canonical
from oneiric.errors import DocumentError, OneiricError
from oneiric.remote.envelope import MANIFEST, TRUST, Envelope, Signature
from oneiric.remote.security import PrivateKey, PublicKey
from oneiric.remote.trust import TrustRoot
from oneiric.remote.verify import Seen, VerifiedManifest, unsigned, verify
from tests.remote.publishing import (
    ALICE,
    BOB,
    CAROL,
    ENTRY,
    LATER,
    MALLORY,
    NOW,
    manifest,
    root,
    signed,
    trust,
)

ORDER = 2**252 + 27742317777372353535851937790883648493
LARGEST = 2**53 - 1
TWO_OF_THREE = root(told=trust(manifests=(ALICE, BOB, CAROL), thresholds=(1, 2)))


def check(
    data: bytes, *, trusted: TrustRoot | None = None, seen: Seen | None = None, now: datetime = NOW
) -> VerifiedManifest:
    return verify(data, source="acme", root=trusted or root(), seen=seen, now=now)


def refusal(
    data: bytes, *, trusted: TrustRoot | None = None, seen: Seen | None = None, now: datetime = NOW
) -> str:
    """Return the code of the refusal, and of a document's also the reason."""
    with pytest.raises(OneiricError) as caught:
        check(data, trusted=trusted, seen=seen, now=now)
    error = caught.value
    return f"{error.code} {error.reason}" if isinstance(error, DocumentError) else error.code


def sealed(payload: bytes, *keys: PrivateKey, kind: str = MANIFEST) -> bytes:
    """Return an envelope over these very bytes."""
    envelope = Envelope(payload, kind)
    for key in keys:
        envelope = envelope.signed_by(key)
    return envelope.as_bytes()


def with_signatures(*signatures: Signature, payload: bytes | None = None) -> bytes:
    """Return an envelope over the usual manifest with signatures of any kind."""
    told = canonical(manifest()) if payload is None else payload
    return Envelope(told, MANIFEST, signatures).as_bytes()


def signature(key: PrivateKey, *, told: object = None, kind: str = MANIFEST) -> Signature:
    """Return a key's signature over the usual manifest, or over another value or type."""
    payload = canonical(manifest() if told is None else told)  # type: ignore[arg-type]
    return Signature(key.public.id, key.sign(Envelope(payload, kind).pae))


# arbitrary installation


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (canonical(manifest()), "unsigned"),
        (json.dumps(manifest(), indent=2).encode(), "unsigned"),
        (b"schema: oneiric.manifest/2\n", "unsigned"),
        (with_signatures(), "under-signed"),
        (signed(manifest(), MALLORY), "under-signed"),
        (with_signatures(signature(ALICE, told=manifest(2))), "under-signed"),
        (with_signatures(signature(ALICE, kind=TRUST)), "under-signed"),
        (with_signatures(Signature(ALICE.public.id, ALICE.sign(canonical(manifest())))), "under"),
        (b'{"payload":"","payloadType":"x"}', "invalid-envelope"),
        (b'{"payload":"","payloadType":"x","signatures":{}}', "invalid-envelope"),
        (b'{"payload":"e30","payloadType":"x","signatures":[]}', "invalid-envelope"),
        (b'{"payload":"","payloadType":"x","signatures":[{}]}', "invalid-envelope"),
        (b'{"payload":"","payloadType":"x","signatures":[],"more":1}', "invalid-envelope"),
    ],
    ids=[
        "bare",
        "bare-lines",
        "bare-yaml",
        "no-signatures",
        "unknown-key",
        "signature-of-another-file",
        "signature-of-another-type",
        "signature-without-the-type",
        "without-signatures",
        "signatures-no-list",
        "payload-no-base64",
        "signature-empty",
        "unknown-field",
    ],
)
def test_promise_m2_arbitrary_installation(data: bytes, code: str) -> None:
    """Without enough trusted signatures over these very bytes nothing is taken."""
    assert refusal(data).startswith(code)


def test_promise_m2_arbitrary_installation_by_one_bit() -> None:
    """Whichever bit of an envelope is turned, it is refused or says exactly the same."""
    data = signed(manifest(entries=[]), ALICE)
    trusted = root()
    payload = Envelope.parse(data).payload
    for place in range(8 * len(data)):
        turned = bytearray(data)
        turned[place // 8] ^= 1 << place % 8
        try:
            check(bytes(turned), trusted=trusted)
        except OneiricError:
            continue
        assert Envelope.parse(bytes(turned)).payload == payload


@given(at=st.integers(0), drop=st.integers(0, 40), put=st.binary(max_size=40))
def test_promise_m2_arbitrary_installation_by_any_change(at: int, drop: int, put: bytes) -> None:
    """Whatever is cut from an envelope or put into it: it is refused or says the same."""
    data = signed(manifest(), ALICE)
    at %= len(data)
    changed = data[:at] + put + data[at + drop :]
    try:
        found = check(changed)
    except OneiricError:
        return
    assert found.digest == check(data).digest


@pytest.mark.parametrize("length", [0, 1, 32, 63, 65, 128, 1 << 20])
def test_promise_m2_a_signature_of_another_length(length: int) -> None:
    """The library raises another error for these than for wrong ones."""
    good = signature(ALICE)
    other = (good.sig * (length // 64 + 1))[:length]
    assert refusal(with_signatures(Signature(good.keyid, other))) == "under-signed"


def test_promise_m2_a_malleable_signature() -> None:
    """The same signature with the group's order added is another, and none."""
    good = signature(ALICE)
    number = int.from_bytes(good.sig[32:], "little")
    for times in (1, 2, 15):
        raised = (number + times * ORDER) % 2**256
        other = good.sig[:32] + raised.to_bytes(32, "little")
        assert refusal(with_signatures(Signature(good.keyid, other))) == "under-signed"


@pytest.mark.parametrize(
    "point",
    [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ],
)
def test_promise_m2_a_key_of_small_order(point: str) -> None:
    """Everybody could sign for such a key: S=1 and R=B fit the identity and any message."""
    key = PublicKey(bytes.fromhex(point))
    base = bytes.fromhex("58" + "66" * 31)
    one = (1).to_bytes(32, "little")
    weak = {key.id: {"public": key.text, "factories": ["oneiric"]}}
    told = trust() | {"keys": trust()["keys"] | weak}  # type: ignore[operator]
    told["roles"]["manifest"]["keys"] = [key.id]
    for forged in (base + one, key.raw + bytes(32), bytes(64)):
        data = with_signatures(Signature(key.id, forged))
        assert refusal(data, trusted=root(told=told)) == "under-signed"


def test_promise_m2_a_key_signs_for_itself_alone() -> None:
    """The key id beside a signature is said by whoever sends it, and decides nothing."""
    alice, bob, mallory = map(signature, (ALICE, BOB, MALLORY))
    lies = [
        with_signatures(alice, replace(alice, keyid=BOB.public.id)),
        with_signatures(alice, replace(mallory, keyid=BOB.public.id)),
        with_signatures(replace(alice, keyid=BOB.public.id), replace(bob, keyid=ALICE.public.id)),
        with_signatures(alice, replace(bob, keyid="")),
        with_signatures(alice, mallory),
    ]
    assert {refusal(data, trusted=TWO_OF_THREE) for data in lies} == {"under-signed"}


def test_promise_m2_a_key_counts_once() -> None:
    """However often a key signed, and under however many names, it is one."""
    alice = signature(ALICE)
    data = with_signatures(alice, alice, replace(alice, keyid=alice.keyid.upper()), alice)
    assert refusal(data, trusted=TWO_OF_THREE) == "under-signed"


def test_a_bad_signature_among_enough_good_ones_does_no_harm() -> None:
    """Good ones are not made worse by others; before or after them, of known keys or not."""
    alice, bob, carol = map(signature, (ALICE, BOB, CAROL))
    bad = replace(carol, sig=bytes(64))
    other = replace(alice, sig=bob.sig)
    data = with_signatures(bad, other, signature(MALLORY), alice, bob, Signature("", b""))
    assert check(data, trusted=TWO_OF_THREE).signers == (ALICE.public.id, BOB.public.id)


def test_promise_m2_more_signatures_than_anybody_needs() -> None:
    """Each of them would have to be tried."""
    assert refusal(with_signatures(*[signature(ALICE)] * 65)) == "invalid-envelope"


# rollback, and the same version with other content


def test_promise_m2_rollback() -> None:
    """Older versions stay refused, also where the newer one has expired meanwhile."""
    seen = check(signed(manifest(7), ALICE)).seen
    for version in (1, 6):
        assert refusal(signed(manifest(version), ALICE), seen=seen) == "rollback"
    later = LATER + timedelta(days=1)
    fresh = {"issued": "2026-12-01T00:00:00Z", "expires": "2027-12-01T00:00:00Z"}
    current = root(told=trust(expires="2028-01-01T00:00:00Z"))
    old = signed(manifest(6, **fresh), ALICE)
    assert refusal(old, trusted=current, seen=seen, now=later) == "rollback"


def test_promise_m2_the_same_version_with_other_content() -> None:
    """Only the very same payload may come again, whoever signed it and however it is packed."""
    data = signed(manifest(7), ALICE)
    seen = check(data).seen
    more = check(json.dumps(json.loads(data), indent=1).encode(), seen=seen)
    assert more.digest == seen.digest
    assert refusal(signed(manifest(7, description="x"), ALICE), seen=seen) == "changed-content"
    spaced = sealed(json.dumps(manifest(7)).encode(), ALICE)
    assert refusal(spaced, seen=seen) == "changed-content"


# freeze


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (LATER - timedelta(seconds=1), ""),
        (LATER, "expired"),
        (LATER + timedelta(days=999), "expired"),
        (NOW - timedelta(days=1, seconds=299), ""),
        (NOW - timedelta(days=1, seconds=301), "issued-in-future"),
        (NOW - timedelta(days=999), "issued-in-future"),
    ],
    ids=["last-second", "at-expiry", "long-after", "clocks-differ", "clock-back", "long-before"],
)
def test_promise_m2_freeze(now: datetime, code: str) -> None:
    """A manifest has its time; whoever keeps newer ones back wins nothing after it."""
    data = signed(manifest(), ALICE)
    told = trust(issued="2000-01-01T00:00:00Z", expires="2100-01-01T00:00:00Z")
    trusted = root(told=told)
    if code:
        assert refusal(data, trusted=trusted, now=now) == code
    else:
        assert check(data, trusted=trusted, now=now).manifest.version == 1


def test_promise_m2_freeze_is_no_way_around_the_trust_root() -> None:
    """A manifest that lasts longer than the root by which it is trusted is refused with it."""
    data = signed(manifest(expires="2100-01-01T00:00:00Z"), ALICE)
    assert refusal(data, now=LATER) == "expired"


# fast-forward


def test_promise_m2_fast_forward_and_recovery() -> None:
    """The highest version there is binds until the key that made it is replaced; then no more."""
    for beyond in (2**53, 2**63):
        payload = canonical(manifest()).replace(b'"version":1}', b'"version":%d}' % beyond)
        assert str(beyond).encode() in payload
        assert refusal(sealed(payload, ALICE)) == "invalid-document integer-too-large"
    before = root(CAROL, told=trust(roots=(CAROL,)))
    seen = check(signed(manifest(LARGEST), ALICE), trusted=before).seen
    assert refusal(signed(manifest(2), ALICE), trusted=before, seen=seen) == "rollback"

    told = trust(2, roots=(CAROL,), manifests=(BOB,))
    after = before.advance(signed(told, CAROL, kind=TRUST), source="acme")

    assert refusal(signed(manifest(LARGEST), ALICE), trusted=after, seen=seen) == "under-signed"
    assert check(signed(manifest(2), BOB), trusted=after, seen=seen).manifest.version == 2


def test_promise_m2_rollback_holds_while_too_few_keys_went_to_have_made_the_version() -> None:
    """Of two that had to sign one was retired: whoever had it could have made up nothing."""
    three = trust(roots=(CAROL,), manifests=(ALICE, BOB, CAROL), thresholds=(1, 2))
    before = root(CAROL, told=three)
    seen = check(signed(manifest(5), ALICE, BOB), trusted=before).seen
    one_less = trust(2, roots=(CAROL,), manifests=(BOB, CAROL), thresholds=(1, 2))
    after = before.advance(signed(one_less, CAROL, kind=TRUST), source="acme")
    assert refusal(signed(manifest(2), BOB, CAROL), trusted=after, seen=seen) == "rollback"

    two_less = trust(3, roots=(CAROL,), manifests=(CAROL, MALLORY), thresholds=(1, 2))
    later = after.advance(signed(two_less, CAROL, kind=TRUST), source="acme")
    assert (
        check(signed(manifest(2), CAROL, MALLORY), trusted=later, seen=seen).manifest.version == 2
    )


def test_promise_m2_rollback_holds_where_only_keys_are_added() -> None:
    """A rotation that takes no key away forgets nothing."""
    seen = check(signed(manifest(7), ALICE)).seen
    told = trust(2, manifests=(ALICE, BOB))
    after = root().advance(signed(told, ALICE, kind=TRUST), source="acme")
    assert refusal(signed(manifest(6), BOB), trusted=after, seen=seen) == "rollback"


# mix-and-match


@pytest.mark.parametrize(
    "artifact",
    [
        {"uri": "a.whl", "length": 3},
        {"uri": "a.whl", "sha256": "0" * 64},
        {"uri": "a.whl", "sha256": "zzz", "length": 3},
        {"uri": "a.whl", "sha256": "A" * 64, "length": 3},
        {"uri": "a.whl", "sha256": "0" * 64 + "\n", "length": 3},
        {"uri": "a.whl", "sha256": "0" * 64, "length": 0},
        {"uri": "a.whl", "sha256": "0" * 64, "length": True},
        {"uri": "a.whl", "sha256": "0" * 64, "length": 3, "kind": "sdist"},
        {"sha256": "0" * 64, "length": 3},
    ],
)
def test_promise_m2_mix_and_match(artifact: dict[str, object]) -> None:
    """An artifact is pinned by digest and length in the signed bytes, or its entry serves not."""
    entries = [{**ENTRY, "artifact": artifact}, {**ENTRY, "key": "other"}]
    found = check(signed(manifest(entries=entries), ALICE)).manifest  # type: ignore[arg-type]
    assert [entry.offer for entry in found.entries] == ["adapter:other@acme"]
    assert [fault.offer for fault in found.faults] == ["adapter:cache@acme"]


def test_promise_m2_two_mirrors_at_two_versions() -> None:
    """What one mirror gave is remembered against the other."""
    seen = check(signed(manifest(8), ALICE)).seen
    assert refusal(signed(manifest(7), ALICE), seen=seen) == "rollback"
    assert check(signed(manifest(8), ALICE), seen=seen).digest == seen.digest


# wrong software


def test_promise_m2_a_document_of_another_type() -> None:
    """A signed trust root is no manifest, and a signed manifest no trust root."""
    assert refusal(signed(trust(), ALICE, kind=TRUST)) == "wrong-payload-type"
    assert refusal(signed(manifest(), ALICE, kind="text/plain")) == "wrong-payload-type"
    for kind, told in ((MANIFEST, trust()), (MANIFEST, manifest()), ("", trust(2))):
        data = signed(told, ALICE, kind=kind)
        for read in (TrustRoot.read, root().advance):
            with pytest.raises(OneiricError) as caught:
                read(data, source="acme")
            assert caught.value.code == "wrong-payload-type"
    with pytest.raises(OneiricError) as caught:
        unsigned(signed(trust(), ALICE, kind=TRUST), "json", source="acme", now=NOW)
    assert caught.value.code == "wrong-payload-type"


def test_promise_m2_a_type_that_was_not_signed() -> None:
    """The type is among what is signed, so nobody can put another one over it."""
    envelope = Envelope.parse(signed(trust(), ALICE, kind=TRUST))
    assert refusal(replace(envelope, payload_type=MANIFEST).as_bytes()) == "under-signed"


def test_promise_m2_a_good_manifest_of_another_source() -> None:
    """One publisher's sources are not interchangeable."""
    assert refusal(signed(manifest(name="acme-beta"), ALICE)) == "wrong-manifest"


# what two readers could read in two ways, and what costs more than it weighs


def _twice(name: bytes) -> bytes:
    """Return the usual envelope with a field written twice."""
    data = signed(manifest(), ALICE).strip()
    return (
        data[:-1]
        + b',"'
        + name
        + b'":'
        + json.dumps(json.loads(data)[name.decode()]).encode()
        + b"}"
    )


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (_twice(b"payload"), "duplicate-key"),
        (_twice(b"payloadType"), "duplicate-key"),
        (_twice(b"signatures"), "duplicate-key"),
        (signed(manifest(), ALICE).replace(b'"keyid"', b'"sig":"","keyid"'), "duplicate-key"),
        (signed(manifest(), ALICE).decode().encode("utf-16"), "unsigned"),
        (signed(manifest(), ALICE).decode().encode("utf-8-sig"), "unsigned"),
        (b"[" * 100_000 + b'"payloadType"', "unsigned"),
        (b'{"payloadType":' + b"[" * 100_000, "too-many-values"),
        (b'{"payloadType":' + b"[" * 400 + b"]" * 400 + b"}", "too-deep"),
        (b'{"payloadType":[' + b"[],[],[]," * 100_000 + b"]}", "too-many-values"),
        (b'{"payloadType":NaN}', "not-finite"),
        (b'{"payloadType":1e400}', "not-finite"),
        (b'{"payloadType":' + b"9" * 5000 + b"}", "integer-too-large"),
        (b'{"payloadType":"\\ud800"}', "surrogate"),
        (b'{"payloadType":"\x00"}', "control-character"),
        (b'{"payloadType":"\xff"}', "not-utf-8"),
        (b'{"payloadType":"' + b"x" * (25 << 20) + b'"}', "too-large"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_promise_m2_an_envelope_that_is_no_strict_document(data: bytes, code: str) -> None:
    """None of these is guessed at, and none of them is a reader's own exception."""
    assert refusal(data) == (code if code == "unsigned" else f"invalid-document {code}")


USUAL = canonical(manifest())


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (USUAL.replace(b'"version":1', b'"version":1,"version":2'), "duplicate-key"),
        (USUAL.replace(b'"key":"cache"', b'"key":"cache","key":"cache"'), "duplicate-key"),
        (USUAL.replace(b'"version":1', b'"version":NaN'), "not-finite"),
        (USUAL.replace(b'"version":1', b'"x-a":-Infinity,"version":1'), "not-finite"),
        (USUAL.replace(b'"version":1', b'"x-a":1e400,"version":1'), "not-finite"),
        (USUAL.replace(b'"version":1', b'"x-a":9007199254740992,"version":1'), "integer-too-large"),
        (
            USUAL.replace(b'"version":1', b'"x-a":' + b"9" * 9999 + b',"version":1'),
            "integer-too-large",
        ),
        (USUAL.replace(b'"acme"', b'"ac\\udc00me"'), "surrogate"),
        (USUAL.replace(b'"version"', b'"\\ud800":1,"version"'), "surrogate"),
        (
            USUAL.replace(b'"version":1', b'"x-a":' + b"[" * 99 + b"]" * 99 + b',"version":1'),
            "too-deep",
        ),
        (USUAL.replace(b'"version":1', b'"x-a":' + b"[" * 9999 + b"]" * 9999), "too-deep"),
        (USUAL.replace(b'"version":1', b'"x-a":[' + b"0," * 2_000_000 + b"0]"), "too-many-values"),
        (USUAL.decode().encode("utf-16"), "not-utf-8"),
        (USUAL.decode().encode("utf-16-le"), "control-character"),
        (USUAL + USUAL, "syntax"),
        (USUAL + b"x", "syntax"),
        (b"schema: oneiric.manifest/2\nname: acme\n", "syntax"),
        (b" " * (16 << 20) + USUAL, "too-large"),
        (b"", "empty"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_promise_m2_a_signed_payload_that_is_no_strict_document(
    payload: bytes, reason: str
) -> None:
    """That somebody trusted signed it does not make it mean one thing."""
    assert refusal(sealed(payload, ALICE)) == f"invalid-document {reason}"


def test_promise_m2_nothing_is_read_before_it_is_trusted() -> None:
    """What strangers signed is not even parsed: it is refused for that, not for its form."""
    for payload in (b"", b"\xff", USUAL.replace(b'"version":1', b'"version":NaN')):
        assert refusal(sealed(payload, MALLORY)) == "under-signed"


@pytest.mark.parametrize("kind", ["json", "yaml", "toml"])
def test_defect_oneiric_s9_a_small_document_does_not_grow(kind: str) -> None:
    """Whatever was signed or not: cost is known before it is paid."""
    bombs = {
        "yaml": b"a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        + b"".join(
            b"%c: &%c [%s]\n" % (after, after, b",".join([b"*%c" % before] * 10))
            for before, after in zip(b"abcdefgh", b"bcdefghi", strict=True)
        ),
        "json": b'{"payloadType":[' + b"[]," * 3_000_000 + b"[]]}",
        "toml": b"a = " + b"[" * 100_000,
    }
    tracemalloc.start()
    try:
        with pytest.raises(DocumentError) as caught:
            unsigned(bombs[kind], kind, source="acme", now=NOW)  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.reason in {"too-many-aliases", "too-many-values", "too-deep"}
    assert peak < (4 << 20) + 8 * len(bombs[kind])
