"""A cache of two others: a near one that is quick, a far one that is shared."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from enum import Enum
from inspect import isawaitable
from typing import ClassVar, cast

from pydantic import Field

from oneiric.adapters.settings import AdapterSettings
from oneiric.clock import SystemClock
from oneiric.core.guard import attempt_async
from oneiric.core.handle import Link
from oneiric.core.health import HealthReport
from oneiric.core.logging import get_logger
from oneiric.errors import OneiricError
from oneiric.ports.cache import TTL_LIMIT, Cache, CacheValue, InvalidationFeed, check_key
from oneiric.ports.errors import UnavailableError

_log = get_logger("oneiric.adapters.cache.multitier")


class MultiTierCacheSettings(AdapterSettings):
    """Bound how long the near tier may keep an entry, and wait between attempts to follow."""

    near_ttl: float = Field(default=30.0, gt=0, le=TTL_LIMIT)
    follow_retry_seconds: float = Field(default=1.0, gt=0, allow_inf_nan=False)


class _Near(Enum):
    """How far the near tier can be trusted."""

    FOLLOWING = "every change of the far tier is heard"
    AGEING = "the far tier tells no changes, so entries only age"
    BYPASSED = "changes may have been missed"


class MultiTierCache:
    """Read from a near cache what was read from a far one before; write to the far one.

    The far tier holds the truth. With the capability `invalidation` there, a
    change by any process empties the near tier of that key; while the feed is
    broken the near tier is not read. Without it a near entry may be as stale as
    `near_ttl`. Either tier can be swapped: each call holds what serves then.

    The near tier may be shared, for its keys carry a namespace that is new with
    each instance and each `clear`; entries of an old one age out.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"kv", "ttl", "distributed"})

    def __init__(
        self,
        settings: MultiTierCacheSettings | None = None,
        *,
        near: Link[Cache],
        far: Link[Cache],
    ) -> None:
        self._settings = settings or MultiTierCacheSettings()
        self._near = near
        self._far = far
        self._new_id = SystemClock().new_id
        self._space = self._new_id()
        self._loads: dict[str, object] = {}
        self._state = _Near.BYPASSED
        self._follower: asyncio.Task[None] | None = None

    async def init(self) -> None:
        """Begin to follow the far tier's changes; returns after the first attempt."""
        if self._follower is None:
            settled = asyncio.Event()
            self._follower = asyncio.create_task(self._follow(settled), name="cache-follower")
            await settled.wait()

    async def health(self) -> HealthReport:
        """Tell whether the far tier is healthy, or why not; the near one only makes it quicker."""
        try:
            async with self._far.use() as far:
                probe = getattr(far, "health", None)
                found = True if probe is None else probe()
                return HealthReport.of(await found if isawaitable(found) else found)
        except OneiricError as error:
            return HealthReport(healthy=False, detail=error.message)

    async def cleanup(self) -> None:
        """Stop following and forget what the near tier holds; the tiers themselves stay up."""
        follower, self._follower = self._follower, None
        if follower is not None:
            follower.cancel()
            await asyncio.wait([follower])
        self._forget(_Near.BYPASSED)

    async def get(self, key: str, default: CacheValue = None) -> CacheValue:
        """Return the value of *key*, from the near tier if it may be trusted."""
        near_key = self._space + check_key(key)
        found = await self._read_near([near_key])
        if found:
            return found[near_key]
        return await self._load(key, near_key, default)

    async def set(self, key: str, value: CacheValue, *, ttl: float | None = None) -> None:
        """Keep *value* in the far tier; the near one takes it with the next read."""
        async with self._writing(key) as far:
            await far.set(key, value, ttl=ttl)

    async def add(self, key: str, value: CacheValue, *, ttl: float | None = None) -> bool:
        """Keep *value* only if *key* is absent in the far tier."""
        async with self._writing(key) as far:
            return await far.add(key, value, ttl=ttl)

    async def delete(self, key: str) -> bool:
        """Forget *key* in both tiers and tell whether the far one had it."""
        async with self._writing(key) as far:
            return await far.delete(key)

    async def get_many(self, keys: Iterable[str]) -> dict[str, CacheValue]:
        """Return those of *keys* that are present; the far tier is asked once for the rest."""
        space, wanted = self._space, [check_key(key) for key in dict.fromkeys(keys)]
        held = await self._read_near([space + key for key in wanted])
        found = {key.removeprefix(space): value for key, value in held.items()}
        missing = [key for key in wanted if key not in found]
        if missing:
            async with self._far.use() as far:
                found |= await far.get_many(missing)
        return {key: found[key] for key in wanted if key in found}

    async def set_many(self, items: Mapping[str, CacheValue], *, ttl: float | None = None) -> None:
        """Keep all *items* in the far tier, or none of them when one is invalid."""
        async with self._writing(*items) as far:
            await far.set_many(items, ttl=ttl)

    async def increment(self, key: str, delta: int = 1) -> int:
        """Add *delta* to the far tier's counter and return it."""
        async with self._writing(key) as far:
            return await far.increment(key, delta)

    async def expire_in(self, key: str) -> float | None:
        """Return the seconds left in the far tier."""
        async with self._far.use() as far:
            return await far.expire_in(check_key(key))

    async def clear(self) -> None:
        """Forget everything in the far tier's namespace, and all that is near."""
        try:
            async with self._far.use() as far:
                await far.clear()
        finally:
            self._forget(self._state)

    @asynccontextmanager
    async def _writing(self, *keys: str) -> AsyncIterator[Cache]:
        """Hold the far tier to change *keys*; whatever comes of it, none of them stays near."""
        for key in keys:
            check_key(key)
        try:
            async with self._far.use() as far:
                yield far
        finally:
            await self._drop(keys)

    async def _load(self, key: str, near_key: str, default: CacheValue) -> CacheValue:
        """Read from the far tier and keep it near, unless it changes meanwhile.

        A change drops the key's mark in `_loads`. So does a later load, which
        then is the one that keeps what it read.
        """
        mark = self._loads[key] = object()
        try:
            async with self._far.use() as far:
                found = await far.get_many([key])
                left = await far.expire_in(key) if found else None
            if left is not None and self._loads.get(key) is mark:
                await self._keep_near(near_key, found[key], min(left, self._settings.near_ttl))
                if self._loads.get(key) is not mark:
                    await self._delete_near([near_key])
            return found.get(key, default)
        finally:
            if self._loads.get(key) is mark:
                del self._loads[key]

    async def _read_near(self, near_keys: Sequence[str]) -> dict[str, CacheValue]:
        """Return what the near tier holds, if it may be trusted; one that fails holds nothing."""
        if self._state is _Near.BYPASSED:
            return {}
        try:
            async with self._near.use() as near:
                return await near.get_many(near_keys)
        except OneiricError as error:
            _log.warning("cache-near-tier-failed", code=error.code, reason=error.message)
            return {}

    async def _keep_near(self, near_key: str, value: CacheValue, ttl: float) -> None:
        if ttl > 0 and self._state is not _Near.BYPASSED:
            with suppress(OneiricError):  # it is told of by the next read
                async with self._near.use() as near:
                    await near.set(near_key, value, ttl=ttl)

    async def _drop(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._loads.pop(key, None)
        await self._delete_near([self._space + key for key in keys])

    async def _delete_near(self, near_keys: Sequence[str]) -> None:
        try:
            async with self._near.use() as near:
                for near_key in near_keys:
                    await near.delete(near_key)
        except OneiricError:
            self._forget(self._state)

    def _forget(self, state: _Near) -> None:
        self._loads.clear()
        self._space = self._new_id()
        self._state = state

    async def _follow(self, settled: asyncio.Event) -> None:
        while True:
            lost = await attempt_async(self._follow_once(settled))
            if lost.error is not None:
                _log.warning("cache-invalidation-lost", reason=lost.reason)
                self._forget(_Near.BYPASSED)
            settled.set()
            await asyncio.sleep(self._settings.follow_retry_seconds)

    async def _follow_once(self, settled: asyncio.Event) -> None:
        async with AsyncExitStack() as feed:
            async with self._far.use() as far:
                if "invalidation" not in far.capabilities:
                    self._state = _Near.AGEING
                    return
                follow = cast(InvalidationFeed, far).invalidations()
                changes = await feed.enter_async_context(follow)
            self._forget(_Near.FOLLOWING)
            settled.set()
            async for keys in changes:
                if keys:
                    await self._drop(keys)
                else:
                    self._forget(_Near.FOLLOWING)
            raise UnavailableError("cache", "the far tier's feed of changes ended")
