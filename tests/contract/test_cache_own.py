"""What single caches promise beyond their port."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from oneiric.adapters.cache.memory import MemoryCache, MemoryCacheSettings
from oneiric.core.candidate import Candidate
from oneiric.core.handle import Handle
from oneiric.core.health import HealthReport
from oneiric.core.lifecycle import LifecycleManager
from oneiric.core.resolver import Resolver
from oneiric.ports import CACHE, Cache, CacheValue, UnavailableError
from oneiric.ports.cache import pack_value
from tests.contract.cases import CASES, Find, ProviderCase, Surroundings, brought_up
from tests.servers import RedisServer, TcpProxy

TIERS, NEAR = CACHE.offer("tiers"), CACHE.offer("near")
REDIS, MULTITIER = "adapter:cache@redis", "adapter:cache@multitier"
for_redis = pytest.mark.parametrize("case", [CASES[REDIS]], ids=["cache@redis"], indirect=True)
for_tiers = pytest.mark.parametrize(
    "case", [CASES[MULTITIER]], ids=["cache@multitier"], indirect=True
)


class HandClock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds


async def until(true: Callable[[], Awaitable[bool]], seconds: float = 5) -> bool:
    """Wait for what *true* awaits to become so."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if await true():
            return True
        await asyncio.sleep(0.01)
    return False


async def test_memory_forgets_what_was_used_least_recently() -> None:
    """Reading and writing are use, asking for the time left is not."""
    cache = MemoryCache(MemoryCacheSettings(max_entries=3))
    for key in "abc":
        await cache.set(key, key)
    await cache.get("a")
    await cache.expire_in("b")
    await cache.set("d", "d")

    assert await cache.get_many("abcd") == {"a": "a", "c": "c", "d": "d"}


async def test_memory_drops_what_has_expired_before_what_is_used() -> None:
    """Room is made by the dead first, and their bookkeeping does not grow for ever."""
    clock: Any = HandClock()
    cache = MemoryCache(MemoryCacheSettings(max_entries=3), clock=clock)
    await cache.set("old", 1)
    await cache.set("dead", 2, ttl=1)
    await cache.set("young", 3)
    clock.seconds += 1
    await cache.set("new", 4)
    for _ in range(10_000):
        await cache.set("again", 5, ttl=1000)
    await cache.delete("again")

    assert await cache.get_many(["old", "dead", "young", "new"]) == {"young": 3, "new": 4}
    assert len(cache._deadlines) < 2000


@for_redis
async def test_redis_clear_keeps_the_keys_of_others(
    case: ProviderCase, here: Surroundings, redis_server: RedisServer
) -> None:
    """Also when the prefix looks like a pattern."""
    here.namespace += "[ab]*?\\^-"
    foreign = [here.namespace[:-1], here.namespace.replace("[ab]", "a"), "x" + here.namespace]
    for key in foreign:
        redis_server.run("SET", key, "theirs")
    async with brought_up(here) as find:
        cache: Cache = await find(REDIS)
        await cache.set_many({"a": 1, "b": 2})
        await cache.clear()

        assert await cache.get_many(["a", "b"]) == {}
    assert [redis_server.run("GET", key) for key in foreign] == [b"$6\r\ntheirs\r\n"] * 3


@for_redis
async def test_cancelled_calls_cost_no_connection(
    case: ProviderCase, here: Surroundings, redis_server: RedisServer
) -> None:
    """After hundreds of them the two connections are the same ones, and both free."""
    here.changes[REDIS] = {"max_connections": 2, "client_name": here.namespace}
    async with brought_up(here) as find:
        cache: Cache = await find(REDIS)
        await asyncio.gather(*(cache.get("k") for _ in range(10)))
        before = connections(redis_server, here.namespace)
        for steps in range(100):
            calls = [asyncio.create_task(cache.set("k", n)) for n in range(4)]
            for _ in range(steps % 10):
                await asyncio.sleep(0)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        await asyncio.gather(*(cache.get("k") for _ in range(10)))

        assert connections(redis_server, here.namespace) == before
        assert 1 <= len(before) <= 2


def connections(server: RedisServer, name: str) -> set[str]:
    """Return the ids of the server's connections of that client name."""
    lines = server.run("CLIENT", "LIST").decode().splitlines()
    return {line.split()[0] for line in lines if f"name={name} " in line}


@for_redis
async def test_redis_keeps_json_that_others_can_read(
    case: ProviderCase, component: Find, here: Surroundings, redis_server: RedisServer
) -> None:
    """And reads what is written in that form."""
    cache: Cache = await component(REDIS)
    await cache.set("k", {"a": 1})
    redis_server.run("SET", here.namespace + "n", "41")

    assert redis_server.run("GET", here.namespace + "k") == b'$7\r\n{"a":1}\r\n'
    assert await cache.increment("n") == 42


