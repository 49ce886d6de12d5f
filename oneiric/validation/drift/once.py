"""Something that is found out once, and then known to all who ask."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar, cast

T = TypeVar("T")


class Once(Generic[T]):
    """Find something out when it is first asked for; who asks meanwhile waits for the same."""

    __slots__ = ("_is_known", "_lock", "_make", "_value")

    def __init__(self, make: Callable[[], Awaitable[T]]) -> None:
        self._make = make
        self._lock = asyncio.Lock()
        self._is_known = False
        self._value: T | None = None

    async def __call__(self) -> T:
        """Return it."""
        async with self._lock:
            if not self._is_known:
                self._value = await self._make()
                self._is_known = True
        return cast("T", self._value)
