"""Every cache keeps what the port `Cache` promises."""

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest

from oneiric.ports import TTL_LIMIT, Cache, CacheValue, InvalidRequestError
from tests.contract.cases import Find, ProviderCase, Surroundings, brought_up, for_each

pytestmark = for_each("cache")

VALUES: list[CacheValue] = [
    None,
    False,
    True,
    0,
    -1,
    2**63 - 1,
    -(2**63),
    0.0,
    1.5,
    "",
    "text",
    "übersicht 🜁 \x00 \ud800",
    b"",
    b"\x00\xff\x00",
    b"123",
    "123",
    [],
    {},
    {"a": [1, None, {"b": ""}], "": 0},
]


@pytest.fixture
async def cache(case: ProviderCase, component: Find) -> AsyncIterator[Cache]:
    """The cache of the case, empty at the end."""
    found: Cache = await component(case.offer)
    yield found
    await found.clear()


@pytest.mark.parametrize("value", VALUES, ids=repr)
async def test_a_value_comes_back_equal_and_of_its_kind(cache: Cache, value: CacheValue) -> None:
    """Bytes stay bytes, text stays text, and what is falsy is not taken for nothing."""
    await cache.set("k", value)

    found = [await cache.get("k", "default"), (await cache.get_many(["k"]))["k"]]

    assert found == [value, value]
    assert [type(one) for one in found] == [type(value), type(value)]


async def test_an_absent_key_gives_the_default(cache: Cache) -> None:
    """Nothing is not None, unless None is the default."""
    assert await cache.get("absent") is None
    assert await cache.get("absent", b"default") == b"default"
    assert await cache.get_many(["absent"]) == {}
    assert await cache.get_many([]) == {}
    assert await cache.delete("absent") is False
    assert await cache.expire_in("absent") is None


async def test_what_is_returned_belongs_to_the_caller(cache: Cache) -> None:
    """Neither what was put nor what was got is the entry itself."""
    mine: list[Any] = [1]
    await cache.set("k", mine)
    mine.append(2)
    first: Any = await cache.get("k")
    first.append(3)

    assert await cache.get("k") == [1]


async def test_a_tuple_comes_back_as_a_list(cache: Cache) -> None:
    """JSON knows one kind of sequence."""
    await cache.set("k", {"pair": (1, 2)})

    assert await cache.get("k") == {"pair": [1, 2]}


async def test_an_entry_expires(cache: Cache) -> None:
    """After its ttl an entry is gone for every call."""
    await cache.set("short", 1, ttl=0.05)
    await cache.set("long", 2, ttl=60)
    left = await cache.expire_in("long")
    await asyncio.sleep(0.1)

    assert left is not None
    assert 59 < left <= 60
    assert await cache.get_many(["short", "long"]) == {"long": 2}
    assert await cache.get("short", "gone") == "gone"
    assert await cache.expire_in("short") is None
    assert await cache.delete("short") is False
    assert await cache.add("short", 3) is True


async def test_an_entry_without_ttl_stays(cache: Cache) -> None:
    """Without a ttl there is no end, and a new value takes an earlier ttl away."""
    await cache.set("k", 1, ttl=60)
    await cache.set("k", 2)

    assert await cache.expire_in("k") == math.inf


async def test_the_default_ttl_holds_where_none_is_given(
    case: ProviderCase, here: Surroundings
) -> None:
    """Also for a counter that `increment` creates."""
    if case.offer == "adapter:cache@multitier":
        here.changes["adapter:cache@redis"] = {"default_ttl": 60}
    else:
        here.changes[case.offer] = {"default_ttl": 60}
    async with brought_up(here) as find:
        cache: Cache = await find(case.offer)
        await cache.set("a", 1)
        await cache.increment("b")
        await cache.increment("b")
        await cache.set("c", 1, ttl=5)
        left = [await cache.expire_in(key) or 0 for key in "abc"]
        await cache.clear()

    assert [round(seconds) for seconds in left] == [60, 60, 5]


async def test_of_many_adds_one_wins(cache: Cache) -> None:
    """The winner's value is what is kept."""
    won = await asyncio.gather(*(cache.add("k", number) for number in range(50)))

    assert won.count(True) == 1
    assert await cache.get("k") == won.index(True)


async def test_many_are_set_and_got_at_once(cache: Cache) -> None:
    """Those that are absent are left out."""
    await cache.set_many({"a": 1, "b": b"2"}, ttl=60)
    await cache.set_many({})

    assert await cache.get_many(["b", "a", "absent", "a"]) == {"b": b"2", "a": 1}
    assert await cache.expire_in("a") != math.inf


async def test_an_invalid_one_among_many_keeps_none(cache: Cache) -> None:
    """All or nothing."""
    with pytest.raises(InvalidRequestError):
        await cache.set_many({"a": 1, "b": math.nan})

    assert await cache.get("a") is None


async def test_counting_loses_nothing(cache: Cache) -> None:
    """A hundred increments at once give a hundred different results."""
    counts = await asyncio.gather(*(cache.increment("n") for _ in range(100)))

    assert sorted(counts) == list(range(1, 101))
    assert await cache.get("n") == 100
    assert await cache.increment("n", -100) == 0