@for_redis
async def test_redis_tells_what_others_change(
    case: ProviderCase, component: Find, here: Surroundings, redis_server: RedisServer
) -> None:
    """From entering on; an expiry too, and a flush as all keys."""
    cache: Any = await component(REDIS)
    async with cache.invalidations() as changes:
        redis_server.run("SET", here.namespace + "k", "1")
        redis_server.run("SET", "foreign", "1")
        redis_server.run("SET", here.namespace + "e", "1", "PX", "20")
        told = [await anext(changes) for _ in range(2)]
        async with asyncio.timeout(5):
            told.append(await anext(changes))

    assert told == [["k"], ["e"], ["e"]]


@for_redis
async def test_a_feed_ends_with_an_error_when_the_cache_is_cleaned_up(
    case: ProviderCase, component: Find
) -> None:
    """So its reader knows that it may have missed something."""
    cache: Any = await component(REDIS)
    async with cache.invalidations() as changes:
        waiting = asyncio.create_task(anext(changes))
        await asyncio.sleep(0.05)
        await cache.cleanup()
        async with asyncio.timeout(2):
            with pytest.raises(UnavailableError):
                await waiting


@for_tiers
async def test_a_read_is_served_near_until_somebody_changes_it(
    case: ProviderCase, component: Find, here: Surroundings, redis_server: RedisServer
) -> None:
    """By whatever client, in whatever process."""
    async with TcpProxy(redis_server.port) as proxy:
        here.redis_port = proxy.port
        cache: Cache = await component(MULTITIER)
        await cache.set("k", 1)
        first = await cache.get("k")
        proxy.stall()
        async with asyncio.timeout(1):
            near = await cache.get("k")
        proxy.flow()
        redis_server.run("SET", here.namespace + "k", "2")

        async def changed() -> bool:
            return await cache.get("k") == 2

        assert (first, near) == (1, 1)
        assert await until(changed)


WRITER = """
import asyncio, sys
from oneiric.adapters.cache.redis import RedisCache, RedisCacheSettings

async def main():
    cache = RedisCache(RedisCacheSettings(port=int(sys.argv[1]), key_prefix=sys.argv[2]))
    await cache.init()
    for number in range(1, 301):
        await cache.set("k", number)
        await asyncio.sleep(0)
    await cache.cleanup()

asyncio.run(main())
"""


@for_tiers
async def test_two_processes_stay_coherent(
    case: ProviderCase, component: Find, here: Surroundings, redis_server: RedisServer
) -> None:
    """While another process writes, readers never go back, and soon all see the last value."""
    cache: Cache = await component(MULTITIER)
    await cache.set("k", 0)
    words = (sys.executable, "-c", WRITER, str(redis_server.port), here.namespace)
    writer = await asyncio.create_subprocess_exec(*words)
    seen: list[int] = []

    async def last() -> bool:
        value: Any = await cache.get("k")
        seen.append(value)
        return bool(value == 300)

    arrived = await until(last, seconds=20)

    assert await writer.wait() == 0
    assert arrived
    assert seen == sorted(seen)


@for_tiers
async def test_without_its_feed_the_near_tier_is_not_read(
    case: ProviderCase, here: Surroundings, redis_server: RedisServer
) -> None:
    """A change that nobody could tell is seen all the same, and later it serves again."""
    async with TcpProxy(redis_server.port) as proxy:
        here.redis_port = proxy.port
        here.changes[MULTITIER] = {"follow_retry_seconds": 0.3}
        async with brought_up(here) as find:
            cache: Cache = await find(MULTITIER)
            await cache.set("k", 1)
            await cache.get("k")
            proxy.cut()
            redis_server.run("SET", here.namespace + "k", "2")
            await asyncio.sleep(0.1)
            unfollowed = await cache.get("k")
            state: Any = cache

            async def following() -> bool:
                name: str = state._state.name
                return name == "FOLLOWING"

            assert unfollowed == 2
            assert await until(following)


@for_tiers
async def test_a_change_during_a_load_is_not_overwritten_near(
    case: ProviderCase, component: Find
) -> None:
    """Writers and readers in one process: after the last write nobody reads an older value."""
    cache: Cache = await component(MULTITIER)

    async def read() -> None:
        for _ in range(100):
            await cache.get("k")

    for number in range(20):
        readers = [asyncio.create_task(read()) for _ in range(4)]
        await asyncio.sleep(0.001)
        await cache.set("k", number)
        assert await cache.get("k") == number
        await asyncio.gather(*readers)
        assert await cache.get("k") == number


class Spy(MemoryCache):
    """A memory cache that counts what is read from it."""

    reads = 0

    async def get_many(self, keys: Any) -> Any:
        self.reads += 1
        return await super().get_many(keys)


