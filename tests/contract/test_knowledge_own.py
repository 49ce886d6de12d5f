"""The embedded knowledge: time, processes, damage, and what it reads of a folder."""

import asyncio
import sqlite3
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from oneiric.adapters.knowledge.sqlite import SqliteKnowledge, SqliteKnowledgeSettings
from oneiric.ports import AdapterError, ConflictError, UnavailableError
from oneiric.testing import ManualClock

WRITER = """
import asyncio, sys
from pathlib import Path
from oneiric.adapters.knowledge.sqlite import SqliteKnowledge, SqliteKnowledgeSettings
from oneiric.ports import ConflictError

async def main(path, swarm, name):
    settings = SqliteKnowledgeSettings(path=Path(path), durable=False)
    knowledge = SqliteKnowledge(settings)
    await knowledge.init()
    for number in range(25):
        await knowledge.remember(f"{name} {number}")
        while True:
            seen = await knowledge.get_state(swarm, key="count")
            try:
                await knowledge.set_state(
                    swarm, agent_id=name, key="count", value=(seen["value"] or 0) + 1,
                    expected_version=seen["version"],
                )
                break
            except ConflictError:
                continue
    await knowledge.cleanup()

asyncio.run(main(*sys.argv[1:]))
"""


def settings_in(folder: Path, **more: Any) -> SqliteKnowledgeSettings:
    path = folder / "state" / "knowledge.sqlite"
    return SqliteKnowledgeSettings(path=path, folder=folder, durable=False, **more)


@pytest.fixture
def clock() -> ManualClock:
    """A clock that the test moves."""
    return ManualClock()


@pytest.fixture
async def knowledge(tmp_path: Path, clock: ManualClock) -> Any:
    """A knowledge of one's own."""
    found = SqliteKnowledge(settings_in(tmp_path), clock=clock)
    await found.init()
    yield found
    await found.cleanup()


async def test_what_has_expired_is_forgotten(knowledge: Any, clock: ManualClock) -> None:
    """A memory after its days, a value after its seconds; its version goes on."""
    await knowledge.remember("short", ttl_days=1)
    await knowledge.remember("long", ttl_days=None)
    swarm = (await knowledge.create_swarm("s"))["swarm_id"]
    await knowledge.set_state(swarm, agent_id="a", key="k", value=1, ttl_seconds=60)
    clock.advance(timedelta(days=2).total_seconds())
    listed = await knowledge.list_memories()
    value = await knowledge.get_state(swarm, key="k")
    again = await knowledge.set_state(swarm, agent_id="a", key="k", value=2, expected_version=0)

    assert [each["content"] for each in listed["memories"]] == ["long"]
    assert (await knowledge.recall("short"))["memories"] == []
    assert (value["found"], again["version"]) == (False, 2)


async def test_two_processes_lose_no_write(tmp_path: Path) -> None:
    """Four of them remember, and count in one value, each from the version that it saw."""
    knowledge = SqliteKnowledge(settings_in(tmp_path))
    await knowledge.init()
    swarm: Any = (await knowledge.create_swarm("s"))["swarm_id"]
    path = str(tmp_path / "state" / "knowledge.sqlite")
    ended = await asyncio.gather(
        *(
            asyncio.create_subprocess_exec(sys.executable, "-c", WRITER, path, swarm, name)
            for name in "abcd"
        )
    )

    assert [await each.wait() for each in ended] == [0] * 4
    assert (await knowledge.list_memories())["total_count"] == 100
    assert (await knowledge.get_state(swarm, key="count"))["value"] == 100
    await knowledge.cleanup()


async def test_what_was_kept_outlives_the_process(tmp_path: Path) -> None:
    """In a folder that is its owner's alone."""
    for number in range(2):
        knowledge = SqliteKnowledge(settings_in(tmp_path))
        await knowledge.init()
        assert (await knowledge.list_memories())["total_count"] == number
        await knowledge.remember("kept")
        await knowledge.cleanup()

    assert (tmp_path / "state").stat().st_mode & 0o077 == 0


