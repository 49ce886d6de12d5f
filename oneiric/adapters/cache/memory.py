"""A cache in this process: least recently used goes first, time to live, no server."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush
from math import inf
from typing import ClassVar

from pydantic import Field

from oneiric.adapters.settings import AdapterSettings
from oneiric.clock import Clock, SystemClock
from oneiric.ports.cache import (
    TTL_LIMIT,
    CacheValue,
    check_counter,
    check_key,
    check_ttl,
    pack_value,
    unpack_value,
)

COMPACT_ABOVE = 1024


class MemoryCacheSettings(AdapterSettings):
    """Bound the cache: entries at most, and seconds an entry lives unless it says otherwise."""

    default_ttl: float | None = Field(default=None, gt=0, le=TTL_LIMIT)
    max_entries: int = Field(default=10_000, ge=1)


class MemoryCache:
    """Keep values in this process, at most `max_entries` of them.

    Values are kept packed, so they behave as in any other cache: what a caller
    holds is never what is stored. Expired entries leave on access and with every
    write; when it is full the least recently used one goes. No call ever waits.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"kv", "ttl"})

    def __init__(
        self, settings: MemoryCacheSettings | None = None, *, clock: Clock | None = None
    ) -> None:
        self._settings = settings or MemoryCacheSettings()
        self._now = (clock or SystemClock()).monotonic
        self._entries: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        self._deadlines: list[tuple[float, str]] = []

    async def init(self) -> None:
        """Do nothing: it is ready when made."""

    async def health(self) -> bool:
        """Tell that it serves, which it always does."""
        return True

    async def cleanup(self) -> None:
        """Forget everything."""
        self._forget_all()

    async def get(self, key: str, default: CacheValue = None) -> CacheValue:
        """Return the value of *key*, or *default* when there is none."""
        entry = self._live(check_key(key))
        if entry is None:
            return default
        self._entries.move_to_end(key)
        return unpack_value(entry[0])

    async def set(self, key: str, value: CacheValue, *, ttl: float | None = None) -> None:
        """Keep *value*, replacing value and time to live of an earlier one."""
        self._keep(check_key(key), pack_value(value), self._deadline(ttl))

    async def add(self, key: str, value: CacheValue, *, ttl: float | None = None) -> bool:
        """Keep *value* only if *key* is absent, and tell whether it was."""
        packed, deadline = pack_value(value), self._deadline(ttl)
        if self._live(check_key(key)) is not None:
            return False
        self._keep(key, packed, deadline)
        return True

    async def delete(self, key: str) -> bool:
        """Forget *key* and tell whether there was one."""
        found = self._live(check_key(key)) is not None
        self._entries.pop(key, None)
        return found

    async def get_many(self, keys: Iterable[str]) -> dict[str, CacheValue]:
        """Return those of *keys* that are present."""
        found = {key: self._live(check_key(key)) for key in keys}
        return {key: unpack_value(entry[0]) for key, entry in found.items() if entry}

    async def set_many(self, items: Mapping[str, CacheValue], *, ttl: float | None = None) -> None:
        """Keep all *items*, or none of them when one is invalid."""
        deadline = self._deadline(ttl)
        packed = {check_key(key): pack_value(value) for key, value in items.items()}
        for key, value in packed.items():
            self._keep(key, value, deadline)

    async def increment(self, key: str, delta: int = 1) -> int:
        """Add *delta* to a counter and return it; an absent one starts at 0."""
        entry = self._live(check_key(key))
        before, deadline = (b"0", self._deadline(None)) if entry is None else entry
        after = check_counter(key, unpack_value(before)) + check_counter("delta", delta)
        self._keep(key, pack_value(check_counter(key, after)), deadline)
        return after

    async def expire_in(self, key: str) -> float | None:
        """Return the seconds left, `math.inf` without an end, None when absent."""
        entry = self._live(check_key(key))
        return None if entry is None else entry[1] - self._now()

    async def clear(self) -> None:
        """Forget everything."""
        self._forget_all()

    def _deadline(self, ttl: float | None) -> float:
        seconds = check_ttl(self._settings.default_ttl if ttl is None else ttl)
        return inf if seconds is None else self._now() + seconds

    def _live(self, key: str) -> tuple[bytes, float] | None:
        entry = self._entries.get(key)
        if entry is None or entry[1] > self._now():
            return entry
        del self._entries[key]
        return None

    def _keep(self, key: str, packed: bytes, deadline: float) -> None:
        self._entries[key] = (packed, deadline)
        self._entries.move_to_end(key)
        if deadline < inf:
            heappush(self._deadlines, (deadline, key))
        self._drop_expired()
        while len(self._entries) > self._settings.max_entries:
            self._entries.popitem(last=False)

    def _drop_expired(self) -> None:
        now = self._now()
        while self._deadlines and self._deadlines[0][0] <= now:
            self._live(heappop(self._deadlines)[1])
        if len(self._deadlines) > 2 * len(self._entries) + COMPACT_ABOVE:
            current = ((end, key) for key, (_, end) in self._entries.items() if end < inf)
            self._deadlines = list(current)
            heapify(self._deadlines)

    def _forget_all(self) -> None:
        self._entries.clear()
        self._deadlines.clear()
