"""The journal in SQLite, in both durabilities: the laws of every journal, and its own."""

import asyncio
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, closing
from pathlib import Path
from sqlite3 import Connection
from typing import TypeVar

import pytest

from oneiric.errors import ClosedError, InvalidError, NotFoundError, StoreError
from oneiric.runs.event import EventKind
from oneiric.stores.database import SchemaTooNewError
from oneiric.stores.journal import Durability, SqliteJournal
from oneiric.stores.migrations import STATE
from oneiric.stores.run_rows import EventTooLargeError, is_in_force
from oneiric.stores.selections import SelectionStore, StoredSelection
from oneiric.stores.upkeep import JournalCheck, check
from oneiric.stores.watch import Reader, Watch
from oneiric.testing import ManualClock
from tests.runs.journal_laws import JournalLaws, created, event

T = TypeVar("T")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".oneiric_cache" / "oneiric.sqlite"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=list(Durability))
async def journal(
    path: Path, clock: ManualClock, request: pytest.FixtureRequest
) -> AsyncIterator[SqliteJournal]:
    made = SqliteJournal(path, clock=clock, durability=request.param)
    yield made
    await made.aclose()


class TestSqliteJournal(JournalLaws):
    """The laws of every journal, for the one in SQLite."""


@pytest.fixture
async def other(path: Path, clock: ManualClock) -> AsyncIterator[SqliteJournal]:
    """A journal on the same file, as another process would have it."""
    made = SqliteJournal(path, clock=clock)
    yield made
    await made.aclose()


def names(path: Path) -> list[str]:
    """Return the files beside the database."""
    return sorted(each.name for each in path.parent.iterdir()) if path.parent.exists() else []


def move(path: Path, to: Path, *, copy: bool = False) -> None:
    """Move a file, or put an equal one there."""
    if copy:
        to.write_bytes(path.read_bytes())
    else:
        path.replace(to)


async def slowest_turn(until: asyncio.Task[T]) -> float:
    """Return the longest that the event loop was kept from turning, in seconds."""
    longest, last = 0.0, time.monotonic()
    while not until.done():
        await asyncio.sleep(0.001)
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    return longest


async def test_what_was_stored_is_there_for_the_next_process(
    journal: SqliteJournal, other: SqliteJournal
) -> None:
    """Runs, events and claims outlive the journal that stored them."""
    first, lease = await journal.create("r1", [created("r1")], holder="me", seconds=10)
    note = await journal.append("r1", [event("r1", EventKind.NOTED, "a", x=1)], lease=lease)
    records = await journal.runs()
    await journal.aclose()
    assert list(await other.read("r1")) == [*first, *note]
    assert await other.runs() == records
    assert await other.claim("r1", holder="you", seconds=10) is None


async def test_reading_alone_makes_no_file(journal: SqliteJournal, path: Path) -> None:
    """Whoever only looks finds nothing and leaves nothing, until somebody writes."""
    assert list(await journal.runs()) == []
    assert list(await journal.read("r1")) == []
    with pytest.raises(NotFoundError):
        await anext(journal.follow("r1"))
    assert names(path) == []
    await journal.create("r1", [created("r1")])
    assert len(await journal.read("r1")) == 1


async def test_closing_leaves_one_file(journal: SqliteJournal, path: Path) -> None:
    """What was written ahead is in the database by then."""
    await journal.create("r1", [created("r1")])
    await journal.read("r1")
    await journal.aclose()
    assert names(path) == ["oneiric.sqlite"]


async def test_a_closed_journal_refuses(journal: SqliteJournal) -> None:
    """What was asked for before the end is stored; what comes later is an error."""
    creating = asyncio.ensure_future(journal.create("r1", [created("r1")]))
    await asyncio.sleep(0)
    await journal.aclose()
    assert [each.seq for each in (await creating)[0]] == [1]
    with pytest.raises(ClosedError):
        await journal.append("r1", [event("r1", EventKind.NOTED)])
    with pytest.raises(ClosedError):
        await journal.read("r1")


async def test_other_processes_are_noticed(journal: SqliteJournal, other: SqliteJournal) -> None:
    """Followers and listeners learn what somebody else appends, each once, within a poll."""
    await other.create("r1", [created("r1")])
    followed: list[int] = []
    began = asyncio.Event()

    async def follow() -> None:
        async for each in journal.follow("r1"):
            followed.append(each.seq)
            began.set()

    following, outside = asyncio.ensure_future(follow()), journal.outside()
    first = asyncio.ensure_future(anext(outside))
    await began.wait()
    await journal.append("r1", [event("r1", EventKind.SIGNALED)])
    assert await asyncio.wait_for(first, 5) == "r1"
    await other.create("r2", [created("r2")])
    await other.append("r2", [event("r2", EventKind.SIGNALED)])
    assert await asyncio.wait_for(anext(outside), 5) == "r2"
    await other.append("r1", [event("r1", EventKind.RUN_ENDED, state="succeeded")])
    await asyncio.wait_for(following, 5)
    assert followed == [1, 2, 3]
    assert await asyncio.wait_for(anext(outside), 5) == "r1"


