"""Providers on a server survive its absence, slowness and refusal."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from oneiric.adapters.cache.redis import RedisCache, RedisCacheSettings
from oneiric.adapters.plugin import PLUGIN
from oneiric.errors import JSONValue, OneiricError
from oneiric.ports import PermissionDeniedError, UnavailableError
from tests.contract.cases import CASES, Find, ProviderCase, Surroundings, brought_up, for_each
from tests.contract.website import website
from tests.servers import RedisServer, TcpProxy, free_port

REDIS, MULTITIER = "adapter:cache@redis", "adapter:cache@multitier"
STREAMS = "adapter:queue@redis-streams"
TIMES: dict[str, JSONValue] = {"socket_timeout": 0.5, "healthcheck_timeout": 0.5}
for_redis = pytest.mark.parametrize("case", [CASES[REDIS]], ids=["cache@redis"], indirect=True)


@pytest.fixture
async def proxy(here: Surroundings, case: ProviderCase) -> AsyncIterator[TcpProxy]:
    """A proxy before the case's server; the case is told its port."""
    is_redis = case.server == "redis"
    async with TcpProxy(here.redis_port if is_redis else here.http_port) as found:
        here.redis_port = here.http_port = found.port
        here.changes[REDIS] = here.changes[STREAMS] = dict(TIMES)
        here.changes["adapter:http@aiohttp"] = {"timeout": 0.5, "healthcheck_timeout": 0.5}
        here.changes[MULTITIER] = {"follow_retry_seconds": 0.05}
        yield found


async def call(case: ProviderCase, instance: Any) -> None:
    if case.key == "cache":
        await instance.set("k", "v")
        assert await instance.get("k") == "v"
    elif case.key == "queue":
        await instance.publish(b"v")
    else:
        (await instance.get("/")).expect_ok()


async def healthy_again(instance: Any) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if await instance.health():
            return True
        await asyncio.sleep(0.02)
    return False


@for_each("cache", server="redis")
async def test_a_redis_that_crashes_and_returns(
    case: ProviderCase, here: Surroundings, own_redis: RedisServer
) -> None:
    """Health is false meanwhile and true again, calls fail and work again, all without init."""
    here.redis_port = own_redis.port
    here.changes[MULTITIER] = {"follow_retry_seconds": 0.05}
    async with brought_up(here) as find:
        cache: Any = await find(case.offer)
        await call(case, cache)
        own_redis.stop()
        down = await cache.health()
        with pytest.raises(UnavailableError):
            await cache.set("k", 1)
        with pytest.raises(UnavailableError):
            await cache.get("never read before")
        own_redis.start()

        assert (down.healthy, down.detail != "") == (False, True)
        assert await healthy_again(cache)
        await call(case, cache)


