"""What only Redis streams can meet: others' entries, and many that are under way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis

from oneiric.adapters.queue.redis_streams import RedisStreamsQueue, RedisStreamsQueueSettings
from tests.servers import RedisServer

STREAM = "own"


@asynccontextmanager
async def opened(server: RedisServer) -> AsyncIterator[RedisStreamsQueue]:
    settings = {"url": f"redis://127.0.0.1:{server.port}/0", "stream": STREAM}
    queue = RedisStreamsQueue(RedisStreamsQueueSettings.model_validate(settings))
    await queue.init()
    try:
        yield queue
    finally:
        await queue.cleanup()


async def test_what_is_given_back_behind_many_under_way_comes_at_once(
    own_redis: RedisServer,
) -> None:
    """However many older ones others work on, a reader with one free place finds it."""
    async with opened(own_redis) as busy, opened(own_redis) as idle:
        for number in range(60):
            await busy.publish(b"%d" % number)
        held = await busy.read(count=60)
        await busy.nack(held[-1])

        found = await idle.read(count=1)

    assert [each.body for each in found] == [b"59"]


@pytest.mark.parametrize("fields", [{"headers": "nojson"}, {"headers": "[1]"}, {"key": b"\xff"}])
async def test_anothers_entry_stops_no_good_message(
    own_redis: RedisServer, fields: dict[Any, Any]
) -> None:
    """It comes without a body, for a worker to set aside, beside what can be worked on."""
    async with opened(own_redis) as queue, Redis(port=own_redis.port) as client:
        await client.xadd(STREAM, {"body": "x", **fields})
        await queue.publish(b"good", headers={"a": "b"})

        found = await queue.read(count=2)

    assert [(each.body, each.headers, each.key) for each in found] == [
        (b"", {}, None),
        (b"good", {"a": "b"}, None),
    ]
