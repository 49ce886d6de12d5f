"""Actions as their callers reach them: by key, through the resolver and the lifecycle."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from pydantic import BaseModel

from oneiric.actions.plugin import PLUGIN
from oneiric.adapters.plugin import PLUGIN as ADAPTERS
from oneiric.core.candidate import Candidate
from oneiric.core.lifecycle import LifecycleManager
from oneiric.core.resolver import Resolver
from oneiric.documents.model import validate_settings
from oneiric.domains import ALL, ActionBridge
from tests.contract.website import website

Act = Callable[..., Awaitable[Any]]


class GivenSettings:
    """Settings by provider, as a test sets them."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, Any]] = {}

    def __setitem__(self, provider: str, values: dict[str, Any]) -> None:
        self._values[provider] = values

    def settings_for(self, candidate: Candidate, model: type[BaseModel]) -> BaseModel:
        """Return what the test set for *candidate*."""
        values = self._values.get(candidate.provider, {})
        return validate_settings(model, values, key=candidate.provider, origin_of=str)


@pytest.fixture
def given() -> GivenSettings:
    """The settings of providers, to be set before an action is called first."""
    return GivenSettings()


@pytest.fixture
async def bridge(given: GivenSettings) -> AsyncIterator[ActionBridge]:
    """The bridge to all built-in actions."""
    resolver = Resolver()
    for candidate in (*PLUGIN.candidates, *ADAPTERS.candidates):
        resolver.register(candidate)
    async with LifecycleManager(resolver, settings=given, allowed=["oneiric"]) as lifecycle:
        yield ActionBridge(ALL["action"], lifecycle)


@pytest.fixture
def act(bridge: ActionBridge) -> Act:
    """Return a caller of actions: a key, and the payload as keywords."""

    async def call(key: str, **payload: Any) -> Any:
        return await bridge.execute(key, payload)

    return call


@pytest.fixture
async def site() -> AsyncIterator[str]:
    """The address of a web site on loopback."""
    async with served() as address:
        yield address


@pytest.fixture
async def other_site() -> AsyncIterator[str]:
    """The address of a second one, which is another origin."""
    async with served() as address:
        yield address


class served:
    """Serve the web site of the contract tests for one block."""

    async def __aenter__(self) -> str:
        self._runner = web.AppRunner(website(), shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        place = web.TCPSite(self._runner, "127.0.0.1", 0)
        await place.start()
        return f"http://127.0.0.1:{place.port}"

    async def __aexit__(self, *error: object) -> None:
        await self._runner.cleanup()
