"""Entries become offers, or a reason is told for each that may not serve, and for it alone."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneiric import Candidate, NoCandidateError, Resolver
from oneiric.core.decision import Place
from oneiric.documents import canonical, parse
from oneiric.errors import JSONValue, OneiricError
from oneiric.remote.envelope import MANIFEST, Envelope
from oneiric.remote.errors import InvalidTrustError
from oneiric.remote.manifest import Entry, ManifestHead, read_manifest
from oneiric.remote.offers import Offers, offers_of
from oneiric.remote.security import PrivateKey, PublicKey
from oneiric.remote.trust import TrustRoot
from oneiric.remote.verify import unsigned, verify
from tests.remote.publishing import ALICE, BOB, CAROL, ENTRY, NOW, manifest, root, signed, trust

GOOD = {**ENTRY, "key": "good"}


def offered(
    *entries: JSONValue,
    allowed: tuple[str, ...] = ("oneiric", "acme"),
    trusted: TrustRoot | None = None,
    signers: tuple[PrivateKey, ...] = (ALICE,),
) -> Offers:
    """Return what a signed manifest of these entries offers."""
    data = signed(manifest(entries=list(entries)), *signers)
    found = verify(data, source="acme", root=trusted or root(), now=NOW)
    return offers_of(found, allowed=allowed)


def reasons(offers: Offers) -> dict[int, str]:
    return {each.index: each.reason for each in offers.quarantined}


def serving(offers: Offers) -> list[str]:
    return sorted(each.offer for each in offers.candidates if not each.unavailable)


# factories


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        ("os:system", "under no allowed prefix"),
        ("builtins:eval", "under no allowed prefix"),
        ("subprocess:Popen", "under no allowed prefix"),
        ("oneiric_evil.cache:Cache", "under no allowed prefix"),
        ("oneiricx:Cache", "under no allowed prefix"),
        ("oneiri:Cache", "under no allowed prefix"),
        ("Oneiric.clock:Clock", "under no allowed prefix"),
        ("\uff4fneiric.clock:Clock", "under no allowed prefix"),
        ("evil.oneiric:Clock", "under no allowed prefix"),
        ("oneiric:clock.os.system", "is not package.module:attr"),
        ("oneiric.clock:Clock()", "is not package.module:attr"),
        ("oneiric..os:system", "is not package.module:attr"),
        (".oneiric:Clock", "is not package.module:attr"),
        ("oneiric.:Clock", "is not package.module:attr"),
        ("oneiric/../os:system", "is not package.module:attr"),
        ("oneiric.clock", "is not package.module:attr"),
        ("oneiric.clock:", "is not package.module:attr"),
        (":system", "is not package.module:attr"),
        ("oneiric.clock:Clock:now", "is not package.module:attr"),
        ("oneiric.clock:Clock\n", "is not package.module:attr"),
        (" oneiric.clock:Clock", "is not package.module:attr"),
        ("oneiric.clock:Clock\u0000", "is not package.module:attr"),
        ("oneiric.clock:_private", "names something private"),
        ("oneiric.clock:__getattr__", "names something private"),
        ("oneiric._hidden:Clock", "names something private"),
        ("oneiric.__main__:main", "names something private"),
        ("", "is not package.module:attr"),
    ],
)
@pytest.mark.parametrize("field", ["factory", "settings_model"])
def test_promise_m7_factories_that_are_not_allowed(factory: str, reason: str, field: str) -> None:
    """Nothing is named but a public thing in an allowed package, whoever signed; others serve."""
    offers = offered({**ENTRY, field: factory}, GOOD)
    assert reason in reasons(offers)[0]
    assert serving(offers) == ["adapter:good@acme"]
    (rejected,) = (each for each in offers.candidates if each.unavailable)
    assert rejected.offer == "adapter:cache@acme"


TWO = trust(manifests=(ALICE, BOB, CAROL), thresholds=(1, 2))
_PREFIXES = {ALICE: ["oneiric", "acme.cache"], BOB: ["acme"], CAROL: ["oneiric.adapters", "acme"]}
for _key, _allowed in _PREFIXES.items():
    TWO["keys"][_key.public.id]["factories"] = _allowed  # type: ignore[index, call-overload]


@pytest.mark.parametrize(
    ("factory", "signers", "serves"),
    [
        ("oneiric.clock:Clock", (ALICE, BOB), False),
        ("oneiric.clock:Clock", (ALICE, CAROL), False),
        ("oneiric.adapters.cache.memory:MemoryCache", (ALICE, CAROL), True),
        ("oneiric.adapters.cache.memory:MemoryCache", (ALICE, BOB), False),
        ("oneiric.adapters_evil:MemoryCache", (ALICE, CAROL), False),
        ("acme.cache.a:B", (ALICE, BOB), True),
        ("acme.cached:B", (ALICE, BOB), False),
        ("acme.x:B", (BOB, CAROL), True),
        ("acme.x:B", (ALICE, BOB, CAROL), True),
        ("acme:B", (ALICE, BOB), False),
    ],
)
def test_promise_m7_as_many_signers_may_name_a_factory_as_have_to_sign(
    factory: str, signers: tuple[PrivateKey, ...], serves: bool
) -> None:
    """One taken key does not open the packages of another one: each vouches for its own."""
    offers = offered({**ENTRY, "factory": factory}, trusted=root(told=TWO), signers=signers)
    assert bool(serving(offers)) is serves
    if not serves:
        assert "enough of the signers" in reasons(offers)[0]


def test_promise_m7_the_signers_do_not_widen_what_the_runtime_allows() -> None:
    """Both rules hold, and a key without prefixes may name nothing."""
    assert not serving(offered(ENTRY, allowed=("acme",)))
    assert not serving(offered(ENTRY, allowed=()))
    assert serving(offered(ENTRY, allowed=("oneiric.adapters",)))
    told = trust()
    told["keys"][ALICE.public.id]["factories"] = []  # type: ignore[index, call-overload]
    assert not serving(offered(ENTRY, trusted=root(told=told)))


# one faulty entry never stops another

FAULTY: Mapping[str, JSONValue] = {
    "null": None,
    "list": [],
    "text": "adapter:cache@acme",
    "empty": {},
    "unknown field": {**ENTRY, "prioritty": 1},
    "unknown domain": {**ENTRY, "domain": "adaptor"},
    "domain no text": {**ENTRY, "domain": ["adapter"]},
    "key no name": {**ENTRY, "key": "../../x"},
    "provider empty": {**ENTRY, "provider": ""},
    "priority beyond": {**ENTRY, "priority": 1001},
    "priority true": {**ENTRY, "priority": True},
    "requires no reference": {**ENTRY, "requires": {"log": "logger"}},
    "conflicts with nothing": {**ENTRY, "conflicts_with": ["adaptor:x"]},
    "python": {**ENTRY, "python_version": "3.11+"},
    "platform": {**ENTRY, "os_platform": ["../linux"]},
    "capability": {**ENTRY, "capabilities": [{"name": "a b"}]},
    "timeout": {**ENTRY, "timeout_seconds": 0},
    "artifact": {**ENTRY, "artifact": {"uri": "x"}},
    "long": {**ENTRY, "key": "k" * 100_000},
    "long reference": {**ENTRY, "requires": {"log": "n" * 100_000}},
    "many": {**ENTRY, **{f"unknown{number}": 1 for number in range(2000)}},
}


@pytest.mark.parametrize("entry", FAULTY.values(), ids=FAULTY)
def test_defect_oneiric_s15_a_faulty_entry_stops_no_other(entry: JSONValue) -> None:
    """It is told with its place and in words that are not as long as somebody liked."""
    offers = offered(GOOD, entry, {**GOOD, "key": "better"})
    assert serving(offers) == ["adapter:better@acme", "adapter:good@acme"]
    assert list(reasons(offers)) == [1]
    assert 0 < len(reasons(offers)[1]) < 1100


def test_two_entries_for_one_offer_are_faults_both() -> None:
    """Nobody is left to guess which of them was meant."""
    offers = offered(ENTRY, GOOD, {**ENTRY, "priority": 5}, ENTRY)
    assert serving(offers) == ["adapter:good@acme"]
    assert sorted(reasons(offers)) == [0, 2, 3]


def test_a_faulty_entry_of_the_same_name_stops_no_good_one() -> None:
    """What cannot be followed offers nothing, so there is nothing to choose between."""
    for entries in ([ENTRY, {**ENTRY, "prioritty": 1}], [{**ENTRY, "prioritty": 1}, ENTRY]):
        offers = offered(*entries)
        assert serving(offers) == ["adapter:cache@acme"]
        assert len(offers.candidates) == len(offers.quarantined) == 1


def test_a_number_of_zero_is_told_and_what_was_left_out_is_not() -> None:
    """A handler with the priority 0 does not take that of the offer."""
    (candidate,) = offered({**GOOD, "priority": 9, "event_priority": 0, "owner": ""}).candidates

    assert candidate.metadata == {"event_priority": 0}


def test_an_entry_in_quarantine_is_numbered_as_the_document_does() -> None:
    """Behind a faulty one too."""
    bad = {**ENTRY, "key": "bad", "factory": "os:system"}

    offers = offered({**ENTRY, "factory": "x"}, GOOD, bad)

    assert sorted(reasons(offers)) == [0, 2]


def test_offers_come_in_the_order_of_the_manifest() -> None:
    """Of two that are alike in all else the later one serves, as with any other source."""
    offers = offered(ENTRY, {**ENTRY, "provider": "later"})
    resolver = Resolver()
    resolver.replace_source(offers.candidates[0].source, offers.candidates)
    assert resolver.resolve("adapter:cache").provider == "later"


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-1e15, 1e15)  # beyond 2^53 canonical JSON writes integers, which are refused
    | st.text(max_size=20)
    | st.sampled_from(
        ["adapter", "event", "cache", "oneiric.clock:SystemClock", "x-y", "wheel", "kv", ">=3.11"]
    )
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8) | st.sampled_from(["name", "uri"]), inner, max_size=4)
    ),
    max_leaves=8,
)
NAMED = st.sampled_from([*Entry.model_fields, "x-own", "nme"])
ODD = st.dictionaries(NAMED, VALUES, max_size=12) | VALUES
ENTRIES = ODD | ODD.map(lambda odd: {**ENTRY, **odd} if isinstance(odd, dict) else odd)


@given(st.lists(ENTRIES, max_size=6), st.lists(st.integers(0, 6), max_size=2))
def test_promise_m4_any_entries_are_offers_or_reasons(odd: list[Any], good: list[int]) -> None:
    """However odd entries are, each is offered or refused, and the good ones among them serve."""
    told = list(odd)
    for number, place in enumerate(good):
        told.insert(place, {**ENTRY, "provider": f"good-{number}"})
    offers = offered(*told)

    assert {f"adapter:cache@good-{number}" for number in range(len(good))} <= set(serving(offers))
    assert len(serving(offers)) + len(offers.quarantined) == len(told)
    assert len({each.offer for each in offers.candidates}) == len(offers.candidates)
    for each in offers.quarantined:
        assert each.reason
        canonical(each.as_json())
    resolver = Resolver()
    for candidate in offers.candidates:
        resolver.register(candidate)
    for candidate in offers.candidates:
        standing = resolver.explain(candidate.ref).standing(candidate.provider)
        assert (standing.place is Place.REJECTED) >= bool(candidate.unavailable)


@given(st.dictionaries(st.sampled_from([*ManifestHead.model_fields, "schema", "entries"]), VALUES))
def test_any_head_is_read_or_refused(fields: dict[str, Any]) -> None:
    """Whatever stands where a manifest's fields stand, no other error than ours tells of it."""
    data = canonical({**manifest(), **fields})
    try:
        found = unsigned(data, "json", source="acme", now=NOW)
    except OneiricError:
        return
    offers_of(found, allowed=["oneiric"])


