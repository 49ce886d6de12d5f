"""Live inside an async context manager: enter and leave it in one task."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, TypeVar, cast

from oneiric.core.guard import Guard, Outcome, attempt_async

T = TypeVar("T")


class Residence(Generic[T]):
    """Enter a context manager for as long as its component serves.

    Task groups, timeouts and cancel scopes inside it must be left by the task that entered
    them; so a task of its own does both.
    """

    def __init__(self, manager: AbstractAsyncContextManager[T], guard: Guard) -> None:
        self._manager = manager
        self._guard = guard
        self._entered: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._leaving = asyncio.Event()
        self._task: asyncio.Task[object] | None = None

    async def enter(self) -> T:
        """Enter and return what the context manager yields."""
        self._task = self._guard.keep(attempt_async(self._live()))
        either: set[asyncio.Future[Any]] = {self._entered, self._task}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not self._entered.done():
            _raise(self._task)
        return self._entered.result()

    @property
    def has_ended(self) -> bool:
        """Whether the context manager was left, or ended by itself."""
        return self._task is not None and self._task.done()

    async def leave(self) -> None:
        """Leave, and raise what leaving raised; nothing happens when it was never entered."""
        task = self._task
        if task is None:
            return
        self._leaving.set()
        if not self._entered.done():
            task.cancel()
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            raise
        if self._entered.done() and not task.cancelled():
            _raise(task)

    async def _live(self) -> None:
        async with self._manager as instance:
            self._entered.set_result(instance)
            await self._leaving.wait()


def _raise(task: asyncio.Task[object]) -> None:
    error = cast("Outcome[None]", task.result()).error
    if error is not None:
        raise error
