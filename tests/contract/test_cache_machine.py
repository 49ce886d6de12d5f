"""Any sequence of calls has the same results in every cache as in a dictionary."""

import asyncio
import math
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from oneiric.ports import Cache, CacheValue, InvalidRequestError
from tests.contract.cases import CASES, Surroundings, brought_up
from tests.servers import RedisServer

KEYS = st.sampled_from(["a", "b", "*", "ключ", "a b"])
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = (
    st.binary()
    | st.integers(-5, 5)
    | st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
REFUSED = "refused"


class CachesAgree(RuleBasedStateMachine):
    """Drive all caches with the same calls, and compare each answer with a dictionary's."""

    redis_port: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[str, CacheValue] = {}
        self.runner = asyncio.Runner()
        self.up = AsyncExitStack()
        self.folder = tempfile.TemporaryDirectory()
        self.caches: dict[str, Cache] = {}

    @initialize()
    def bring_up(self) -> None:
        here = Surroundings(Path(self.folder.name), redis_port=self.redis_port)

        async def start() -> None:
            find = await self.up.enter_async_context(brought_up(here))
            for offer, case in CASES.items():
                if case.key == "cache" and offer != "adapter:cache@redis":
                    self.caches[offer] = await find(offer)
            # The one of its own shares no prefix with the far tier of the other.
            apart = Surroundings(Path(self.folder.name), redis_port=self.redis_port)
            other = await self.up.enter_async_context(brought_up(apart))
            self.caches["adapter:cache@redis"] = await other("adapter:cache@redis")

        self.runner.run(start())

    def teardown(self) -> None:
        async def stop() -> None:
            for cache in self.caches.values():
                await cache.clear()
            await self.up.aclose()

        self.runner.run(stop())
        self.runner.close()
        self.folder.cleanup()

    def ask(self, call: Callable[[Cache], Awaitable[Any]]) -> dict[str, Any]:
        async def answers() -> dict[str, Any]:
            found = {}
            for offer, cache in self.caches.items():
                try:
                    found[offer] = await call(cache)
                except InvalidRequestError:
                    found[offer] = REFUSED
            return found

        return self.runner.run(answers())

    def agree(self, call: Callable[[Cache], Awaitable[Any]], expected: object) -> None:
        found = self.ask(call)
        assert found == dict.fromkeys(self.caches, expected)

    @rule(key=KEYS, value=VALUES)
    def set(self, key: str, value: CacheValue) -> None:
        self.agree(lambda cache: cache.set(key, value), None)
        self.model[key] = value

    @rule(key=KEYS, value=VALUES)
    def add(self, key: str, value: CacheValue) -> None:
        self.agree(lambda cache: cache.add(key, value), key not in self.model)
        self.model.setdefault(key, value)

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        self.agree(lambda cache: cache.get(key, "default"), self.model.get(key, "default"))

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        self.agree(lambda cache: cache.delete(key), key in self.model)
        self.model.pop(key, None)

    @rule(key=KEYS, delta=st.integers(-3, 3) | st.sampled_from([2**63 - 1, -(2**63)]))
    def increment(self, key: str, delta: int) -> None:
        before = self.model.get(key, 0)
        after = before + delta if type(before) is int else None
        if after is None or not -(2**63) <= after < 2**63:
            self.agree(lambda cache: cache.increment(key, delta), REFUSED)
            return
        self.agree(lambda cache: cache.increment(key, delta), after)
        self.model[key] = after

    @rule(items=st.dictionaries(KEYS, VALUES))
    def set_many(self, items: dict[str, CacheValue]) -> None:
        self.agree(lambda cache: cache.set_many(items), None)
        self.model.update(items)

    @rule(key=KEYS)
    def expire_in(self, key: str) -> None:
        left = math.inf if key in self.model else None
        self.agree(lambda cache: cache.expire_in(key), left)

    @rule()
    def clear(self) -> None:
        self.agree(lambda cache: cache.clear(), None)
        self.model.clear()

    @invariant()
    def all_entries_agree(self) -> None:
        keys = ["a", "b", "*", "ключ", "a b", "absent"]
        self.agree(lambda cache: cache.get_many(keys), self.model)


@pytest.mark.timeout(180)
def test_all_caches_agree_with_a_dictionary(redis_server: RedisServer) -> None:
    """Whatever the calls, their order and the values."""
    machine = type("Machine", (CachesAgree,), {"redis_port": redis_server.port})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=30,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