@given(
    st.dictionaries(st.sampled_from([*TrustRoot.model_fields, "schema"]), VALUES),
    st.dictionaries(st.sampled_from(["public", "factories", "hosts", "note"]), VALUES),
)
def test_any_trust_root_is_read_or_refused(fields: dict[str, Any], key: dict[str, Any]) -> None:
    """Whatever stands where a root's fields stand, no other error than ours tells of it."""
    told = trust()
    told["keys"][ALICE.public.id].update(key)  # type: ignore[index, call-overload, union-attr]
    try:
        read = TrustRoot.of({**told, **fields}, source="acme")
    except InvalidTrustError:
        return
    assert read.usable("root")


@given(st.binary(max_size=200), st.text(max_size=30), st.lists(st.integers(0, 3), max_size=4))
def test_any_envelope_is_read_as_it_was_written(
    payload: bytes, kind: str, signers: list[int]
) -> None:
    """Bytes, type and signatures come back as they were, and nothing else does."""
    envelope = Envelope(payload, kind)
    for number in signers:
        envelope = envelope.signed_by((ALICE, BOB, CAROL, PrivateKey(bytes(32)))[number])
    read = Envelope.parse(envelope.as_bytes())
    assert read == envelope
    assert len(read.signatures) == len(set(signers))
    assert json.loads(envelope.as_bytes()).keys() == {"payload", "payloadType", "signatures"}


