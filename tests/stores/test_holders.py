"""Claims of processes that have ended: known to be over, where that can be known."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from oneiric.clock import SystemClock
from oneiric.runs.journal import Lease
from oneiric.stores.journal import Durability, SqliteJournal
from tests.architecture.source import ROOT
from tests.runs.journal_laws import created

LEASE_SECONDS = 3600
DIED = """
import asyncio, os, sys
from pathlib import Path
from oneiric.clock import SystemClock
from oneiric.runs.journal import Lease
from oneiric.stores.journal import SqliteJournal
from tests.runs.journal_laws import created

async def main():
    journal = SqliteJournal(Path(sys.argv[1]), clock=SystemClock())
    for run_id in sys.argv[4:]:
        await journal.create(run_id, [created(run_id)], holder=sys.argv[3], seconds=3600)
    if sys.argv[2] != "-" and not os.fork():
        os.read(int(sys.argv[2]), 1)
    os._exit(0)
asyncio.run(main())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is."""
    return tmp_path / "oneiric.sqlite"


@pytest.fixture(params=list(Durability))
async def journal(path: Path, request: pytest.FixtureRequest) -> AsyncIterator[SqliteJournal]:
    """The journal of this process."""
    made = SqliteJournal(path, clock=SystemClock(), durability=request.param)
    yield made
    await made.aclose()


def died(path: Path, holder: str, *run_ids: str, child: int | None = None) -> None:
    """Have a process create runs as *holder*, and end without a word.

    With a descriptor it has a child, which lives until that can be read.
    """
    words = [str(path), "-" if child is None else str(child), holder, *run_ids]
    subprocess.run(
        [sys.executable, "-c", DIED, *words],
        cwd=ROOT,
        check=True,
        timeout=60,
        pass_fds=[] if child is None else [child],
    )


def files(path: Path) -> list[str]:
    """Return the files of holders."""
    folder = path.with_name("oneiric.sqlite-holders")
    return sorted(each.name for each in folder.iterdir()) if folder.exists() else []


async def test_promise_w8_the_claim_of_a_dead_process_has_ended(
    path: Path, journal: SqliteJournal
) -> None:
    """It is listed so, and each of its runs can be claimed at once, with a higher token."""
    died(path, "dead", "r1", "r2")
    listed = [(each.holder, each.is_held) for each in await journal.runs()]
    leases = [
        await journal.claim(each, holder="me", seconds=LEASE_SECONDS) for each in ("r1", "r2")
    ]

    assert listed == [("dead", False), ("dead", False)]
    assert leases == [Lease(each, "me", 2) for each in ("r1", "r2")]
    assert [each.is_held for each in await journal.runs()] == [True, True]


async def test_promise_w8_the_claim_of_a_living_process_is_respected(
    path: Path, journal: SqliteJournal
) -> None:
    """As long as it has its journal open; one that closed it without a release, for the lease."""
    other = SqliteJournal(path, clock=SystemClock())
    await other.create("r1", [created("r1")], holder="living", seconds=LEASE_SECONDS)
    while_open = await journal.claim("r1", holder="me", seconds=LEASE_SECONDS)
    await other.aclose()
    closed = await journal.claim("r1", holder="me", seconds=LEASE_SECONDS)
    assert (while_open, closed) == (None, None)
    assert [each.is_held for each in await journal.runs()] == [True]


async def test_a_journal_that_closes_leaves_no_file_and_one_that_reads_makes_none(
    path: Path, journal: SqliteJournal
) -> None:
    """There is one while a holder claims, and nothing for those who only look or append."""
    await journal.create("r1", [created("r1")])
    await journal.runs()
    before = files(path)
    await journal.claim("r1", holder="me", seconds=LEASE_SECONDS)
    during = files(path)
    await journal.aclose()
    assert (before, during, files(path)) == ([], ["me"], [])


async def test_what_dead_holders_left_is_removed_when_nothing_needs_it_any_more(
    path: Path, journal: SqliteJournal
) -> None:
    """With the first claim of another; as long as runs are still theirs it stays."""
    died(path, "done", "r1")
    died(path, "dead", "r2")
    assert await journal.claim("r1", holder="one", seconds=LEASE_SECONDS)
    first = files(path)
    assert await journal.claim("r2", holder="two", seconds=LEASE_SECONDS)
    assert await journal.claim("r2", holder="two", seconds=LEASE_SECONDS)
    second = files(path)
    await journal.create("r3", [created("r3")], holder="three", seconds=LEASE_SECONDS)
    assert first == ["dead", "done", "one"]
    assert second == ["dead", "one", "two"]
    assert files(path) == ["one", "three", "two"]


@pytest.mark.parametrize("where", ["another-machine\n", ""])
async def test_a_holder_that_is_not_known_to_be_of_this_machine_keeps_its_lease(
    path: Path, journal: SqliteJournal, where: str
) -> None:
    """Its lock may not be seen from here; when nothing needs its file, that is removed too."""
    died(path, "far", "r1")
    (path.with_name("oneiric.sqlite-holders") / "far").write_text(where)
    assert await journal.claim("r1", holder="me", seconds=LEASE_SECONDS) is None
    assert [each.is_held for each in await journal.runs()] == [True]
    assert files(path) == ["far", "me"]


@pytest.mark.parametrize("holder", ["../far", "a/b", ".hidden", "x" * 300])
async def test_a_holder_whose_name_is_no_name_of_a_file_has_a_lease_alone(
    path: Path, journal: SqliteJournal, holder: str
) -> None:
    """Nothing is made anywhere, and nothing is looked at."""
    (path.parent / "far").write_text("")
    await journal.create("r1", [created("r1")], holder=holder, seconds=LEASE_SECONDS)
    assert files(path) == []
    assert await journal.claim("r1", holder="me", seconds=LEASE_SECONDS) is None
    assert (path.parent / "far").read_text() == ""


async def test_where_no_file_can_be_made_leases_alone_count(
    path: Path, journal: SqliteJournal
) -> None:
    """A full disk, or something else in its place: runs are claimed all the same."""
    path.with_name("oneiric.sqlite-holders").write_text("in the way")
    _, lease = await journal.create("r1", [created("r1")], holder="me", seconds=LEASE_SECONDS)
    assert lease is not None
    assert await journal.claim("r1", holder="you", seconds=LEASE_SECONDS) is None


async def test_files_of_holders_are_nobody_elses(path: Path, journal: SqliteJournal) -> None:
    """The folder has mode 0700, each file 0600, whatever the umask."""
    umask = os.umask(0)
    try:
        await journal.create("r1", [created("r1")], holder="me", seconds=LEASE_SECONDS)
    finally:
        os.umask(umask)
    folder = path.with_name("oneiric.sqlite-holders")
    assert [oct(each.stat().st_mode & 0o777) for each in (folder, folder / "me")] == [
        "0o700",
        "0o600",
    ]


async def test_a_process_that_forked_is_not_gone_as_long_as_its_child_lives(
    path: Path, journal: SqliteJournal
) -> None:
    """Where the lock was inherited it says nothing, and the lease counts."""
    reader, writer = os.pipe()
    died(path, "forked", "r1", child=reader)
    while_inherited = await journal.claim("r1", holder="me", seconds=LEASE_SECONDS)
    os.close(writer)
    os.close(reader)
    assert while_inherited is None