async def test_a_refused_call_writes_nothing(knowledge: Any) -> None:
    """A feature whose parent is none leaves no workstream behind."""
    swarm = (await knowledge.create_swarm("s"))["swarm_id"]
    with pytest.raises(AdapterError):
        await knowledge.create_htask_feature(
            swarm, title="t", description="d", owner="o", parent_id="nobody"
        )

    assert (await knowledge.get_htask_tree(swarm))["trees"] == []


@pytest.mark.parametrize("content", [b"no database" * 100, "newer"])
async def test_a_file_that_is_no_knowledge_is_refused(content: Any, tmp_path: Path) -> None:
    """And left as it is."""
    path = tmp_path / "knowledge.sqlite"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA user_version = 1000")
        database.close()
    before = path.read_bytes()
    knowledge = SqliteKnowledge(SqliteKnowledgeSettings(path=path))
    with pytest.raises(AdapterError) as caught:
        await knowledge.init()

    assert not isinstance(caught.value, UnavailableError)
    assert path.read_bytes() == before


async def test_a_value_that_nobody_wrote_is_an_error_of_the_port(
    knowledge: Any, tmp_path: Path
) -> None:
    """Such as what another program has put into the file."""
    swarm = (await knowledge.create_swarm("s"))["swarm_id"]
    await knowledge.set_state(swarm, agent_id="a", key="k", value=1)
    with sqlite3.connect(tmp_path / "state" / "knowledge.sqlite") as database:
        database.execute("UPDATE states SET value = 'broken{'")
    database.close()

    with pytest.raises(AdapterError, match="nobody wrote"):
        await knowledge.get_state(swarm, key="k")
    assert await knowledge.remember("still works")


async def test_only_documents_of_the_folder_are_read(tmp_path: Path) -> None:
    """No file that a link leads to outside, none too long, none beyond the number."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.md").write_text("zebra secret")
    folder = tmp_path / "project"
    (folder / "docs").mkdir(parents=True)
    (folder / "docs" / "link.md").symlink_to(outside / "secret.md")
    (folder / "linked").symlink_to(outside)
    (folder / "code.py").write_text("zebra = 1")
    (folder / "long.md").write_text("zebra " * 1_000)
    for number in range(5):
        (folder / "docs" / f"{number}.md").write_text(f"# zebra {number}")
    knowledge = SqliteKnowledge(
        settings_in(folder, max_files=3, max_file_bytes=5_000, documents=("*.md", "docs/*.md"))
    )
    await knowledge.init()
    found: Any = await knowledge.query_context("zebra")
    await knowledge.cleanup()

    assert sorted(each["file"] for each in found["sections"]) == ["docs/0.md", "docs/1.md"]


@pytest.mark.parametrize("pattern", ["/etc/*", "../*.md", ""])
def test_a_pattern_stays_inside_the_folder(pattern: str) -> None:
    """Refused before anything is read."""
    with pytest.raises(ValueError, match="stays inside"):
        SqliteKnowledgeSettings(documents=(pattern,))


async def test_a_locked_file_is_unavailable_and_the_loop_goes_on(
    knowledge: Any, tmp_path: Path
) -> None:
    """Another writer is waited for in a thread, for some seconds."""
    database = sqlite3.connect(tmp_path / "state" / "knowledge.sqlite", isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    turns = 0
    call = asyncio.create_task(knowledge.remember("x"))
    while not call.done():
        turns += 1
        await asyncio.sleep(0.01)
    database.execute("ROLLBACK")
    database.close()

    with pytest.raises(UnavailableError):
        call.result()
    assert turns > 50
    assert await knowledge.remember("y")


async def test_expected_versions_of_two_processes_conflict(tmp_path: Path) -> None:
    """The later one is told, whoever it is."""
    first, second = (SqliteKnowledge(settings_in(tmp_path)) for _ in range(2))
    await asyncio.gather(first.init(), second.init())
    swarm: Any = (await first.create_swarm("s"))["swarm_id"]
    await first.set_state(swarm, agent_id="a", key="k", value=1)
    await second.set_state(swarm, agent_id="b", key="k", value=2, expected_version=1)
    with pytest.raises(ConflictError, match="has version 2, not 1"):
        await first.set_state(swarm, agent_id="a", key="k", value=3, expected_version=1)

    await asyncio.gather(first.cleanup(), second.cleanup())