@given(VALUES)
def test_whatever_is_parsed_has_canonical_bytes(value: Any) -> None:
    """So everything that was read can be packed, digested and read again."""
    data = json.dumps(value).encode()
    try:
        parsed = parse(data, "json")
    except OneiricError:
        return
    packed = canonical(parsed)
    assert canonical(parse(packed, "json")) == packed


# what was found in others


def test_defect_oneiric_s1_s2_a_source_with_keys_takes_nothing_unsigned() -> None:
    """A signature that was taken away, to raise a priority, takes the trust with it."""
    data = signed(manifest(), ALICE)
    payload = Envelope.parse(data).payload
    raised = payload.replace(b'"entries":[{', b'"entries":[{"priority":1000,')
    for bytes_ in (payload, raised, Envelope(raised, MANIFEST).as_bytes()):
        with pytest.raises(OneiricError) as caught:
            verify(bytes_, source="acme", root=root(), now=NOW)
        assert caught.value.code in {"unsigned", "under-signed"}


def test_defect_oneiric_s3_no_replay_and_no_signature_of_the_far_future() -> None:
    """An older manifest stays refused, and a date in 2999 does not keep one young for ever."""
    seen = verify(signed(manifest(2), ALICE), source="acme", root=root(), now=NOW).seen
    future = {"issued": "2999-01-01T00:00:00Z", "expires": "2999-01-02T00:00:00Z"}
    for told, code in ((manifest(1), "rollback"), (manifest(3) | future, "issued-in-future")):
        with pytest.raises(OneiricError) as caught:
            verify(signed(told, ALICE), source="acme", root=root(), seen=seen, now=NOW)
        assert caught.value.code == code