async def serve(port: int) -> web.AppRunner:
    runner = web.AppRunner(website(), shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
    return runner


@for_each("http")
async def test_a_web_site_that_stops_and_returns(case: ProviderCase, here: Surroundings) -> None:
    """The same."""
    here.http_port = free_port()
    runner = await serve(here.http_port)
    async with brought_up(here) as find:
        client: Any = await find(case.offer)
        await call(case, client)
        await runner.cleanup()
        down = await client.health()
        with pytest.raises(UnavailableError):
            await client.get("/")
        runner = await serve(here.http_port)

        assert (down.healthy, down.detail != "") == (False, True)
        assert bool(await client.health())
        await call(case, client)
    await runner.cleanup()


@for_each(server="redis")
async def test_redis_refuses_connections(
    case: ProviderCase, proxy: TcpProxy, component: Find
) -> None:
    """Unavailable at once, and usable again when it accepts."""
    await refused(case, proxy, component)


@for_each(server="http")
async def test_the_site_refuses_connections(
    case: ProviderCase, proxy: TcpProxy, component: Find
) -> None:
    """Unavailable at once, and usable again when it accepts."""
    await refused(case, proxy, component)


async def refused(case: ProviderCase, proxy: TcpProxy, component: Find) -> None:
    instance = await component(case.offer)
    await call(case, instance)
    await proxy.refuse()
    began = time.monotonic()
    with pytest.raises(UnavailableError):
        await call(case, instance)
    took = time.monotonic() - began
    assert "127.0.0.1" in (await instance.health()).detail
    await proxy.accept()

    assert took < 3
    assert await healthy_again(instance)
    await call(case, instance)


@for_each(server="redis")
async def test_redis_falls_silent(case: ProviderCase, proxy: TcpProxy, component: Find) -> None:
    """Each of many calls is unavailable within the limit, and health answers in time too."""
    await silent(case, proxy, component)


@for_each(server="http")
async def test_the_site_falls_silent(case: ProviderCase, proxy: TcpProxy, component: Find) -> None:
    """Each of many calls is unavailable within the limit, and health answers in time too."""
    await silent(case, proxy, component)


async def silent(case: ProviderCase, proxy: TcpProxy, component: Find) -> None:
    instance = await component(case.offer)
    await call(case, instance)
    proxy.stall()
    began = time.monotonic()
    calls = (call(case, instance) for _ in range(20))
    results = await asyncio.gather(*calls, return_exceptions=True)
    healthy = await instance.health()
    took = time.monotonic() - began
    began = time.monotonic()
    await instance.cleanup()

    assert {type(result) for result in results} == {UnavailableError}
    assert (bool(healthy), healthy.detail.partition(": ")[2]) == (False, "took too long")
    assert took < 8
    assert time.monotonic() - began < 5


@for_each(server="redis")
async def test_connections_to_redis_are_cut(
    case: ProviderCase, proxy: TcpProxy, component: Find
) -> None:
    """In the middle of calls: each ends in the port's words, and the next ones work."""
    await cut(case, proxy, component)


@for_each(server="http")
async def test_connections_to_the_site_are_cut(
    case: ProviderCase, proxy: TcpProxy, component: Find
) -> None:
    """In the middle of calls: each ends in the port's words, and the next ones work."""
    await cut(case, proxy, component)


async def cut(case: ProviderCase, proxy: TcpProxy, component: Find) -> None:
    instance = await component(case.offer)
    for _ in range(5):
        calls = [asyncio.create_task(call(case, instance)) for _ in range(20)]
        await asyncio.sleep(0.003)
        proxy.cut()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(result) for result in results} <= {type(None), UnavailableError}

    assert await healthy_again(instance)
    await call(case, instance)


@for_redis
async def test_a_wrong_password_is_denied(
    case: ProviderCase, here: Surroundings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And neither the right nor the wrong one is shown, however it was given."""
    folder = tmp_path / "server"
    folder.mkdir()
    server = RedisServer(folder, password="right-hunter2")
    server.start()
    shown = []
    try:
        wrong: list[dict[str, JSONValue]] = [
            {"port": server.port, "password": "wrong-hunter2"},
            {"url": f"redis://:wrong-hunter2@127.0.0.1:{server.port}/0"},
            {"port": server.port},
        ]
        for changes in wrong:
            here.changes[REDIS] = changes
            shown.append(await denied(here))
        here.changes[REDIS] = {"port": server.port, "password": "right-hunter2"}
        async with brought_up(here) as find:
            cache = await find(REDIS)
            await call(case, cache)
            shown += [repr(cache), repr(cache._settings)]
    finally:
        server.stop()

    assert "hunter2" not in "".join(shown) + caplog.text


async def denied(here: Surroundings) -> str:
    """Make the cache by itself, for the lifecycle lends no unhealthy one; return its error."""
    candidate = next(candidate for candidate in PLUGIN.candidates if candidate.offer == REDIS)
    settings = here.settings_for(candidate, RedisCacheSettings)
    assert isinstance(settings, RedisCacheSettings)
    cache = RedisCache(settings)
    await cache.init()
    try:
        assert "127.0.0.1" in (await cache.health()).detail
        with pytest.raises(PermissionDeniedError) as caught:
            await cache.get("k")
    finally:
        await cache.cleanup()
    return caught.value.render() + repr(caught.value) + repr(caught.value.details())


@for_redis
async def test_a_url_that_is_none_of_redis_is_refused(
    case: ProviderCase, here: Surroundings
) -> None:
    """Without being shown."""
    here.changes[REDIS] = {"url": "http://:hunter2@127.0.0.1"}
    async with brought_up(here) as find:
        with pytest.raises(OneiricError, match="must begin with redis") as caught:
            await find(REDIS)

    assert "hunter2" not in str(caught.value)