class CountingReader(Reader):
    """A reader that counts its questions."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.questions = 0
        self.asked = asyncio.Event()

    def ask(self, question: Callable[[Connection], T], nothing: T) -> asyncio.Future[T]:
        self.questions += 1
        self.asked.set()
        return super().ask(question, nothing)


async def test_nobody_looks_while_nobody_waits(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One poll serves all who wait, however many, and it ends with the last of them."""
    monkeypatch.setattr("oneiric.stores.watch.POLL_SECONDS", 0.01)
    reader = CountingReader(path)
    watch = Watch(reader)
    await asyncio.sleep(0.05)
    assert reader.questions == 0
    with ExitStack() as waiting:
        for number in range(100):
            waiting.enter_context(watch.following(f"r{number}", 0))
        await reader.asked.wait()
        await asyncio.sleep(0.1)
        assert 1 < reader.questions <= 12
    asked = reader.questions
    await asyncio.sleep(0.05)
    assert reader.questions <= asked + 1
    await reader.aclose()


class BrokenReader(Reader):
    """A reader of a file that cannot be read."""

    def ask(self, question: Callable[[Connection], T], nothing: T) -> asyncio.Future[T]:
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        answer.set_exception(StoreError("the disk is gone"))
        return answer


async def test_those_who_wait_learn_that_nothing_can_be_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A poll that fails wakes followers, who read for themselves and meet the error."""
    monkeypatch.setattr("oneiric.stores.watch.POLL_SECONDS", 0.01)
    with Watch(BrokenReader(path)).following("r1", 0) as follower:
        await asyncio.wait_for(follower.news.wait(), 5)


async def test_an_event_that_is_too_large_is_refused(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error tells the event, its size and the limit; nothing of the append is stored."""
    monkeypatch.setattr("oneiric.stores.run_rows.LARGEST_EVENT", 1000)
    await journal.create("r1", [created("r1")])
    large = event("r1", EventKind.STEP_SUCCEEDED, "a", result="x" * 1000)
    with pytest.raises(EventTooLargeError) as caught:
        await journal.append("r1", [event("r1", EventKind.NOTED), large])
    assert caught.value.exit_code == 2
    assert caught.value.details() == {
        "run_id": "r1",
        "kind": "step-succeeded",
        "step": "a",
        "size": 1000 + len('{"result":""}'),
        "limit": 1000,
    }
    assert len(await journal.read("r1")) == 1


async def test_a_failed_append_fails_no_other(journal: SqliteJournal) -> None:
    """Appends that are committed together stand or fall alone."""
    await journal.create("r1", [created("r1")])
    unfit = event("r1", EventKind.NOTED, "\ud800")
    asked = [event("r1", EventKind.NOTED), unfit, event("r1", EventKind.NOTED)]
    done = await asyncio.gather(
        *(journal.append("r1", [each]) for each in asked),
        journal.append("nobody", [event("nobody", EventKind.NOTED)]),
        return_exceptions=True,
    )
    kinds = [type(each) if isinstance(each, Exception) else "stored" for each in done]
    assert kinds == ["stored", InvalidError, "stored", NotFoundError]
    assert [each.seq for each in await journal.read("r1")] == [1, 2, 3]


async def test_a_claim_of_before_a_reboot_holds_no_more(path: Path, clock: ManualClock) -> None:
    """The steady count begins anew with the machine, and orphans can be claimed at once."""
    clock.advance(90_000)
    before = SqliteJournal(path, clock=clock)
    await before.create("r1", [created("r1")], holder="me", seconds=10)
    await before.aclose()
    after = SqliteJournal(path, clock=ManualClock())
    assert [each.is_held for each in await after.runs()] == [False]
    lease = await after.claim("r1", holder="you", seconds=10)
    assert lease is not None
    assert lease.token == 2
    await after.aclose()


async def test_a_newer_schema_is_refused(journal: SqliteJournal, path: Path) -> None:
    """A file of a later version is neither read nor written, in words that say so."""
    SelectionStore(path).save(StoredSelection("adapter:cache", "redis", "", "", ""))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    for _ in range(2):
        with pytest.raises(SchemaTooNewError) as caught:
            await journal.create("r1", [created("r1")])
        with pytest.raises(SchemaTooNewError):
            await journal.runs()
    assert caught.value.details() == {"path": str(path), "version": 99, "known": len(STATE)}
    assert caught.value.exit_code == 5