def test_defect_oneiric_s6_one_signature_listed_twice_is_one() -> None:
    """The threshold counts different keys."""
    envelope = Envelope.parse(signed(manifest(), ALICE))
    twice = Envelope(envelope.payload, MANIFEST, envelope.signatures * 2).as_bytes()
    with pytest.raises(OneiricError) as caught:
        verify(twice, source="acme", root=root(told=TWO), now=NOW)
    assert caught.value.code == "under-signed"


def test_defect_oneiric_s7_a_key_is_read_in_every_form_that_is_documented() -> None:
    """Raw bytes and SPKI, as base64, hexadecimal or PEM, are the same key."""
    raw = ALICE.public.raw
    spki = bytes.fromhex("302a300506032b6570032100") + raw
    lines = base64.encodebytes(spki).decode()
    pem = f"-----BEGIN PUBLIC KEY-----\n{lines}-----END PUBLIC KEY-----\n"
    texts = [base64.b64encode(raw).decode(), raw.hex(), base64.b64encode(spki).decode(), pem]
    assert {PublicKey.read(text).id for text in texts} == {ALICE.public.id}
    told = trust()
    told["keys"][ALICE.public.id]["public"] = texts[2]  # type: ignore[index, call-overload]
    found = verify(signed(manifest(), ALICE), source="acme", root=root(told=told), now=NOW)
    assert found.signers == (ALICE.public.id,)