def two_tiers(spy: Spy) -> Resolver:
    resolver = Resolver()
    resolver.register(Candidate("adapter:cache", "near", MemoryCache))
    resolver.register(Candidate("adapter:cache", "far", lambda: spy))
    resolver.register(
        Candidate(
            "adapter:cache",
            "tiers",
            "oneiric.adapters.cache.multitier:MultiTierCache",
            settings_model="oneiric.adapters.cache.multitier:MultiTierCacheSettings",
            requires={"near": "adapter:cache@near", "far": "adapter:cache@far"},
        )
    )
    return resolver


async def test_any_two_caches_make_two_tiers() -> None:
    """Where the far one tells no changes a near entry lives `near_ttl` at most."""
    spy = Spy()

    class Source:
        """Give every component the same."""

        def settings_for(self, candidate: Candidate, model: Any) -> Any:
            return model(near_ttl=0.05)

    manager = LifecycleManager(two_tiers(spy), settings=Source())
    handle: Handle[Cache] = manager.use(TIERS)
    async with manager, handle as cache:
        await cache.set("k", {"a": 1}, ttl=60)
        values = [await cache.get("k") for _ in range(10)]
        reads = spy.reads
        await spy.set("k", 2)
        await asyncio.sleep(0.06)

        assert values == [{"a": 1}] * 10
        assert reads == 1
        assert await cache.get("k") == 2


async def test_a_near_tier_that_is_shared_is_not_disturbed() -> None:
    """Keys do not collide, and `clear` leaves the keys of others near."""
    spy = Spy()
    manager = LifecycleManager(two_tiers(spy))
    tiered: Handle[Cache] = manager.use(TIERS)
    shared: Handle[Cache] = manager.use(NEAR)
    async with manager, tiered as tiers, shared as near:
        await near.set("k", "theirs")
        await tiers.set("k", "mine")
        first = await tiers.get("k")
        await tiers.clear()

        assert first == "mine"
        assert await tiers.get("k") is None
        assert await near.get("k") == "theirs"


class Failing(MemoryCache):
    """A near tier whose server went away."""

    async def get_many(self, keys: Any) -> Any:
        raise UnavailableError("near", "is away")

    async def set(self, key: str, value: CacheValue, *, ttl: float | None = None) -> None:
        raise UnavailableError("near", "is away")


async def test_a_near_tier_that_fails_fails_no_call(caplog: pytest.LogCaptureFixture) -> None:
    """It only makes reading quicker; the far tier has the truth, and the log tells."""
    resolver = two_tiers(Spy())
    resolver.register(Candidate("adapter:cache", "near", Failing))
    manager = LifecycleManager(resolver)
    handle: Handle[Cache] = manager.use(TIERS)
    async with manager, handle as cache:
        await cache.set("k", 1)

        assert [await cache.get("k"), await cache.get_many(["k"])] == [1, {"k": 1}]
    assert "cache-near-tier-failed" in caplog.text


class Ending(MemoryCache):
    """A far tier whose feed of changes breaks its promise, by ending or by any error."""

    capabilities = frozenset({"invalidation"})
    error: Exception | None = None

    @asynccontextmanager
    async def invalidations(self) -> AsyncIterator[AsyncIterator[Sequence[str]]]:
        async def changes() -> AsyncIterator[Sequence[str]]:
            await asyncio.sleep(0)
            if self.error is not None:
                raise self.error
            return
            yield

        yield changes()


@pytest.mark.parametrize("error", [None, ZeroDivisionError()], ids=repr)
async def test_a_feed_that_breaks_in_any_way_stops_near_reads(
    error: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing that may be stale is served, whatever a foreign far tier does."""
    far = Ending()
    far.error = error
    resolver = two_tiers(Spy())
    resolver.register(Candidate("adapter:cache", "far", lambda: far))
    manager = LifecycleManager(resolver)
    handle: Handle[Cache] = manager.use(TIERS)
    async with manager, handle as cache:

        async def told() -> bool:
            return "cache-invalidation-lost" in caplog.text

        assert await until(told)
        await cache.set("k", 1)
        await cache.get("k")
        await far.set("k", 2)

        assert await cache.get("k") == 2


class SyncHealth(MemoryCache):
    """A far tier as a plugin may write one: its health is no coroutine."""

    def health(self) -> Any:
        return HealthReport(healthy=self.well, detail="" if self.well else "the disk is full")

    well = True


async def test_two_tiers_are_as_healthy_as_the_far_one() -> None:
    """With its reason, and whether or not it is told asynchronously."""
    far = SyncHealth()
    resolver = two_tiers(Spy())
    resolver.register(Candidate("adapter:cache", "far", lambda: far))
    async with LifecycleManager(resolver) as manager:
        await manager.activate(TIERS)
        far.well = False
        report = await manager.probe(TIERS)

    assert (report.healthy, report.detail) == (False, "the disk is full")


def test_a_packed_value_is_what_the_files_say() -> None:
    """The format is public, for other languages read it: JSON, or NUL and bytes."""
    assert json.loads(pack_value({"ä": [1, None, 1.5]})) == {"ä": [1, None, 1.5]}
    assert pack_value(b"\x00") == b"\x00\x00"
