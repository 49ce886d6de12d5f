"""Dead letters, in memory and in the state database: kept, claimed by one, and forgotten."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from oneiric.domains.events import MemoryDeadLetters
from oneiric.errors import StoreError
from oneiric.ports import DeadLetter, DeadLetters
from oneiric.stores.dead_letters import DeadLetterStore
from oneiric.stores.migrations import STATE
from oneiric.stores.selections import SelectionStore

LETTER = DeadLetter(
    id="l-2",
    handler="mail",
    event={"specversion": "1.0", "id": "1", "source": "x", "type": "a", "data": {"ü": [1, None]}},
    reason="failed",
    error="ValueError: no",
    attempts=3,
    at="2026-01-01T00:00:05.000000Z",
)
EARLIER = replace(LETTER, id="l-9", at="2026-01-01T00:00:01.000000Z")
NOW, SOON, LATER = (f"2026-01-01T00:0{minute}:00.000000Z" for minute in (1, 2, 3))


@pytest.fixture(params=[MemoryDeadLetters, DeadLetterStore])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> DeadLetters:
    made: Callable[..., DeadLetters] = request.param
    return made() if made is MemoryDeadLetters else made(tmp_path / "state" / "oneiric.sqlite")


async def test_letters_come_back_whole_and_oldest_first(store: DeadLetters) -> None:
    """Nothing is lost, and one with the same id replaces what was."""
    assert list(await store.letters()) == []
    await store.add(LETTER)
    await store.add(EARLIER)
    await store.add(replace(LETTER, attempts=4))
    assert list(await store.letters()) == [EARLIER, replace(LETTER, attempts=4)]


async def test_a_letter_is_claimed_by_one_until_the_claim_ends(store: DeadLetters) -> None:
    """A second claim gets nothing before the first one's time; then it may."""
    await store.add(LETTER)
    claims = await asyncio.gather(
        *(store.claim("l-2", now=NOW, until=SOON) for _ in range(4)),
    )
    assert [each for each in claims if each] == [replace(LETTER, claimed_until=SOON)]
    assert await store.claim("l-2", now=SOON, until=LATER) == replace(LETTER, claimed_until=LATER)
    assert await store.claim("l-1", now=NOW, until=LATER) is None


async def test_adding_a_letter_again_ends_its_claim(store: DeadLetters) -> None:
    """What a replay could not settle is free for the next."""
    await store.add(LETTER)
    claimed = await store.claim("l-2", now=NOW, until=LATER)
    assert claimed is not None
    await store.add(claimed)
    assert await store.claim("l-2", now=NOW, until=LATER) == claimed


async def test_removing_tells_whether_there_was_one(store: DeadLetters) -> None:
    """The first removal forgets it, the second finds nothing."""
    await store.add(LETTER)
    assert [await store.remove("l-2"), await store.remove("l-2")] == [True, False]
    assert list(await store.letters()) == []


async def test_many_writers_lose_nothing(store: DeadLetters) -> None:
    """Letters that are added at once are all there."""
    await asyncio.gather(*(store.add(replace(LETTER, id=f"l-{n}")) for n in range(20)))
    assert len(await store.letters()) == 20


async def test_looking_writes_nothing(tmp_path: Path) -> None:
    """Where there is no database, reading makes none."""
    store = DeadLetterStore(tmp_path / "state" / "oneiric.sqlite")
    assert list(await store.letters()) == []
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240


async def test_a_database_of_the_first_schema_is_read_and_taken_further(tmp_path: Path) -> None:
    """One without the table holds no letters; the first letter brings it to the present schema."""
    path = tmp_path / "oneiric.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(STATE[0])
        connection.execute("PRAGMA user_version = 1")
    store = DeadLetterStore(path)
    assert list(await store.letters()) == []
    await store.add(LETTER)
    assert list(await store.letters()) == [LETTER]
    assert SelectionStore(path).load() == {}


async def test_a_damaged_database_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    """Reading and writing fail with what to do."""
    path = tmp_path / "oneiric.sqlite"
    path.write_bytes(b"no database " * 100)
    store = DeadLetterStore(path)
    with pytest.raises(StoreError, match="oneiric.sqlite"):  # noqa: RUF043
        await store.letters()
    with pytest.raises(StoreError, match="oneiric.sqlite"):  # noqa: RUF043
        await store.add(LETTER)


CLAIM = """
import asyncio, sys
from pathlib import Path
from oneiric.stores.dead_letters import DeadLetterStore
async def main():
    store = DeadLetterStore(Path(sys.argv[1]))
    claims = [await store.claim(each.id, now=sys.argv[2], until=sys.argv[3])
              for each in await store.letters()]
    print(sum(each is not None for each in claims))
asyncio.run(main())
"""


async def test_processes_share_letters_and_claim_each_once(tmp_path: Path) -> None:
    """Two processes that want all letters get each letter once between them."""
    path = tmp_path / "oneiric.sqlite"
    store = DeadLetterStore(path)
    for number in range(20):
        await store.add(replace(LETTER, id=f"l-{number}"))
    command = [sys.executable, "-c", CLAIM, str(path), NOW, SOON]
    children = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
        for _ in range(2)
    ]
    counts = [int(child.communicate(timeout=60)[0]) for child in children]
    assert sum(counts) == 20
