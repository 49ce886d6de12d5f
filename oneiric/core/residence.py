"""Live inside an async context manager: enter and leave it in one task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Generic, TypeVar

T = TypeVar("T")
Keep = Callable[[Coroutine[object, object, object]], "asyncio.Task[object]"]


class Residence(Generic[T]):
    """Enter a context manager for as long as its component serves.

    Task groups, timeouts and cancel scopes inside it must be left by the task that entered
    them; so a task of its own does both.
    """

    __slots__ = ("_entered", "_keep", "_leaving", "_manager", "_task")

    def __init__(self, manager: AbstractAsyncContextManager[T], keep: Keep) -> None:
        self._manager = manager
        self._keep = keep
        self._entered: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._leaving = asyncio.Event()
        self._task: asyncio.Task[object] | None = None

    async def enter(self) -> T:
        """Enter and return what the context manager yields."""
        self._task = self._keep(self._live())
        return await asyncio.shield(self._entered)

    async def leave(self) -> None:
        """Leave, and raise what leaving raised; nothing happens when it was never entered."""
        if self._task is None:
            return
        self._leaving.set()
        if not self._entered.done():
            self._task.cancel()
        await asyncio.wait({self._task})
        if not self._task.cancelled() and self._entered.exception() is None:
            self._task.result()

    async def _live(self) -> None:
        try:
            async with self._manager as instance:
                self._entered.set_result(instance)
                await self._leaving.wait()
        except BaseException as error:
            if not self._entered.done():
                self._entered.set_exception(error)
                self._entered.exception()
            raise
