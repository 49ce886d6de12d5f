"""Pack, sign, verify, inspect and compare: what is published is what was meant, and is taken."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from pathlib import Path

import pytest

from oneiric.documents import canonical, parse
from oneiric.errors import InvalidError, InvalidPathError
from oneiric.remote.envelope import MANIFEST, Envelope
from oneiric.remote.errors import InvalidManifestError, TrustError
from oneiric.runtime.manifest_answers import FieldChange
from oneiric.runtime.manifest_desk import lasting
from oneiric.runtime.trust_desk import RoleChange, Rotation
from tests.runtime.publishing import ALICE, BOB, CAROL, MALLORY, NOW, YAML, later, publisher

DATED = YAML.replace(
    "version: 7\n", "version: 7\nissued: 2026-11-19T00:00:00Z\nexpires: 2026-12-24T00:00:00Z\n"
)


def test_a_packed_manifest_is_canonical_and_complete(tmp_path: Path) -> None:
    """Times are filled in, to the second; nothing else is added to what the publisher says."""
    maker = publisher(tmp_path)

    found = maker.manifests.pack(maker.write(), output=tmp_path / "build" / "deep" / "m.json")

    data = (tmp_path / "build" / "deep" / "m.json").read_bytes()
    assert data == found.data == canonical(json.loads(data))
    assert json.loads(data) == {
        "schema": "oneiric.manifest/2",
        "name": "acme",
        "version": 7,
        "issued": "2026-11-20T12:00:30Z",
        "expires": "2026-12-20T12:00:30Z",
        "entries": [
            {
                "domain": "adapter",
                "key": "cache",
                "provider": "acme",
                "factory": "acme.cache:Cache",
                "owner": "me",
                "license": "MIT",
            }
        ],
    }
    assert found.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_the_same_manifest_gives_the_same_bytes_in_every_language(tmp_path: Path) -> None:
    """At any time, when it says its own times; packing what is packed changes nothing."""
    texts = {
        "m.yaml": DATED,
        "m.json": json.dumps(parse(DATED.encode(), "yaml"), indent=3),
        "m.toml": (
            'schema = "oneiric.manifest/2"\nname = "acme"\nversion = 7\n'
            "issued = 2026-11-19T01:00:00+01:00\nexpires = 2026-12-24 00:00:00.000Z\n"
            '[[entries]]\ndomain = "adapter"\nkey = "cache"\nprovider = "acme"\n'
            'factory = "acme.cache:Cache"\nowner = "me"\nlicense = "MIT"\n'
        ),
    }
    packed = set()
    for day, (name, text) in enumerate(texts.items()):
        maker = publisher(tmp_path, later(day))
        first = maker.manifests.pack(maker.write(text, name), output=tmp_path / "out.json")
        again = maker.manifests.pack(tmp_path / "out.json")
        packed |= {first.data, again.data}

    assert len(packed) == 1


@pytest.mark.parametrize("text", [YAML, DATED], ids=["undated", "dated"])
@pytest.mark.parametrize("lasts", [None, timedelta(days=3)], ids=["default", "expires-in"])
@pytest.mark.parametrize("is_packed", [False, True], ids=["source", "packed"])
def test_defect_oneiric_s4_what_sign_writes_verifies(
    text: str, lasts: timedelta | None, is_packed: bool, tmp_path: Path
) -> None:
    """With its own times, with the default and with --expires-in; from source and from packed."""
    maker = publisher(tmp_path)
    source = maker.write(text)
    if is_packed:
        maker.manifests.pack(source, output=tmp_path / "packed.json")
        source = tmp_path / "packed.json"

    maker.manifests.sign(source, [ALICE], output=tmp_path / "signed.json", lasts=lasts)

    found = maker.manifests.verify(tmp_path / "signed.json", trust=maker.root(ALICE))
    assert found.signers == (ALICE.public.id,)
    if lasts:
        assert found.manifest.head.expires == NOW + lasts


def test_defect_oneiric_s5_packing_a_signed_manifest_changes_no_byte(tmp_path: Path) -> None:
    """So its signature goes on to verify; and nothing can be asked that would break it."""
    maker = publisher(tmp_path)
    before = maker.signed(ALICE).read_bytes()

    found = maker.manifests.pack(tmp_path / "manifest.json", output=tmp_path / "again.json")

    assert (tmp_path / "again.json").read_bytes() == before
    assert found.signers == (ALICE.public.id,)
    assert maker.manifests.verify(tmp_path / "again.json", trust=maker.root(ALICE)).signers
    with pytest.raises(InvalidError, match="it is signed"):
        maker.manifests.pack(tmp_path / "manifest.json", lasts=timedelta(days=1))
    with pytest.raises(InvalidError, match="it is signed"):
        maker.manifests.pack(tmp_path / "manifest.json", version=8)


def test_defect_oneiric_s5_what_is_signed_is_canonical_and_has_no_defaults(tmp_path: Path) -> None:
    """The payload is exactly what `pack` would have written."""
    maker = publisher(tmp_path)
    packed = maker.manifests.pack(maker.write()).data

    envelope = Envelope.parse(maker.signed(ALICE).read_bytes())

    assert (envelope.payload, envelope.payload_type) == (packed, MANIFEST)
    assert canonical(json.loads(packed)) == packed


@pytest.mark.parametrize(
    "issued",
    ["2026-11-19T00:00:00Z", "'2026-11-19T00:00:00Z'", "2026-11-19 00:00:00Z"],
)
def test_defect_oneiric_s8_unquoted_timestamps_of_yaml_are_signed(
    issued: str, tmp_path: Path
) -> None:
    """They are text here, whatever YAML makes of them elsewhere."""
    maker = publisher(tmp_path)
    text = DATED.replace("2026-11-19T00:00:00Z", issued)

    found = maker.manifests.verify(maker.signed(ALICE, text=text), trust=maker.root(ALICE))

    assert f"{found.manifest.head.issued:%Y-%m-%d}" == "2026-11-19"


@pytest.mark.parametrize("issued", ["2026-11-19", "20261119T000000Z", "2026-W47-4T00:00:00Z", "1"])
def test_a_time_that_is_not_rfc_3339_is_refused(issued: str, tmp_path: Path) -> None:
    """Others would read it in another way, or not at all."""
    maker = publisher(tmp_path)

    with pytest.raises(InvalidManifestError) as caught:
        maker.manifests.pack(maker.write(DATED.replace("2026-11-19T00:00:00Z", issued)))

    (problem,) = caught.value.problems
    assert (problem.key, problem.origin) == ("issued", f"{tmp_path}/manifest.yaml:4")


def test_several_keys_sign_and_more_can_be_added_elsewhere(tmp_path: Path) -> None:
    """The signed bytes stay the same; a key that signs twice counts once."""
    maker = publisher(tmp_path)
    path, root = maker.signed(ALICE, BOB), maker.root(ALICE, BOB, CAROL, threshold=3)
    with pytest.raises(TrustError) as caught:
        maker.manifests.verify(path, trust=root)
    before = Envelope.parse(path.read_bytes())

    maker.manifests.sign(path, [CAROL, ALICE], append=True, output=path)

    after = Envelope.parse(path.read_bytes())
    assert caught.value.code == "under-signed"
    assert after.payload == before.payload
    assert len(after.signatures) == 3
    found = maker.manifests.verify(path, trust=root)
    assert set(found.signers) == {key.public.id for key in (ALICE, BOB, CAROL)}


def test_signing_says_what_it_cannot_do(tmp_path: Path) -> None:
    """Twice, appending to nothing, without a key, what is over, what is yet to come."""
    maker = publisher(tmp_path)
    source, signed = maker.write(), maker.signed(ALICE)
    desk = maker.manifests

    with pytest.raises(InvalidError, match="signed already"):
        desk.sign(signed, [BOB])
    with pytest.raises(InvalidError, match="not signed yet"):
        desk.sign(source, [BOB], append=True)
    with pytest.raises(InvalidError, match="needs a key"):
        desk.sign(source, [])
    for text, code in (
        (DATED.replace("2026-12-24", "2026-11-20"), "expired"),
        (DATED.replace("2026-11-19", "2026-11-22"), "issued-in-future"),
    ):
        with pytest.raises(TrustError) as caught:
            desk.sign(maker.write(text), [ALICE])
        assert caught.value.code == code


def test_a_version_can_be_told_when_packing(tmp_path: Path) -> None:
    """As a build does that counts."""
    maker = publisher(tmp_path)

    found = maker.manifests.sign(maker.write(), [ALICE], output=tmp_path / "m.json", version=12)

    assert found.manifest.version == 12
    assert maker.manifests.inspect(tmp_path / "m.json").manifest.version == 12


def test_everything_that_is_wrong_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    """Head and entries; nothing is written, and what was there stays."""
    maker = publisher(tmp_path)
    out = tmp_path / "out.json"
    out.write_bytes(b"kept")
    text = YAML.replace("version: 7", "version: seven").replace("owner: me", "ownr: me")
    source = maker.write(text.replace("factory: acme.cache:Cache", "factory: nothing"))

    with pytest.raises(InvalidManifestError) as caught:
        maker.manifests.pack(source, output=out)

    assert [(each.key, each.origin.rpartition(":")[2]) for each in caught.value.problems] == [
        ("version", "3"),
        ("entries.0.ownr", "9"),
        ("entries.0.factory", "8"),
    ]
    assert caught.value.problems[1].what == "unknown key; did you mean owner?"
    assert out.read_bytes() == b"kept"


def test_an_artifact_may_be_named_by_its_path(tmp_path: Path) -> None:
    """Digest and length are those of the file, seen from the manifest; the address is as said."""
    maker = publisher(tmp_path / "from")
    wheel = maker.write("wheel", "dist/a.whl").read_bytes()
    uri = "https://cdn.example.org/a.whl"
    text = f"{YAML}    artifact: {{path: dist/a.whl, uri: {uri}, x-of: me}}\n"

    found = maker.manifests.pack(maker.write(text))

    assert json.loads(found.data)["entries"][0]["artifact"] == {
        "uri": uri,
        "sha256": hashlib.sha256(wheel).hexdigest(),
        "length": len(wheel),
        "x-of": "me",
    }


@pytest.mark.parametrize(
    ("fields", "problems"),
    [
        ("path: gone.whl, uri: a", ["path: no file"]),
        ("path: 3, uri: a", ["path: it is no text"]),
        ("path: a.whl, uri: a, length: 9", ["length: the file has another"]),
        (f"path: a.whl, uri: a, sha256: {'a' * 64}", ["sha256: the file has another"]),
        ("path: a.whl", ["it is required"]),
        ("uri: a", ["it is required", "it is required"]),
    ],
)
def test_an_artifact_that_does_not_fit_is_a_problem_at_its_line(
    fields: str, problems: list[str], tmp_path: Path
) -> None:
    """A missing file, a wrong digest, a missing address."""
    maker = publisher(tmp_path)
    maker.write("wheel", "a.whl")
    source = maker.write(f"{YAML}    artifact: {{{fields}}}\n")

    with pytest.raises(InvalidManifestError) as caught:
        maker.manifests.pack(source)

    assert [
        each.what[: len(what)] for each, what in zip(caught.value.problems, problems, strict=True)
    ] == problems
    assert {each.origin for each in caught.value.problems} == {f"{source}:11"}


def test_a_verification_tells_signers_times_and_quarantine(tmp_path: Path) -> None:
    """A factory that no signer may name is in quarantine, the rest serves."""
    maker = publisher(tmp_path)
    other = YAML.partition("entries:\n")[2].replace("acme", "evil").replace("cache:", "cold:")
    path = maker.signed(ALICE, text=YAML + other.replace("key: cache", "key: cold"))

    found = maker.manifests.verify(path, trust=maker.root(ALICE))

    assert (found.signers, found.threshold, found.root_version) == ((ALICE.public.id,), 1, 1)
    assert [each.offer for each in found.quarantined] == ["adapter:cold@evil"]
    assert len(found.manifest.entries) == 2


@pytest.mark.parametrize(
    ("sign", "days", "code"),
    [(MALLORY, 0, "under-signed"), (ALICE, 31, "expired"), (ALICE, 400, "expired")],
)
def test_what_is_not_to_be_trusted_is_refused_by_its_code(
    sign: object, days: int, code: str, tmp_path: Path
) -> None:
    """As a runtime would at that time."""
    maker = publisher(tmp_path)
    assert sign in (ALICE, MALLORY)
    path, root = maker.signed(ALICE if sign is ALICE else MALLORY), maker.root(ALICE)

    with pytest.raises(TrustError) as caught:
        publisher(tmp_path, later(days)).manifests.verify(path, trust=root)

    assert (caught.value.code, caught.value.exit_code) == (code, 3)


@pytest.mark.parametrize("host", ["cdn.example.org", "cdn.example.org:443"])
def test_an_artifact_from_a_strange_host_is_refused(host: str, tmp_path: Path) -> None:
    """The whole manifest is, as a runtime does."""
    maker = publisher(tmp_path)
    maker.write("wheel", "a.whl")
    wheel = "    artifact: {path: a.whl, uri: 'https://CDN.example.org/a.whl'}\n"
    path = maker.signed(ALICE, text=YAML + wheel)
    change = Rotation(root=RoleChange(add=(ALICE,)), factories=("acme",), hosts=(host,))
    maker.trust.init(tmp_path / "with.json", name="acme", change=change)

    plain = maker.signed(ALICE, text=YAML + wheel.replace("CDN.example.org", "cdn.example.org:443"))
    assert maker.manifests.verify(plain, trust=tmp_path / "with.json").signers
    path = maker.signed(ALICE, text=YAML + wheel)
    assert maker.manifests.verify(path, trust=tmp_path / "with.json").signers
    with pytest.raises(TrustError) as caught:
        maker.manifests.verify(path, trust=maker.root(ALICE))
    assert caught.value.code == "artifact-host"


def test_an_inspection_shows_and_trusts_nothing(tmp_path: Path) -> None:
    """Whoever signed; also what cannot be followed."""
    maker = publisher(tmp_path)
    source = maker.write(f"{DATED}  - {{domain: adapter, key: k, provider: p, factory: none}}\n")

    unsigned = maker.manifests.inspect(source)
    signed = maker.manifests.inspect(maker.signed(MALLORY))

    assert (unsigned.is_envelope, unsigned.signers) == (False, ())
    assert [fault.offer for fault in unsigned.manifest.faults] == ["adapter:k@p"]
    assert (signed.is_envelope, signed.signers) == (True, (MALLORY.public.id,))
    assert signed.by_domain() == {"adapter": 1}
    assert signed.as_json()["trusted"] is False


def test_a_difference_is_told_field_by_field(tmp_path: Path) -> None:
    """A default that is written out is none, and so are times that were not given yet."""
    maker = publisher(tmp_path)
    old = f"{YAML}  - {{domain: task, key: gone, provider: p, factory: 'a:b'}}\n"
    new = YAML.replace("version: 7", "version: 8").replace("owner: me", "priority: 5")
    new += "    stack_level: 0\n  - {domain: task, key: new, provider: p, factory: 'a:b'}\n"

    found = maker.manifests.diff(maker.write(old, "a.yaml"), maker.signed(ALICE, text=new))
    same = maker.manifests.diff(tmp_path / "manifest.json", tmp_path / "manifest.yaml")

    assert found.head == (FieldChange("version", 7, 8),)
    assert (found.added, found.removed) == (("task:new@p",), ("task:gone@p",))
    assert found.changed == {
        "adapter:cache@acme": (FieldChange("owner", "me", None), FieldChange("priority", None, 5))
    }
    assert same.is_empty


def test_a_difference_of_the_publishers_own_fields_is_told_too(tmp_path: Path) -> None:
    """What begins with x- is signed like the rest; what only looks like it lies in other fields."""
    maker = publisher(tmp_path)
    more = "    capabilities: [kv, {{name: ttl, x-cap: {0}, security: {{x-sec: {0}}}}}]\n"
    more += "    metadata: {{x-not: {0}}}\n    x-entry: {{deep: {0}}}\n"
    own = (f"x-head: {number}\n{YAML}{more.format(number)}" for number in (1, 2))
    old, new = (maker.write(text, f"{at}.yaml") for at, text in enumerate(own))

    found = maker.manifests.diff(old, new)

    assert found.head == (FieldChange("x-head", 1, 2),)
    assert found.changed["adapter:cache@acme"] == (
        FieldChange("capabilities.1.security.x-sec", 1, 2),
        FieldChange("capabilities.1.x-cap", 1, 2),
        FieldChange("metadata", {"x-not": 1}, {"x-not": 2}),
        FieldChange("x-entry", {"deep": 1}, {"deep": 2}),
    )
    assert maker.manifests.diff(old, old).is_empty


def test_the_manifest_to_start_from_is_valid_and_packs(tmp_path: Path) -> None:
    """It has nothing to warn of; and it is not written over another."""
    maker = publisher(tmp_path)
    path = tmp_path / "new" / "shop.yaml"

    found = maker.manifests.init(path, name="shop")

    report = maker.manifests.lint(path, factories=["oneiric"])
    assert (report.errors, report.warnings) == ((), ())
    assert maker.manifests.pack(path).manifest.name == found.manifest.name == "shop"
    with pytest.raises(InvalidPathError):
        maker.manifests.init(path, name="other")
    assert maker.manifests.init(path, name="other", force=True).manifest.name == "other"
    with pytest.raises(InvalidError, match="is no name"):
        maker.manifests.init(tmp_path / "bad.yaml", name="a\nb: 1")


@pytest.mark.parametrize("text", ["", "30", "0d", "-1d", "1y", "1.5d", "9999999d"])
def test_a_length_of_time_has_a_unit(text: str) -> None:
    """Hours, days or weeks, one at least."""
    with pytest.raises(InvalidError, match="no length of time"):
        lasting(text)
