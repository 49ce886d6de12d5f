"""Stored selections: kept, replaced and cleared; nothing is lost, no fault is a traceback."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from oneiric.errors import StoreError
from oneiric.stores.migrations import STATE
from oneiric.stores.selections import SelectionStore, StoredSelection

REDIS = StoredSelection(
    "adapter:cache", "redis", "memory", "cli", "2026-01-02T03:04:05.000000Z", "night"
)


def database(folder: Path) -> Path:
    return folder / ".oneiric_cache" / "oneiric.sqlite"


def version_of(path: Path) -> int:
    connection = sqlite3.connect(path)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return int(version)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for other processes for a moment only."""
    monkeypatch.setattr("oneiric.stores.database.PATIENCE_SECONDS", 0.1)


def test_a_selection_is_there_for_whoever_opens_the_store_next(tmp_path: Path) -> None:
    """What was saved is loaded whole, by place, by another store on the same file."""
    SelectionStore(database(tmp_path)).save(REDIS)

    assert SelectionStore(database(tmp_path)).load() == {"adapter:cache": REDIS}
    assert version_of(database(tmp_path)) == len(STATE)


def test_a_later_selection_for_a_place_replaces_the_earlier_one(tmp_path: Path) -> None:
    """One place has one selection; other places keep theirs."""
    store = SelectionStore(database(tmp_path))
    other = StoredSelection("service:mail", "smtp", "", "", "2026-01-02T03:04:05.000000Z")
    later = StoredSelection("adapter:cache", "memory", "", "me", "2026-02-02T03:04:05.000000Z")
    store.save(REDIS)
    store.save(other)
    store.save(later)

    assert store.load() == {"adapter:cache": later, "service:mail": other}


def test_a_write_forgets_what_has_ended_unless_it_was_stored_anew(tmp_path: Path) -> None:
    """A save and a clear delete the ended ones they are handed, and no younger ones."""
    store = SelectionStore(database(tmp_path))
    mail = StoredSelection("service:mail", "smtp", "", "", "2026-01-02T03:04:05.000000Z")
    queue = replace(mail, ref="adapter:queue")
    anew = replace(queue, at="2026-02-02T03:04:05.000000Z")
    for each in (mail, anew):
        store.save(each)

    store.save(REDIS, ended=(mail, queue))
    assert store.load() == {"adapter:cache": REDIS, "adapter:queue": anew}
    assert store.clear("service:mail", ended=(anew,)) is False
    assert store.load() == {"adapter:cache": REDIS}


OLD = """
CREATE TABLE selections (
    ref TEXT PRIMARY KEY,
    provider TEXT NOT NULL,
    configured TEXT NOT NULL,
    actor TEXT NOT NULL,
    at TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO selections VALUES ('adapter:cache', 'redis', 'memory', 'cli', 'then');
PRAGMA user_version = 1;
"""


def test_an_old_database_is_read_as_it_is_and_migrated_by_the_first_write(tmp_path: Path) -> None:
    """Schema 1, without profiles: what it holds counts for any; only a write changes the file."""
    path, store = database(tmp_path), SelectionStore(database(tmp_path))
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(OLD)
    before = path.read_bytes()
    kept = StoredSelection("adapter:cache", "redis", "memory", "cli", "then", "")
    mail = StoredSelection("service:mail", "smtp", "", "", "now", "night")

    assert store.load() == {"adapter:cache": kept}
    assert path.read_bytes() == before
    store.save(mail)
    assert store.load() == {"adapter:cache": kept, "service:mail": mail}
    assert version_of(path) == len(STATE)


def test_clearing_tells_whether_there_was_a_selection(tmp_path: Path) -> None:
    """The first clear forgets it, the second finds nothing."""
    store = SelectionStore(database(tmp_path))
    store.save(REDIS)

    assert [store.clear("adapter:cache"), store.clear("adapter:cache")] == [True, False]
    assert store.load() == {}


def test_loading_without_a_file_writes_nothing(tmp_path: Path) -> None:
    """A store that nobody wrote to is empty, and reading it creates no file and no folder."""
    assert SelectionStore(database(tmp_path)).load() == {}
    assert list(tmp_path.iterdir()) == []


def test_loading_an_empty_file_finds_nothing(tmp_path: Path) -> None:
    """A file of no bytes, as `touch` leaves it, is an empty store; the first save fills it."""
    database(tmp_path).parent.mkdir()
    database(tmp_path).touch()
    store = SelectionStore(database(tmp_path))

    assert store.load() == {}
    store.save(REDIS)
    assert store.load() == {"adapter:cache": REDIS}


@pytest.mark.parametrize("name", ["with space", "per%cent", "what?mode=rw", "ha#sh", "umlaut-ü"])
def test_a_folder_of_any_name_is_no_trouble(tmp_path: Path, name: str) -> None:
    """The path is taken literally, whatever a URI would make of it."""
    SelectionStore(database(tmp_path / name)).save(REDIS)

    assert SelectionStore(database(tmp_path / name)).load() == {"adapter:cache": REDIS}
    assert database(tmp_path / name).exists()


HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.usefixtures("impatient")
def test_a_database_that_another_process_holds_is_unavailable(tmp_path: Path) -> None:
    """Reads and writes fail with exit code 5 and say why; nothing is lost once it lets go."""
    store = SelectionStore(database(tmp_path))
    store.save(REDIS)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(database(tmp_path))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StoreError) as reading:
            store.load()
        with pytest.raises(StoreError) as writing:
            store.clear("adapter:cache")
        holder.communicate()

    for caught in (reading, writing):
        assert caught.value.exit_code == 5
        assert caught.value.message == f"{database(tmp_path)}: database is locked"
        assert caught.value.hint == "another process holds it; try again when that is done"
    assert store.load() == {"adapter:cache": REDIS}


def test_what_is_no_database_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    """Neither reading nor writing touches what is no database; the error says what to do."""
    path, content = database(tmp_path), b"no database, but long enough to be one" * 30
    path.parent.mkdir()
    path.write_bytes(content)

    for call in (SelectionStore(path).load, lambda: SelectionStore(path).save(REDIS)):
        with pytest.raises(StoreError) as caught:
            call()
        assert caught.value.message == f"{path}: file is not a database"
        assert "move it away" in caught.value.hint
    assert path.read_bytes() == content


def test_a_damaged_database_says_so(tmp_path: Path) -> None:
    """Pages that were overwritten are told as damage, with what to do."""
    path = database(tmp_path)
    SelectionStore(path).save(REDIS)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))

    with pytest.raises(StoreError, match="malformed") as caught:
        SelectionStore(path).load()

    assert "move it away" in caught.value.hint


def test_a_newer_schema_is_refused_for_reading_and_writing(tmp_path: Path) -> None:
    """A file of a later version is never misread, and never written to."""
    path = database(tmp_path)
    SelectionStore(path).save(REDIS)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()

    for call in (SelectionStore(path).load, lambda: SelectionStore(path).clear("adapter:cache")):
        with pytest.raises(StoreError) as caught:
            call()
        assert caught.value.message == f"{path} has schema 99, and this version knows {len(STATE)}"
        assert caught.value.hint == "use the version of oneiric that wrote it, or a newer one"
    assert path.read_bytes() == before


def unwritable(folder: Path) -> Path:
    """Return a folder in which this user, root included, can create nothing."""
    if sys.platform == "linux":
        return Path("/proc")
    folder.chmod(0o500)
    return folder


def test_a_folder_that_cannot_be_written_fails_as_unavailable(tmp_path: Path) -> None:
    """A selection that cannot be stored is an error with exit code 5, and no traceback."""
    folder = unwritable(tmp_path)

    with pytest.raises(StoreError) as caught:
        SelectionStore(database(folder)).save(REDIS)

    assert str(folder / ".oneiric_cache") in caught.value.message
    assert caught.value.exit_code == 5
    assert caught.value.hint == "see that its folder exists and may be written"
    assert SelectionStore(database(folder)).load() == {}


def test_a_file_where_the_folder_should_be_fails_as_unavailable(tmp_path: Path) -> None:
    """The error names the file that is in the way."""
    (tmp_path / ".oneiric_cache").write_text("in the way")

    with pytest.raises(StoreError) as caught:
        SelectionStore(database(tmp_path)).save(REDIS)

    assert caught.value.message == f"{tmp_path / '.oneiric_cache'}: file exists"
    assert SelectionStore(database(tmp_path)).load() == {}


def test_a_folder_where_the_file_should_be_fails_as_unavailable(tmp_path: Path) -> None:
    """Reading and writing name the path."""
    database(tmp_path).mkdir(parents=True)
    store = SelectionStore(database(tmp_path))

    for call in (store.load, lambda: store.save(REDIS)):
        with pytest.raises(StoreError, match=r"oneiric\.sqlite: "):
            call()


WRITE = """
import sys
from pathlib import Path
from oneiric.stores.selections import SelectionStore, StoredSelection
path, writer = Path(sys.argv[1]), sys.argv[2]
for number in range(25):
    SelectionStore(path).save(StoredSelection(f"task:t{writer}-{number}", writer, "", "", "now"))
"""


def test_four_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    """Every selection of every writer is there in the end, the first file included."""
    path = database(tmp_path)
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE, str(path), str(number)])
        for number in range(4)
    ]

    assert [writer.wait(60) for writer in writers] == [0, 0, 0, 0]
    assert {(each.ref, each.provider) for each in SelectionStore(path).load().values()} == {
        (f"task:t{writer}-{number}", str(writer)) for writer in range(4) for number in range(25)
    }


CUT_SHORT = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN IMMEDIATE")
for number in range(5000):
    row = (f"task:t{number}", "half-done" * 20, "", "", "")
    connection.execute("INSERT INTO selections VALUES (?, ?, ?, ?, ?, '')", row)
os.kill(os.getpid(), 9)
"""


def test_a_writer_that_was_killed_half_way_stops_no_reader(tmp_path: Path) -> None:
    """Reading first undoes what a dead writer began; what was stored before is unharmed."""
    path = database(tmp_path)
    SelectionStore(path).save(REDIS)
    subprocess.run([sys.executable, "-c", CUT_SHORT, str(path)], check=False)
    assert path.with_name("oneiric.sqlite-journal").exists()

    assert SelectionStore(path).load() == {"adapter:cache": REDIS}
