"""A service with settings and a need."""

from oneiric import Link
from oneiric.ports import Cache
from pydantic import BaseModel, ConfigDict


class GreeterSettings(BaseModel):
    """Say how to greet."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    greeting: str = "Hello"


class Greeter:
    """Greet people, and remember in the cache how often each was greeted."""

    def __init__(self, settings: GreeterSettings, *, cache: Link[Cache]) -> None:
        self._greeting = settings.greeting
        self._cache = cache

    async def greet(self, name: str) -> str:
        """Return a greeting that says how often *name* has been greeted."""
        async with self._cache.use() as cache:
            times = await cache.increment(f"greeter:{name}")
        return f"{self._greeting}, {name}! (greeted {times} times)"
