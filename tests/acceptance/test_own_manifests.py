"""`make manifests`: our own manifests, signed once and anew before they expire."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from manifests.publish import LASTS, RENEWED, SAMPLE, Published, publish
from oneiric.errors import InvalidError
from oneiric.remote.offers import offers_of
from oneiric.remote.security import PrivateKey
from oneiric.remote.trust import TrustRoot
from oneiric.remote.verify import verify
from tests.acceptance.commands import ROOT

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder with the sources of our own manifests."""
    shutil.copytree(ROOT / "manifests", tmp_path / "manifests")
    (tmp_path / SAMPLE).parent.mkdir()
    shutil.copy(ROOT / SAMPLE, tmp_path / SAMPLE)
    return tmp_path


def published(folder: Path, now: datetime = NOW) -> Published:
    (found,) = [each for each in publish(folder, now) if each.path.stem == "sample"]
    return found


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_each_is_signed_and_trusted_by_the_root_beside_it(checkout: Path) -> None:
    """Whoever pins that root gets every entry; the key may vouch for our own package only."""
    found = published(checkout)

    root = TrustRoot.read((found.path.parent / "sample.root.json").read_bytes(), source="root")
    verified = verify(found.path.read_bytes(), source="sample", root=root, now=NOW)
    assert offers_of(verified, allowed=["oneiric"]).quarantined == ()
    assert verified.manifest.head.expires == NOW + LASTS
    assert [key.factories for key in root.keys.values()] == [["oneiric"]]


def test_what_is_current_is_left_alone(checkout: Path) -> None:
    """Not a byte changes, neither of the build nor of the key."""
    published(checkout)
    before = files(checkout)

    assert not published(checkout, NOW + LASTS - RENEWED - timedelta(days=1)).is_new
    assert files(checkout) == before


def test_a_changed_source_and_a_near_expiry_are_signed_anew_as_a_higher_version(
    checkout: Path,
) -> None:
    """So whoever applied the earlier one takes it; a build that was cleaned away goes on rising."""
    first = published(checkout)
    source = checkout / SAMPLE
    source.write_text(source.read_text().replace("limit_cents: 500000", "limit_cents: 400000"))
    second = published(checkout)
    third = published(checkout, NOW + LASTS - RENEWED + timedelta(seconds=1))
    shutil.rmtree(checkout / "build")
    fourth = published(checkout, NOW + LASTS)

    versions = [each.manifest.manifest.version for each in (first, second, third, fourth)]
    assert all(each.is_new for each in (first, second, third, fourth))
    assert versions == sorted(set(versions))


def test_the_key_is_made_once_and_is_nobody_elses(checkout: Path) -> None:
    """One key pair a checkout, readable by its owner."""
    published(checkout)
    keys = checkout / ".oneiric_cache" / "keys"
    key = PrivateKey.read((keys / "manifests.json").read_bytes())
    shutil.rmtree(checkout / "build")
    published(checkout)

    modes = [stat.S_IMODE(path.stat().st_mode) for path in (keys, keys / "manifests.json")]
    assert modes == [0o700, 0o600]
    assert PrivateKey.read((keys / "manifests.json").read_bytes()) == key


@pytest.mark.parametrize(
    ("written", "instead", "what"),
    [
        ("name: sample", "name: other", "does not say name: sample"),
        ("domain: service", "domain: servcie", "entries.3.domain"),
        ("oneiric.demo.fulfillment.desk:Quote", "os:system", "under no allowed prefix"),
    ],
)
def test_a_source_that_could_not_serve_is_not_signed(
    checkout: Path, written: str, instead: str, what: str
) -> None:
    """The error says which entry, and what was published before stays."""
    before = published(checkout).path.read_bytes()
    source = checkout / SAMPLE
    source.write_text(source.read_text().replace(written, instead))

    with pytest.raises(InvalidError) as caught:
        published(checkout)

    assert what in str(caught.value)
    assert (checkout / "build" / "manifests" / "sample.json").read_bytes() == before


def test_two_at_once_agree(checkout: Path) -> None:
    """One makes the key and signs; the other finds that done."""
    command = [sys.executable, "-m", "manifests.publish"]
    environ = {"PYTHONPATH": f"{checkout}:{ROOT}"}
    both = [
        subprocess.Popen(command, cwd=checkout, env=environ, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = sorted(process.communicate()[0] for process in both)

    assert [process.returncode for process in both] == [0, 0]
    assert said[0] == "build/manifests is current: validation, sample\n"
    assert said[1].startswith("signed build/manifests/validation.json, version ")


@pytest.mark.parametrize("target", ["run", "test", "manifests"])
def test_they_are_signed_before_whatever_may_need_them(target: str) -> None:
    """`make run` and `make test` in a fresh clone find them."""
    done = subprocess.run(
        ["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert "-m manifests.publish" in done.stdout