def test_defect_oneiric_s8_a_time_without_quotes_is_a_time() -> None:
    """YAML and TOML have dates of their own; what is read from them has canonical bytes."""
    yaml = (
        b"schema: oneiric.manifest/2\nname: acme\nversion: 1\n"
        b"issued: 2026-11-19T12:00:00Z\nexpires: 2026-12-20 12:00:00+01:00\nentries: []\n"
    )
    toml = (
        b'schema = "oneiric.manifest/2"\nname = "acme"\nversion = 1\n'
        b"issued = 2026-11-19T12:00:00Z\nexpires = 2026-12-20T12:00:00+01:00\nentries = []\n"
    )
    packed = [canonical(parse(yaml, "yaml")), canonical(parse(toml, "toml"))]
    heads = [read_manifest(data).head for data in packed]
    assert heads[0] == heads[1] == read_manifest(yaml, "yaml").head
    assert heads[0].expires.isoformat() == "2026-12-20T11:00:00+00:00"


def test_defect_oneiric_s17_a_remote_entry_does_not_outrank_what_is_here() -> None:
    """Priority counts within a level, and a manifest that no stack order names is below all."""
    greedy = {**ENTRY, "key": "secrets", "priority": 1000, "stack_level": 100}
    offers = offered(greedy)
    resolver = Resolver()
    resolver.register(Candidate("adapter:secrets", "local", dict, priority=-1000))
    resolver.replace_source(offers.candidates[0].source, offers.candidates)
    assert resolver.resolve("adapter:secrets").provider == "local"


def test_defect_oneiric_s18_one_list_of_allowed_prefixes_for_every_source() -> None:
    """What users allow, a manifest may bring; what they do not, it may not."""
    own = {**ENTRY, "factory": "acme.cache:Cache"}
    told = trust()
    told["keys"][ALICE.public.id]["factories"] = ["acme"]  # type: ignore[index, call-overload]
    trusted = root(told=told)
    assert serving(offered(own, allowed=("oneiric", "acme"), trusted=trusted))
    assert not serving(offered(own, allowed=("oneiric",), trusted=trusted))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"python_version": "<3"}, "needs Python <3"),
        ({"os_platform": ["plan9"]}, "runs on plan9"),
        ({"requires": {"log": "service:log"}}, "service:log"),
        ({"conflicts_with": ["adapter:other"]}, "adapter:other"),
    ],
)
def test_defect_oneiric_s19_what_an_entry_needs_is_enforced(
    fields: dict[str, JSONValue], reason: str
) -> None:
    """An entry that does not fit this machine is rejected, and an explanation says why."""
    resolver = Resolver()
    resolver.register(Candidate("adapter:other", "here", dict))
    offers = offered({**ENTRY, **fields})
    resolver.replace_source(offers.candidates[0].source, offers.candidates)
    decision = resolver.explain("adapter:cache")
    with pytest.raises(NoCandidateError):
        resolver.resolve("adapter:cache")
    assert reason in decision.render()


def test_defect_oneiric_s19_what_holds_for_a_call_is_told_to_who_makes_it() -> None:
    """Limits and freedom from side effects travel with the offer."""
    (found,) = offered({**ENTRY, "timeout_seconds": 2.5, "side_effect_free": True}).candidates
    assert (found.metadata["timeout_seconds"], found.metadata["side_effect_free"]) == (2.5, True)
