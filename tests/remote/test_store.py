"""What is remembered of a source: kept whole, read without writing, refused when damaged."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from oneiric.errors import InvalidPathError, LockedError
from oneiric.remote.errors import TrustStateError
from oneiric.remote.store import Kept, SourceState, SourceStore
from oneiric.remote.verify import Seen

SEEN = Seen(3, f"sha256:{'a' * 64}", ("b" * 64,))


def kept(store: SourceStore) -> SourceState:
    """Keep version 3 of a manifest and two roots."""
    state = store.keep_root(2, b"second", after=None)
    state = store.keep_root(3, b"third", after=state)
    wanted = state.remembering(SEEN).model_copy(update={"etag": '"3"'})
    return store.keep(wanted, after=state, manifest=b"envelope")


def test_promise_m2_the_highest_version_survives_a_restart(tmp_path: Path) -> None:
    """All that a rollback is told by is there again in another process."""
    written = kept(SourceStore(tmp_path / "acme"))

    found = SourceStore(tmp_path / "acme").read()

    assert found == Kept(written, b"envelope", (b"second", b"third"))
    assert found.state is not None
    assert (found.state.seen, found.state.root, found.etag) == (SEEN, 3, '"3"')


def test_promise_m6_the_last_manifest_is_kept_as_it_was_received(tmp_path: Path) -> None:
    """Its exact bytes, to be verified again; a state without a manifest keeps the old one."""
    store = SourceStore(tmp_path)
    first = store.keep(SourceState().remembering(SEEN), after=None, manifest=b"\x00envelope\n")

    store.keep(first.model_copy(update={"last_success": "2026-01-01T00:00:00Z"}), after=first)

    assert store.read().manifest == b"\x00envelope\n"


def test_defect_oneiric_s22_what_is_stored_serves_a_start_without_network(tmp_path: Path) -> None:
    """Manifest, roots and state lie side by side, and nobody else can read them."""
    kept(SourceStore(tmp_path / "acme"))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "acme").iterdir()}

    names = ("2.root.json", "3.root.json", "manifest.dsse.json", "state.json")
    assert modes == dict.fromkeys(names, 0o600)
    assert stat.S_IMODE((tmp_path / "acme").stat().st_mode) == 0o700


def test_reading_writes_nothing(tmp_path: Path) -> None:
    """A command that only looks makes no folder."""
    assert SourceStore(tmp_path / "new").read() == Kept()
    assert list(tmp_path.iterdir()) == []


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def _change(path: Path) -> None:
    told = json.loads(path.read_bytes())
    path.write_text(json.dumps({**told, "version": -1}))


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("state.json", Path.unlink),
        ("state.json", _cut),
        ("state.json", _change),
        ("state.json", lambda path: path.write_bytes(b"[]")),
        ("state.json", lambda path: path.write_bytes(b" " * 100_000)),
        ("state.json", _folder),
        ("2.root.json", Path.unlink),
        ("3.root.json", Path.unlink),
        ("3.root.json", lambda path: path.rename(path.with_name("4.root.json"))),
        ("manifest.dsse.json", _pipe),
    ],
    ids=["gone", "cut", "changed", "list", "long", "folder", "gap", "last", "renamed", "pipe"],
)
def test_promise_m2_damaged_state_fails_closed(
    tmp_path: Path, name: str, damage: Callable[[Path], object]
) -> None:
    """Whoever can delete a file could else have an old manifest taken for a new one."""
    store = SourceStore(tmp_path / "acme")
    written = kept(store)
    damage(tmp_path / "acme" / name)

    with pytest.raises(TrustStateError) as refused:
        store.read()

    assert (refused.value.code, refused.value.exit_code) == ("trust-state-damaged", 3)
    assert str(tmp_path / "acme") in refused.value.hint
    if name == "state.json":
        with pytest.raises((TrustStateError, LockedError)):
            store.keep(written, after=written)


def test_a_manifest_that_is_gone_can_be_fetched_again(tmp_path: Path) -> None:
    """The state tells what it must not be older than, and no tag would have it left out."""
    store = SourceStore(tmp_path)
    kept(store)
    (tmp_path / "manifest.dsse.json").unlink()

    found = store.read()

    assert (found.manifest, found.etag, found.state and found.state.version) == (None, "", 3)


def test_a_crash_between_manifest_and_state_leaves_what_can_be_verified(tmp_path: Path) -> None:
    """The newer manifest is there with the older state, whose tag is not its own."""
    store = SourceStore(tmp_path)
    kept(store)
    (tmp_path / "manifest.dsse.json").write_bytes(b"envelope of version 4")

    found = store.read()

    assert (found.state and found.state.version, found.etag) == (3, "")


def test_two_who_decided_on_the_same_state_do_not_both_keep(tmp_path: Path) -> None:
    """The slower one must look again, or a version could go back."""
    store = SourceStore(tmp_path)
    before = kept(store)
    newer = before.model_copy(update={"version": 5})
    store.keep(newer, after=before)

    with pytest.raises(LockedError):
        store.keep(before.model_copy(update={"version": 4}), after=before)
    with pytest.raises(LockedError):
        store.keep_root(4, b"", after=before)

    assert store.read().state == newer


@pytest.mark.parametrize("name", ["", "../other", "a/b", ".."])
def test_a_source_has_its_folder_by_a_plain_name(tmp_path: Path, name: str) -> None:
    """No source can be kept in another's place."""
    with pytest.raises(InvalidPathError):
        SourceStore.under(tmp_path, name)
