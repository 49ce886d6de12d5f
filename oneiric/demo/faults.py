"""Two caches that are bad on purpose: one never comes up, one sickens once it serves."""

from __future__ import annotations

from oneiric.ports.cache import CacheValue
from oneiric.ports.errors import UnavailableError


class UnreachableCache:
    """A cache whose server is not there."""

    async def init(self) -> None:
        """Fail, as connecting would."""
        raise UnavailableError("unreachable", "nobody listens at its address")


class SickeningCache:
    """A cache that works, but is healthy only at its first check."""

    def __init__(self) -> None:
        self._values: dict[str, CacheValue] = {}
        self._checks = 0

    async def health(self) -> bool:
        """Return True once."""
        self._checks += 1
        return self._checks == 1

    async def get(self, key: str, default: CacheValue = None) -> CacheValue:
        """Return the value of *key*, or *default*."""
        return self._values.get(key, default)

    async def set(self, key: str, value: CacheValue, *, ttl: float | None = None) -> None:
        """Keep *value*."""
        del ttl
        self._values[key] = value
