"""Those who listen to one place for what it tells from now on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager


class Listeners:
    """Tell every listener the same, each at their own pace; an empty text is the end.

    >>> listeners = Listeners()
    >>> listeners.tell("nobody hears this")
    >>> bool(listeners)
    False
    """

    __slots__ = ("_queues",)

    def __init__(self) -> None:
        self._queues: list[asyncio.Queue[str]] = []

    def __bool__(self) -> bool:
        return bool(self._queues)

    def tell(self, text: str) -> None:
        """Tell *text* to all who listen now."""
        for queue in self._queues:
            queue.put_nowait(text)

    @contextmanager
    def queue(self) -> Iterator[asyncio.Queue[str]]:
        """Have what is told inside the block put into the queue."""
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._queues.append(queue)
        try:
            yield queue
        finally:
            self._queues.remove(queue)

    async def listen(self) -> AsyncIterator[str]:
        """Yield what is told from the first step of the iteration on, until the end is told."""
        with self.queue() as queue:
            while text := await queue.get():
                yield text
