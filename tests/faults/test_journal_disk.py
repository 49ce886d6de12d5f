"""A disk without room, and a file that was damaged: clear errors, and nothing worse."""

import asyncio
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection

import pytest

from oneiric.clock import SystemClock
from oneiric.errors import StoreError
from oneiric.runs.event import EventKind
from oneiric.stores import journal as journal_module
from oneiric.stores.database import open_writer
from oneiric.stores.journal import Durability, SqliteJournal
from oneiric.stores.upkeep import JournalCheck, check
from tests.faults.children import appender
from tests.faults.conftest import Tell
from tests.runs.journal_laws import created, event

LARGE = "x" * 50_000


@dataclass(frozen=True)
class SmallDisk:
    """A place with little room, and what makes more."""

    path: Path
    make_room: Callable[[], None]


def may_mount(folder: Path) -> bool:
    """Tell whether this user may mount a file system of memory there."""
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    linux = sys.platform == "linux" and os.geteuid() == 0
    return linux and subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.fixture
def few_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallDisk:
    """A database that may not grow, as on a disk with a quota."""
    opened: list[Connection] = []

    def open_small(path: Path, migrations: tuple[str, ...], synchronous: str) -> Connection:
        connection = open_writer(path, migrations, synchronous)
        connection.execute("PRAGMA max_page_count = 200")
        opened.append(connection)
        return connection

    monkeypatch.setattr(journal_module, "open_writer", open_small)
    return SmallDisk(
        tmp_path / "oneiric.sqlite",
        lambda: opened[-1].execute("PRAGMA max_page_count = 100000").close(),
    )


