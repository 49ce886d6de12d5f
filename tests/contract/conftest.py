"""Components by way of the resolver, servers on demand, and a web site to call."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.contract.cases import SECRETS, Find, ProviderCase, Surroundings, brought_up
from tests.contract.chat import Chat
from tests.contract.collector import Collector
from tests.contract.issuer import Issuer
from tests.contract.snipara import PROJECT, Snipara
from tests.contract.website import website
from tests.servers import RedisServer


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis for the whole session; each test has its own namespace in it."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that this test may stop."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def site() -> AsyncIterator[web.TCPSite]:
    """A web site on loopback; `site.port` is where."""
    runner = web.AppRunner(website(), shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    place = web.TCPSite(runner, "127.0.0.1", 0)
    await place.start()
    yield place
    await runner.cleanup()


@pytest.fixture
async def chat() -> AsyncIterator[Chat]:
    """Slack, Teams and a receiver of webhooks on loopback; `chat.port` is where."""
    found = Chat()
    runner = web.AppRunner(found.app(), shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    place = web.TCPSite(runner, "127.0.0.1", 0)
    await place.start()
    found.port = place.port
    yield found
    await runner.cleanup()


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    """A collector of traces and metrics on loopback; `collector.port` is where."""
    found = Collector()
    runner = web.AppRunner(found.app(), shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    place = web.TCPSite(runner, "127.0.0.1", 0)
    await place.start()
    found.port, found.stop = place.port, runner.cleanup
    yield found
    await runner.cleanup()


@pytest.fixture
async def snipara(tmp_path: Path) -> AsyncIterator[Snipara]:
    """Snipara on loopback; `snipara.port` is where."""
    found = Snipara(tmp_path)
    runner = web.AppRunner(
        found.app(), shutdown_timeout=0.1, access_log=None, handler_cancellation=True
    )
    await runner.setup()
    place = web.TCPSite(runner, "127.0.0.1", 0)
    await place.start()
    found.port = place.port
    yield found
    await runner.cleanup()
    assert found.problems == []


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """An issuer of tokens on loopback."""
    with Issuer() as found:
        yield found


@pytest.fixture
def case(request: pytest.FixtureRequest) -> ProviderCase:
    """The case that the test is run for; tests name their cases with `for_each`."""
    found: ProviderCase = request.param
    return found


@pytest.fixture
def here(
    request: pytest.FixtureRequest,
    case: ProviderCase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Surroundings:
    """What the case may use; the server that it needs is started with the first test."""
    found = Surroundings(tmp_path)
    for name, value in SECRETS.items():
        monkeypatch.setenv("TESTS_SECRET_" + name.upper().replace("-", "_"), value)
    if case.server == "redis":
        found.redis_port = request.getfixturevalue("redis_server").port
    elif case.server == "chat":
        found.http_port = request.getfixturevalue("chat").port
    elif case.server == "collector":
        found.http_port = request.getfixturevalue("collector").port
    elif case.server == "snipara":
        found.http_port = request.getfixturevalue("snipara").port
        found.project = PROJECT
    elif case.server == "issuer":
        found.issuer_keys = request.getfixturevalue("issuer").address
    elif case.server == "http":
        found.http_port = request.getfixturevalue("site").port
    return found


@pytest.fixture
async def component(here: Surroundings) -> AsyncIterator[Find]:
    """Bring up offers through the resolver and the lifecycle, and down after the test."""
    async with brought_up(here) as find:
        yield find
