"""What this plugin promises; components come up through the resolver, as they will at work."""

import asyncio
import fcntl
from collections.abc import Mapping
from pathlib import Path

import pytest
from oneiric import Candidate, Handle, JSONValue, LifecycleManager, Resolver
from oneiric.ports import UnavailableError

from oneiric_example.files import FileCache, FileCacheSettings
from oneiric_example.greeter import Greeter
from oneiric_example.plugin import ADAPTERS, SERVICES, TASKS
from oneiric_example.word_count import NoTextError, WordCount

ALLOWED = ("oneiric", "oneiric_example")


async def test_a_value_outlives_its_process(tmp_path: Path) -> None:
    """A second cache on the same folder reads what the first one wrote."""
    first = FileCache(FileCacheSettings(folder=tmp_path))
    await first.init()
    await first.set("k", {"a": [1, None, ""]})
    await first.cleanup()

    second = FileCache(FileCacheSettings(folder=tmp_path))
    await second.init()

    assert await second.get("k") == {"a": [1, None, ""]}


async def test_clear_keeps_files_that_are_no_entries(tmp_path: Path) -> None:
    """Clear deletes this cache's own files and nothing else."""
    cache = FileCache(FileCacheSettings(folder=tmp_path))
    await cache.init()
    await cache.set("k", 1)
    (tmp_path / "notes.txt").write_text("mine")

    await cache.clear()

    assert await cache.get("k") is None
    assert (tmp_path / "notes.txt").read_text() == "mine"


async def test_a_folder_that_vanished_is_unavailable(tmp_path: Path) -> None:
    """Health says so without raising, and calls fail in the port's words."""
    cache = FileCache(FileCacheSettings(folder=tmp_path / "cache"))
    await cache.init()
    for file in (tmp_path / "cache").iterdir():
        file.unlink()
    (tmp_path / "cache").rmdir()

    assert "the folder is gone" in (await cache.health()).detail
    with pytest.raises(UnavailableError):
        await cache.set("k", 1)


async def test_a_lock_that_another_process_keeps_is_unavailable(tmp_path: Path) -> None:
    """In time, and the loop goes on meanwhile; readers need no lock."""
    cache = FileCache(FileCacheSettings(folder=tmp_path, lock_timeout=0.05))
    await cache.init()
    await cache.set("k", 1)
    with (tmp_path / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = asyncio.create_task(cache.set("k", 2))
        await asyncio.sleep(0)
        while_locked = await cache.get("k")
        with pytest.raises(UnavailableError, match="was locked"):
            await waiting

    await cache.set("k", 3)
    assert (while_locked, await cache.get("k")) == (1, 3)


async def test_the_greeter_counts_in_whatever_cache_serves(tmp_path: Path) -> None:
    """The count lives in the cache: a swapped one begins anew, and the greeter goes on."""
    resolver = Resolver()
    resolver.register(SERVICES.candidates[0])
    for provider in ("one", "two"):
        cache = FileCache(FileCacheSettings(folder=tmp_path / provider))
        resolver.register(Candidate("adapter:cache", provider, lambda cache=cache: cache))

    async with LifecycleManager(resolver, allowed=ALLOWED) as lifecycle:
        handle: Handle[Greeter] = lifecycle.use("service:greeter")
        async with handle as greeter:
            first = [await greeter.greet("Ada"), await greeter.greet("Ada")]
            await lifecycle.swap("adapter:cache", provider="one")
            after = await greeter.greet("Ada")

    assert first == ["Hello, Ada! (greeted 1 times)", "Hello, Ada! (greeted 2 times)"]
    assert after == "Hello, Ada! (greeted 1 times)"


async def count_words(payload: Mapping[str, JSONValue]) -> Mapping[str, JSONValue]:
    resolver = Resolver()
    resolver.register(TASKS.candidates[0])
    async with LifecycleManager(resolver, allowed=ALLOWED) as lifecycle:
        handle: Handle[WordCount] = lifecycle.use("task:word-count")
        async with handle as task:
            return await task.run(payload)


async def test_words_are_counted_in_any_case() -> None:
    """The result is JSON, most common first, ties by spelling."""
    result = await count_words({"text": "The cat and the hat. Don't!"})

    assert result == {
        "words": 6,
        "different": 5,
        "most_common": [["the", 2], ["and", 1], ["cat", 1], ["don't", 1], ["hat", 1]],
    }


async def test_a_payload_without_text_is_refused() -> None:
    """The error says what is missing."""
    with pytest.raises(NoTextError, match="text"):
        await count_words({})


def test_each_entry_point_offers_its_own_domain() -> None:
    """The groups take nothing else."""
    offers = [[c.offer for c in plugin.candidates] for plugin in (ADAPTERS, SERVICES, TASKS)]

    assert offers == [
        ["adapter:cache@files"],
        ["service:greeter@example"],
        ["task:word-count@example"],
    ]