@pytest.fixture
def small_disk(tmp_path: Path, few_pages: SmallDisk) -> Iterator[SmallDisk]:
    """A real disk of 4 MiB, half of it taken, where one may be mounted; else few pages."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not may_mount(folder):
        yield few_pages
        return
    ballast = folder / "ballast"
    ballast.write_bytes(b"x" * (2 << 20))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal_module, "open_writer", open_writer)
        yield SmallDisk(folder / "oneiric.sqlite", ballast.unlink)
    subprocess.run(["umount", str(folder)], check=True)


async def fill_up(disk: SmallDisk, durability: Durability) -> dict[str, int]:
    """Append until there is no room, make room and go on; return what happened how often."""
    journal = SqliteJournal(disk.path, clock=SystemClock(), durability=durability)
    await journal.create("r1", [created("r1")])
    large = event("r1", EventKind.NOTED, text=LARGE)
    stored, refused = 1, list[StoreError]()
    while len(refused) < 3:
        try:
            (last,) = await journal.append("r1", [large])
        except StoreError as error:
            refused.append(error)
        else:
            stored += 1
            assert last.seq == stored
    for each in refused:
        assert each.exit_code == 5
        assert "full" in each.message
        assert each.hint == "make room; what was stored before is unharmed"
    assert len(await journal.read("r1")) == stored
    disk.make_room()
    for _ in range(3):
        (last,) = await journal.append("r1", [large])
        stored += 1
        assert last.seq == stored
    await journal.aclose()
    return {"stored": stored, "refused": len(refused)}


@pytest.mark.parametrize("durability", Durability)
@pytest.mark.parametrize("disk", ["small_disk", "few_pages"])
def test_a_full_disk_loses_nothing_and_is_got_over(
    disk: str, durability: Durability, request: pytest.FixtureRequest, tell: Tell
) -> None:
    """Appends fail with a hint, what was stored is readable, and with room they work again."""
    small: SmallDisk = request.getfixturevalue(disk)
    counts = asyncio.run(fill_up(small, durability))
    tell(counts)
    assert check(small.path) == JournalCheck(1, counts["stored"], ())


async def _fill(path: Path, runs: int) -> None:
    journal = SqliteJournal(path, clock=SystemClock())
    for number in range(runs):
        run_id = f"r{number}"
        await journal.create(run_id, [created(run_id)])
        await journal.append(run_id, [event(run_id, EventKind.NOTED, text="y" * 3000)] * 10)
    await journal.aclose()


async def _try_everything(path: Path) -> set[str]:
    """Use every verb, and return what came of them: `done`, or what the error said."""
    journal = SqliteJournal(path, clock=SystemClock())
    errors, done = list[StoreError](), set[str]()
    for verb in (
        lambda: journal.runs(),
        lambda: journal.read("r3"),
        lambda: journal.read("r7"),
        lambda: journal.claim("r3", holder="me", seconds=1),
        lambda: journal.append("r7", [event("r7", EventKind.NOTED)]),
        lambda: journal.create("new", [created("new")], holder="me", seconds=1),
        lambda: journal.aclose(),
    ):
        try:
            await verb()
        except StoreError as error:
            errors.append(error)
        else:
            done.add("done")
    assert all(error.exit_code == 5 and str(path) in error.message for error in errors)
    return done | {error.message for error in errors}


def flip(content: bytes, places: range, chance: random.Random) -> bytes:
    """Return *content* with 40 bytes in *places* changed."""
    changed = bytearray(content)
    for place in chance.choices(places, k=40):
        changed[place] ^= chance.randrange(1, 256)
    return bytes(changed)


@pytest.mark.parametrize("where", ["header", "middle", "end", "anywhere"])
def test_flipped_bytes_are_errors_of_the_store(tmp_path: Path, where: str, tell: Tell) -> None:
    """Whatever is damaged, a verb works or says that the store cannot; nothing is made anew."""
    path, chance = tmp_path / "oneiric.sqlite", random.Random(where)
    asyncio.run(_fill(path, 10))
    whole = path.read_bytes()
    size = len(whole)
    places = {
        "header": range(100),
        "middle": range(4096, size // 2),
        "end": range(size // 2, size),
        "anywhere": range(size),
    }[where]
    refused = 0
    for _ in range(15):
        path.write_bytes(flip(whole, places, chance))
        for each in ("-wal", "-shm"):
            path.with_name(path.name + each).unlink(missing_ok=True)
        outcomes = asyncio.run(_try_everything(path))
        refused += outcomes != {"done"}
        assert path.stat().st_size >= size
    tell({"damaged": 15, "refused": refused})
    assert refused or where != "header"


def is_sound(path: Path) -> bool:
    """Tell whether a check reads the file and finds nothing wrong."""
    try:
        return check(path).is_sound
    except StoreError:
        return False


@pytest.mark.parametrize("left", [0.9, 0.5, 0.1])
def test_a_file_that_was_cut_off_is_an_error(tmp_path: Path, left: float) -> None:
    """A shorter file is told as damaged by the verbs or the check, and not made anew."""
    path = tmp_path / "oneiric.sqlite"
    asyncio.run(_fill(path, 10))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * left)])
    outcomes = asyncio.run(_try_everything(path))
    assert outcomes != {"done"}
    assert not is_sound(path)
    assert path.read_bytes()[:100] == whole[:100]


@pytest.mark.parametrize("garbage", [b"", b"no log", bytes(range(256)) * 64])
def test_garbage_in_place_of_what_was_written_ahead_is_passed_over(
    tmp_path: Path, garbage: bytes
) -> None:
    """A `-wal` file that SQLite did not write changes nothing of what the database holds."""
    path = tmp_path / "oneiric.sqlite"
    asyncio.run(_fill(path, 10))
    path.with_name("oneiric.sqlite-wal").write_bytes(garbage)
    assert asyncio.run(_try_everything(path)) == {"done"}
    assert check(path).problems == ()


def test_a_damaged_log_costs_what_came_after_the_damage_and_nothing_before(
    tmp_path: Path, tell: Tell
) -> None:
    """The `-wal` of a killed process with a flipped byte: runs stay gapless and sound."""
    path, log = tmp_path / "oneiric.sqlite", tmp_path / "oneiric.sqlite-wal"
    process = appender(path, Durability.POWER_LOSS, 3)
    process.wait_for("r0", 20)
    process.kill()
    written, whole, chance = log.read_bytes(), path.read_bytes(), random.Random(5)
    assert len(written) > 50_000
    counts = {"damaged": 0, "kept": 0}
    for _ in range(20):
        path.write_bytes(whole)
        log.write_bytes(flip(written, range(len(written) // 2, len(written)), chance))
        path.with_name("oneiric.sqlite-shm").unlink(missing_ok=True)
        found = check(path)
        assert found.problems == ()
        counts["damaged"] += 1
        counts["kept"] += found.events
    tell(counts)
    assert counts["kept"]


HOLD = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
connection.execute("DELETE FROM events")
print("held", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("durability", Durability)
def test_a_process_that_dies_with_the_database_locked_costs_nothing(
    tmp_path: Path, durability: Durability
) -> None:
    """What a killed holder of the lock had not committed is gone, and appends go on at once."""
    path = tmp_path / "oneiric.sqlite"

    command = [sys.executable, "-c", HOLD, str(path)]

    async def held() -> list[int]:
        journal = SqliteJournal(path, clock=SystemClock(), durability=durability)
        await journal.create("r1", [created("r1")])
        holder = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        assert holder.stdout is not None
        assert await holder.stdout.readline() == b"held\n"
        waiting = asyncio.ensure_future(journal.append("r1", [event("r1", EventKind.NOTED)]))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        holder.kill()
        await holder.wait()
        await waiting
        numbers = [each.seq for each in await journal.read("r1")]
        await journal.aclose()
        return numbers

    assert asyncio.run(held()) == [1, 2]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