async def test_a_counter_keeps_its_ttl(cache: Cache) -> None:
    """Counting neither ends nor prolongs an entry."""
    await cache.set("n", 5, ttl=60)

    assert await cache.increment("n", 2) == 7
    left = await cache.expire_in("n")
    assert left is not None
    assert 50 < left <= 60


@pytest.mark.parametrize("value", ["5", b"5", 1.0, True, None, [1], 2**63 - 1], ids=repr)
async def test_what_is_no_counter_is_not_counted(cache: Cache, value: CacheValue) -> None:
    """It is refused, also past 64 bits, and the value stays as it was."""
    await cache.set("k", value)

    with pytest.raises(InvalidRequestError):
        await cache.increment("k")

    assert await cache.get("k") == value


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, {1: 2}, {"a": b"b"}, {1, 2}, object(), 2**63, [object()]],
    ids=lambda value: type(value).__name__,
)
async def test_a_value_that_is_no_json_is_refused(cache: Cache, value: Any) -> None:
    """Before anything is kept."""
    with pytest.raises(InvalidRequestError):
        await cache.set("k", value)
    with pytest.raises(InvalidRequestError):
        await cache.add("k", value)

    assert await cache.get("k") is None


async def test_a_value_without_bottom_is_refused(cache: Cache) -> None:
    """Depth is bounded, so a value that holds itself is no endless loop."""
    endless: list[Any] = []
    endless.append(endless)

    with pytest.raises(InvalidRequestError, match="nested deeper"):
        await cache.set("k", endless)


@pytest.mark.parametrize("key", ["", "\ud800", 5, None], ids=repr)
async def test_a_key_that_is_no_text_is_refused(cache: Cache, key: Any) -> None:
    """By every call that takes a key."""
    calls = [
        cache.get(key),
        cache.set(key, 1),
        cache.add(key, 1),
        cache.delete(key),
        cache.get_many([key]),
        cache.set_many({key: 1}),
        cache.increment(key),
        cache.expire_in(key),
    ]

    results = await asyncio.gather(*calls, return_exceptions=True)

    assert [type(result) for result in results] == [InvalidRequestError] * len(calls)


@pytest.mark.parametrize("ttl", [0, -1, math.nan, math.inf, TTL_LIMIT * 1.1, "5", True], ids=repr)
async def test_a_ttl_that_is_no_time_is_refused(cache: Cache, ttl: Any) -> None:
    """Zero is neither forever nor at once, and every call that takes a ttl says so."""
    for call in (cache.set("k", 1, ttl=ttl), cache.add("k", 1, ttl=ttl)):
        with pytest.raises(InvalidRequestError):
            await call
    with pytest.raises(InvalidRequestError):
        await cache.set_many({"k": 1}, ttl=ttl)

    assert await cache.get("k") is None


async def test_any_time_up_to_the_limit_is_a_ttl(cache: Cache) -> None:
    """From less than a millisecond to centuries."""
    await cache.set_many({"short": 1}, ttl=1e-9)
    await cache.set("long", 2, ttl=TTL_LIMIT)
    await asyncio.sleep(0.005)

    assert await cache.get_many(["short", "long"]) == {"long": 2}
    assert (await cache.expire_in("long") or 0) > TTL_LIMIT - 10


async def test_a_counter_has_64_bits(cache: Cache) -> None:
    """All of them; a step past either end is refused and changes nothing."""
    await cache.set_many({"least": -(2**63) + 1, "greatest": 2**63 - 2})

    assert await cache.increment("least", -1) == -(2**63)
    assert await cache.increment("greatest") == 2**63 - 1
    for key, delta in (("least", -1), ("greatest", 1)):
        with pytest.raises(InvalidRequestError):
            await cache.increment(key, delta)
    assert await cache.get_many(["least", "greatest"]) == {
        "least": -(2**63),
        "greatest": 2**63 - 1,
    }


@pytest.mark.parametrize("key", ["a b", "ключ", "*", "a/../b", "x" * 2000, "new\nline", "\x00"])
async def test_any_text_is_a_key(cache: Cache, key: str) -> None:
    """Neither wildcards nor separators mean anything in it."""
    await cache.set("other", 1)
    await cache.set(key, 2)
    await cache.delete(key)

    assert await cache.get_many(["other", key]) == {"other": 1}


async def test_clear_forgets_everything_of_its_own(cache: Cache) -> None:
    """Also when there is much of it."""
    keys = [f"key-{number}" for number in range(2500)]
    await cache.set_many(dict.fromkeys(keys, 1))
    await cache.get("key-0")

    await cache.clear()

    assert await cache.get_many(keys) == {}
    assert await cache.get("key-0") is None


async def test_a_large_value_comes_back_whole(cache: Cache) -> None:
    """Half a megabyte, in either form."""
    await cache.set_many({"bytes": bytes(range(256)) * 2000, "text": "ä" * 100_000})

    assert await cache.get("bytes") == bytes(range(256)) * 2000
    assert await cache.get("text") == "ä" * 100_000
