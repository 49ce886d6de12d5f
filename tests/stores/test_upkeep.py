"""Looking after the state database: checks, retention, backups."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from oneiric.clock import rfc3339
from oneiric.errors import InvalidPathError, NotFoundError, StoreError
from oneiric.runs.event import EventKind, RunEvent
from oneiric.stores.journal import SqliteJournal
from oneiric.stores.selections import SelectionStore, StoredSelection
from oneiric.stores.upkeep import JournalCheck, backup, check, prune
from oneiric.testing import ManualClock
from tests.runs.journal_laws import created, event

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINE = StoredSelection("adapter:cache", "redis", "", "me", "2026-01-02T03:04:05.000000Z")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "oneiric.sqlite"


def ended(run_id: str, hour: int) -> RunEvent:
    at = rfc3339(NOON.replace(hour=hour))
    return RunEvent(run_id, EventKind.RUN_ENDED, at, data={"state": "succeeded"})


def fill(path: Path, runs: int = 5, *, note: str = "") -> None:
    """Store runs that end at 1, 2, … o'clock, and one that has not ended."""
    asyncio.run(_fill(path, runs, note))


async def _fill(path: Path, runs: int, note: str) -> None:
    journal = SqliteJournal(path, clock=ManualClock())
    for number in range(1, runs + 1):
        run_id = f"r{number}"
        await journal.create(run_id, [created(run_id)])
        await journal.append(run_id, [event(run_id, EventKind.NOTED, text=note)])
        await journal.append(run_id, [ended(run_id, number)])
    await journal.create("open", [created("open")])
    await journal.aclose()


def listed(path: Path) -> list[str]:
    return asyncio.run(_listed(path))


async def _listed(path: Path) -> list[str]:
    journal = SqliteJournal(path, clock=ManualClock())
    found = [record.run_id for record in await journal.runs()]
    await journal.aclose()
    return found


def test_a_sound_journal_has_no_problems(path: Path) -> None:
    """A check counts runs and events; without a file there is nothing, and none is made."""
    assert check(path) == JournalCheck(0, 0, ())
    assert not path.exists()
    fill(path)
    assert check(path) == JournalCheck(6, 16, ())


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (
            "DELETE FROM events WHERE run_id = 'r1' AND seq = 2",
            "the run r1 has 2 events, numbered 1 to 3",
        ),
        ("DELETE FROM runs WHERE run_id = 'r1'", "there are events of r1, and no such run"),
        ("DELETE FROM events WHERE run_id = 'r1'", "the run r1 has no events"),
        (
            "UPDATE runs SET state = 'running', ended_at = '' WHERE run_id = 'r1'",
            "the run r1 is listed as running, and its events say succeeded",
        ),
        (
            "UPDATE events SET data = '{' WHERE run_id = 'r1' AND seq = 1",
            "the run r1 has events that cannot be understood",
        ),
    ],
)
def test_a_check_names_what_is_wrong(path: Path, damage: str, problem: str) -> None:
    """Gaps, stray events and states that do not follow from the events are told by run."""
    fill(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(damage)
    assert check(path).problems == (problem,)
    assert not check(path).is_sound


def test_pruning_deletes_what_ended_before_and_keeps_the_latest(path: Path) -> None:
    """Only runs that ended before the moment go, never the latest ones, never an open one."""
    fill(path)
    assert prune(path, ended_before=NOON.replace(hour=3)) == 2
    assert listed(path) == ["r5", "r4", "r3", "open"]
    assert prune(path, ended_before=NOON, keep=2) == 1
    assert listed(path) == ["r5", "r4", "open"]
    assert prune(path, ended_before=NOON) == 2
    assert listed(path) == ["open"]
    assert check(path) == JournalCheck(1, 1, ())


def test_pruning_nothing_makes_no_file(path: Path) -> None:
    """Without a file there is nothing to delete."""
    assert prune(path, ended_before=NOON) == 0
    assert not path.exists()


def test_pruning_gives_the_space_back(path: Path) -> None:
    """The file is smaller afterwards."""
    fill(path, 20, note="x" * 100_000)
    full = path.stat().st_size
    assert prune(path, ended_before=NOON.replace(hour=23), keep=1) == 19
    assert path.stat().st_size < full / 5


async def append_while(path: Path, work: Callable[[], int | None]) -> tuple[int | None, int]:
    """Append to the open run while *work* is done in a thread; return how often."""
    journal = SqliteJournal(path, clock=ManualClock())
    working, appended = asyncio.create_task(asyncio.to_thread(work)), 0
    while not working.done() or appended < 20:
        await journal.append("open", [event("open", EventKind.NOTED)])
        appended += 1
    await journal.aclose()
    return await working, appended


def test_pruning_and_writing_at_once_disturb_neither(path: Path) -> None:
    """Appends go on while old runs are deleted, and nothing else is lost."""
    fill(path, 20, note="x" * 10_000)
    midnight = NOON.replace(hour=23)
    pruned, appended = asyncio.run(append_while(path, partial(prune, path, ended_before=midnight)))
    assert pruned == 20
    assert check(path) == JournalCheck(1, 1 + appended, ())


def test_a_backup_taken_while_others_write_is_whole(path: Path, tmp_path: Path) -> None:
    """What was stored before is in the copy, selections too; no other file is left."""
    fill(path, 20, note="x" * 10_000)
    SelectionStore(path).save(MINE)
    to = tmp_path / "copy.sqlite"
    _, appended = asyncio.run(append_while(path, partial(backup, path, to)))
    copied = check(to)
    assert (copied.runs, copied.problems) == (21, ())
    assert 61 <= copied.events <= 61 + appended
    assert SelectionStore(to).load() == {"adapter:cache": MINE}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["copy.sqlite", "oneiric.sqlite"]
    backup(path, to)
    assert check(to).events == 61 + appended


def test_a_backup_that_cannot_be_is_an_error_and_leaves_nothing(path: Path, tmp_path: Path) -> None:
    """No database, no folder, or the database itself as the place: each is said."""
    with pytest.raises(NotFoundError, match="no database"):
        backup(path, tmp_path / "copy.sqlite")
    fill(path)
    with pytest.raises(InvalidPathError, match="the database itself"):
        backup(path, tmp_path / ".." / tmp_path.name / "oneiric.sqlite")
    with pytest.raises(NotFoundError, match="nowhere"):
        backup(path, tmp_path / "nowhere" / "copy.sqlite")
    for odd in (Path("/dev/null"), tmp_path):
        with pytest.raises(InvalidPathError, match="no regular file"):
            backup(path, odd)
    assert Path("/dev/null").is_char_device()
    assert [each.name for each in tmp_path.iterdir()] == ["oneiric.sqlite"]
    assert check(path).is_sound


def test_a_damaged_database_is_not_backed_up(path: Path) -> None:
    """Damage is told, and the earlier copy stays as it was."""
    fill(path, note="x" * 10_000)
    copy = path.with_name("copy")
    copy.write_bytes(b"the copy of yesterday")
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    assert "malformed" in check(path).problems[0]
    with pytest.raises(StoreError, match="malformed"):
        backup(path, copy)
    assert copy.read_bytes() == b"the copy of yesterday"
    assert sorted(each.name for each in path.parent.iterdir()) == ["copy", "oneiric.sqlite"]


def test_a_file_that_is_no_database_is_a_problem_to_the_check(path: Path) -> None:
    """That is what the check is for; a file that may not be read is another matter."""
    path.write_bytes(b"x" * 5000)
    assert not check(path).is_sound
