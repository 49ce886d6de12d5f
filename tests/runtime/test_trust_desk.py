"""Trust roots are written, shown, replaced and signed step by step, into a chain clients take."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from oneiric.errors import InvalidError, InvalidPathError, NotFoundError
from oneiric.remote.errors import InvalidTrustError, TrustError
from oneiric.remote.trust import TrustRoot
from oneiric.runtime.trust_answers import Missing
from oneiric.runtime.trust_desk import RoleChange, Rotation
from tests.runtime.publishing import ALICE, BOB, CAROL, MALLORY, NOW, later, publisher

IDS = {key: key.public.id for key in (ALICE, BOB, CAROL, MALLORY)}


def root(path: Path) -> TrustRoot:
    """Return the root at *path*, which enough of its keys must have signed."""
    return TrustRoot.read(path.read_bytes(), source=str(path))


def test_the_first_root_signs_itself_and_may_vouch_for_what_was_said(tmp_path: Path) -> None:
    """Root keys sign manifests where no others are named; a year, unless told."""
    change = Rotation(
        root=RoleChange(add=(ALICE, BOB), threshold=2),
        manifest=RoleChange(add=(CAROL.public,)),
        factories=("acme", "acme_more"),
        hosts=("cdn.example.org",),
    )
    path = tmp_path / "deep" / "root.json"

    answer = publisher(tmp_path).trust.init(path, name="acme", change=change)

    found = root(path)
    assert answer.is_complete
    assert found.roles.root.keys == [IDS[ALICE], IDS[BOB]]
    assert (found.roles.root.threshold, found.roles.manifest.threshold) == (2, 1)
    assert found.roles.manifest.keys == [IDS[CAROL]]
    assert found.keys[IDS[CAROL]].factories == ["acme", "acme_more"]
    assert found.keys[IDS[CAROL]].hosts == ["cdn.example.org"]
    assert found.keys[IDS[ALICE]].factories == []
    assert (found.issued, found.expires) == (NOW, NOW + timedelta(days=365))


def test_a_first_root_can_be_signed_on_several_machines(tmp_path: Path) -> None:
    """It says who is missing until nobody is."""
    maker, path = publisher(tmp_path), tmp_path / "root.json"
    change = Rotation(root=RoleChange(add=(ALICE, BOB.public, CAROL.public), threshold=2))

    first = maker.trust.init(path, name="acme", change=change)
    second = maker.trust.sign(path, [CAROL])

    assert first.missing == (Missing(1, 1, (IDS[BOB], IDS[CAROL])),)
    assert second.missing == maker.trust.show(path).missing == ()
    assert root(path).version == 1


def test_promise_m3_a_rotation_is_signed_by_the_keys_before_and_by_the_new(tmp_path: Path) -> None:
    """Step by step on several machines; what comes of it follows the root that clients have."""
    maker = publisher(tmp_path)
    old = maker.root(ALICE, BOB, threshold=2)
    change = Rotation(
        root=RoleChange(add=(CAROL.public,), remove=(IDS[ALICE][:8],)),
        manifest=RoleChange(add=(CAROL.public,), remove=(IDS[ALICE],)),
    )
    path = tmp_path / "2.root.json"

    steps = [
        maker.trust.rotate(old, [BOB], change=change),
        maker.trust.sign(path, [ALICE], before=old),
        maker.trust.sign(path, [CAROL]),
    ]

    assert [step.missing for step in steps] == [
        (Missing(1, 1, (IDS[ALICE],)), Missing(2, 1, (IDS[CAROL],))),
        (Missing(2, 1, (IDS[CAROL],)),),
        (),
    ]
    assert {step.path for step in steps} == {str(path)}
    new = root(old).advance(path.read_bytes(), source="2")
    assert new.roles.root.keys == new.roles.manifest.keys == [IDS[BOB], IDS[CAROL]]
    assert new.roles.root.threshold == 2
    assert new.keys.keys() == {IDS[BOB], IDS[CAROL]}
    assert new.keys[IDS[CAROL]].factories == ["acme"]


def test_a_verification_follows_the_roots_beside_the_manifest(tmp_path: Path) -> None:
    """By a rotated key it verifies, by the one that went no more; a broken chain is refused."""
    maker = publisher(tmp_path)
    pinned = maker.root(ALICE)
    change = Rotation(
        root=RoleChange(add=(BOB,), remove=(IDS[ALICE],)),
        manifest=RoleChange(add=(BOB,), remove=(IDS[ALICE],)),
    )
    maker.trust.rotate(pinned, [ALICE], change=change)

    found = maker.manifests.verify(maker.signed(BOB), trust=pinned)
    assert (found.root_version, found.signers) == (2, (IDS[BOB],))
    assert found.quarantined == ()  # the new key may vouch for what the one before could
    with pytest.raises(TrustError):
        maker.manifests.verify(maker.signed(ALICE), trust=pinned)

    alone = Rotation(root=RoleChange(add=(BOB,)))
    maker.trust.init(tmp_path / "3.root.json", name="acme", change=alone)
    with pytest.raises(TrustError) as caught:
        maker.manifests.verify(maker.signed(BOB), trust=pinned)
    assert caught.value.code == "rotation"


def test_a_revoked_key_signs_nothing_any_more(tmp_path: Path) -> None:
    """Nor does it come back; and a root that nobody could sign then is not written."""
    maker = publisher(tmp_path)
    first = maker.root(ALICE, BOB)
    maker.trust.rotate(first, [ALICE], change=Rotation(revoke=(IDS[BOB],)))
    second = tmp_path / "2.root.json"

    found = root(first).advance(second.read_bytes(), source="2")
    assert found.revoked == [IDS[BOB]]
    assert found.usable("manifest") == found.usable("root") == [IDS[ALICE]]
    with pytest.raises(TrustError):
        maker.manifests.verify(maker.signed(BOB), trust=second)
    with pytest.raises(InvalidError, match="was revoked"):
        maker.trust.rotate(second, [ALICE], change=Rotation(root=RoleChange(add=(BOB,))))
    with pytest.raises(InvalidTrustError):
        maker.trust.rotate(second, [ALICE], change=Rotation(revoke=(IDS[ALICE],)))
    assert not (tmp_path / "3.root.json").exists()


def test_a_rotation_may_only_prolong(tmp_path: Path) -> None:
    """The same keys, the next version, a later end."""
    maker = publisher(tmp_path)
    first = maker.root(ALICE)

    publisher(tmp_path, later(300)).trust.rotate(first, [ALICE], change=Rotation())

    second = root(first).advance((tmp_path / "2.root.json").read_bytes(), source="2")
    before = root(first).model_dump(exclude={"version", "issued", "expires"})
    assert second.model_dump(exclude={"version", "issued", "expires"}) == before
    assert second.expires == later(300) + timedelta(days=365)


def test_what_keys_may_vouch_for_can_be_changed(tmp_path: Path) -> None:
    """For all that sign manifests at once."""
    maker = publisher(tmp_path)
    change = Rotation(factories=("acme", "other"), hosts=("a.example",))

    answer = maker.trust.rotate(maker.root(ALICE), [ALICE], change=change)

    assert answer.root.keys[IDS[ALICE]].factories == ["acme", "other"]
    assert answer.root.keys[IDS[ALICE]].hosts == ["a.example"]


def test_a_rotation_that_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    """Unknown keys, a beginning too short, a signature that counts nowhere, a file in the way."""
    maker = publisher(tmp_path)
    path = maker.root(ALICE)
    desk = maker.trust

    for text in ("beef" * 16, IDS[ALICE][:7]):
        with pytest.raises(NotFoundError):
            desk.rotate(path, [ALICE], change=Rotation(root=RoleChange(remove=(text,))))
    with pytest.raises(InvalidError, match="would count nowhere"):
        desk.rotate(path, [MALLORY], change=Rotation())
    with pytest.raises(InvalidError, match="would count nowhere"):
        desk.sign(path, [MALLORY])
    with pytest.raises(InvalidTrustError, match="3 must sign"):
        desk.rotate(path, [ALICE], change=Rotation(root=RoleChange(threshold=3)))
    desk.rotate(path, [ALICE], change=Rotation())
    with pytest.raises(InvalidPathError, match="exists already"):
        desk.rotate(path, [ALICE], change=Rotation())
    assert desk.rotate(path, [ALICE], change=Rotation(), force=True).is_complete


def test_a_root_before_that_is_not_found_is_said(tmp_path: Path) -> None:
    """It is looked for beside; one that is named has to fit."""
    maker = publisher(tmp_path)
    old = maker.root(ALICE, name="pinned.json")
    path = tmp_path / "2.root.json"
    maker.trust.rotate(old, [ALICE], change=Rotation())

    assert maker.trust.show(path).checked == (2,)
    assert maker.trust.show(path, before=old).checked == (1, 2)
    with pytest.raises(InvalidError, match="does not follow"):
        maker.trust.show(path, before=path)
