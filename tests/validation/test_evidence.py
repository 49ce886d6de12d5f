"""The files that proofs name: pictures that were overwritten or deleted show."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from oneiric.runs.proof import Proof, ProofOutcome
from oneiric.validation.desk import ValidationDesk
from oneiric.validation.evidence import MAX_BYTES, missing_evidence
from oneiric.validation.ledger import Entry, Ledger
from tests.validation.parts import now

PICTURE = b"\x89PNG, as it was"
SHOT = Path("shots/page.png")


def proof(*, digest: str = "", path: str = str(SHOT)) -> Proof:
    """Return the proof of a page, with its picture."""
    whole = f"sha256:{digest or hashlib.sha256(PICTURE).hexdigest()}"
    return Proof(
        claim="/ shows what it should",
        subject="/",
        kind="ui",
        outcome=ProofOutcome.PASSED,
        at=now(),
        digests={"screenshot": whole},
        facts={"screenshot": path, "screenshot_digest": whole} if path else {},
    )


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a picture in it."""
    monkeypatch.chdir(tmp_path)
    SHOT.parent.mkdir()
    SHOT.write_bytes(PICTURE)
    return tmp_path


def told(*proofs: Proof) -> list[tuple[str, str]]:
    """Return what is wrong with the files of proofs, and with which."""
    entries = [Entry(number, "run", each) for number, each in enumerate(proofs, 1)]
    return [(each.key, each.what) for each in missing_evidence(entries, Path())]


def test_a_picture_that_is_as_it_was_is_nothing_to_tell() -> None:
    """Nor is one that was never kept, which the proof itself says."""
    assert told(proof(), proof(path="")) == []


def test_a_picture_that_was_overwritten_or_deleted_is_told() -> None:
    """By the number of its entry, and by its file."""
    assert told(proof(), proof(digest="0" * 64)) == [
        ("2", "its screenshot shots/page.png is another than was seen")
    ]
    SHOT.unlink()
    assert told(proof()) == [("1", "its screenshot shots/page.png is missing")]


def test_what_is_no_picture_any_more_is_not_read(folder: Path) -> None:
    """A pipe, or a file longer than any picture, is told and costs nothing."""
    os.mkfifo(folder / "pipe")
    (folder / "long").touch()
    os.truncate(folder / "long", MAX_BYTES + 1)
    assert told(proof(path="pipe"), proof(path="long")) == [
        ("1", "its screenshot cannot be read: pipe: it is no regular file"),
        ("2", f"its screenshot cannot be read: long: it is longer than {MAX_BYTES} bytes"),
    ]


def test_a_ledger_is_not_intact_without_its_pictures() -> None:
    """The command that verifies it ends with 1, and says which entry it is."""
    Ledger().append("users", "run", [proof()])
    desk = ValidationDesk()
    before = desk.verify("users")
    SHOT.write_bytes(b"another")
    after = desk.verify("users")
    assert (before.exit_code, after.exit_code) == (0, 1)
    assert after.render(columns=80, colour=False).splitlines() == [
        "users: TOUCHED",
        "  entry 1: its screenshot shots/page.png is another than was seen",
    ]


def test_pictures_are_found_from_a_folder_below_the_repository(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their paths begin at the repository, wherever somebody verifies the ledger."""
    (folder / ".snipara-orchestrator.json").write_text('{"prod_url": "http://127.0.0.1:9"}')
    Ledger().append("users", "run", [proof()])
    below = folder / "docs"
    below.mkdir()
    monkeypatch.chdir(below)
    assert ValidationDesk().verify("users").problems == []
