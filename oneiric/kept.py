"""Tasks that nobody need wait for."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Kept(set[asyncio.Task[Any]]):
    """Keep tasks from being collected until they end.

    An error with which one ends counts as seen; whoever awaits the task gets it all the same.
    """

    def start(self, coroutine: Coroutine[object, object, T]) -> asyncio.Task[T]:
        """Run *coroutine* in a task of its own, and keep that."""
        return self.keep(asyncio.get_running_loop().create_task(coroutine))

    def keep(self, task: asyncio.Task[T]) -> asyncio.Task[T]:
        """Keep *task* until it ends."""
        self.add(task)
        task.add_done_callback(self._ended)
        return task

    async def settle(self, limit: float = math.inf) -> None:
        """Wait until all have ended, later ones too, at most *limit* seconds."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + limit
        while self and (left := deadline - clock()) > 0:
            await asyncio.wait(self, timeout=left if left < math.inf else None)
            await asyncio.sleep(0)

    def _ended(self, task: asyncio.Task[object]) -> None:
        self.discard(task)
        if not task.cancelled():
            task.exception()