async def test_a_file_of_an_earlier_version_has_no_runs_until_one_is_stored(
    journal: SqliteJournal, path: Path
) -> None:
    """Reading changes nothing; the first write brings the file up to date and keeps the rest."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(STATE[0])
        connection.execute("PRAGMA user_version = 1")
    mine = StoredSelection("adapter:cache", "redis", "", "", "")
    assert list(await journal.runs()) == []
    await journal.create("r1", [created("r1")])
    SelectionStore(path).save(mine)
    assert len(await journal.runs()) == 1
    assert SelectionStore(path).load() == {"adapter:cache": mine}


async def test_a_file_that_was_taken_away_is_an_error(journal: SqliteJournal, path: Path) -> None:
    """Nothing is written where nobody will find it, and no empty file takes its place."""
    await journal.create("r1", [created("r1")])
    moved = path.with_name("moved")
    move(path, moved)
    with pytest.raises(StoreError, match="no such file"):
        await journal.append("r1", [event("r1", EventKind.NOTED)])
    move(moved, path, copy=True)
    with pytest.raises(StoreError, match="moved or deleted") as caught:
        await journal.append("r1", [event("r1", EventKind.NOTED)])
    assert "put it back" in caught.value.hint
    move(moved, path)
    assert [each.seq for each in await journal.append("r1", [event("r1", EventKind.NOTED)])] == [2]


UNCLOSED = """
import asyncio, sys
from pathlib import Path
from oneiric.clock import SystemClock
from oneiric.stores.journal import Durability, SqliteJournal
from tests.runs.journal_laws import created

async def main():
    path, durability = Path(sys.argv[1]), Durability(sys.argv[2])
    journal = SqliteJournal(path, clock=SystemClock(), durability=durability)
    await journal.create("r1", [created("r1")])
    print(len(await journal.read("r1")), flush=True)
    if sys.argv[3] == "fork":
        import os
        child = os.fork()
        if not child:
            for verb in (journal.runs(), journal.append("r1", [])):
                try:
                    await verb
                except Exception as error:
                    print(error.code, error.hint, flush=True)
            await journal.aclose()
            os._exit(0)
        os.waitpid(child, 0)
        await journal.append("r1", [])
        print(len(await journal.read("r1")), flush=True)
asyncio.run(main())
"""


def run_unclosed(path: Path, durability: Durability, how: str) -> list[str]:
    """Run a process that never closes its journal, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", UNCLOSED, str(path), durability, how],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize("durability", Durability)
def test_a_journal_left_open_keeps_no_process_from_ending(
    path: Path, durability: Durability
) -> None:
    """The process ends by itself, and what it stored is there."""
    assert run_unclosed(path, durability, "exit") == ["1"]
    assert check(path) == JournalCheck(1, 1, ())


@pytest.mark.parametrize("durability", Durability)
def test_a_journal_is_of_the_process_that_made_it(path: Path, durability: Durability) -> None:
    """A forked child is told to open its own, and the parent's goes on."""
    refused = "store open a journal in each process, after the fork"
    assert run_unclosed(path, durability, "fork") == ["1", refused, refused, "1"]
    assert check(path) == JournalCheck(1, 1, ())


async def test_a_writer_elsewhere_does_not_stop_the_loop(
    journal: SqliteJournal, path: Path
) -> None:
    """While another connection holds the database, appends wait, reads do not, the loop turns."""
    await journal.create("r1", [created("r1")])
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        waiting = asyncio.ensure_future(journal.append("r1", [event("r1", EventKind.NOTED)]))
        turning = asyncio.ensure_future(slowest_turn(waiting))
        assert len(await journal.read("r1")) == 1
        await asyncio.sleep(0.4)
        assert not waiting.done()
        holder.execute("ROLLBACK")
    assert [each.seq for each in await asyncio.wait_for(waiting, 5)] == [2]
    assert await turning < 0.2


async def test_a_database_locked_for_too_long_is_unavailable(
    journal: SqliteJournal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond patience appends fail with exit code 5, all of them; then the journal works on."""
    monkeypatch.setattr("oneiric.stores.database.PATIENCE_SECONDS", 0.1)
    await journal.create("r1", [created("r1")])
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        notes = [journal.append("r1", [event("r1", EventKind.NOTED)]) for _ in range(3)]
        for error in await asyncio.gather(*notes, return_exceptions=True):
            assert isinstance(error, StoreError)
            assert error.exit_code == 5
            assert error.message == f"{path}: database is locked"
            assert "another process holds it" in error.hint
        holder.execute("ROLLBACK")
    assert [each.seq for each in await journal.append("r1", [event("r1", EventKind.NOTED)])] == [2]


def test_a_claim_counted_before_a_reboot_holds_no_more() -> None:
    """The steady count begins anew with the machine; a claim is never longer than made for."""
    assert is_in_force(until=105.0, seconds=10.0, now=100.0)
    assert not is_in_force(until=100.0, seconds=10.0, now=100.0)
    assert not is_in_force(until=90_000.0, seconds=10.0, now=3.0)
