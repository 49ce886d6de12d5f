"""How many events a handler may have in hand at a time."""

from __future__ import annotations

import asyncio
from collections import deque


class Places:
    """Count what a handler has in hand; whoever finds no place waits, first come first served."""

    __slots__ = ("_most", "_waiting", "taken")

    def __init__(self, most: int) -> None:
        self._most = most
        self.taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take(self) -> bool:
        """Take a place now, if one is free and nobody waits for it."""
        if self.taken >= self._most or self._waiting:
            return False
        self.taken += 1
        return True

    async def enter(self) -> None:
        """Take a place, as soon as one is free."""
        if self.take():
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.give()
            raise

    def give(self) -> None:
        """Give a place back, to whoever waits longest."""
        self.taken -= 1
        self.resize(self._most)

    def resize(self, most: int) -> None:
        """Have so many places from now on, and let in whoever there is room for."""
        self._most = most
        while self._waiting and self.taken < most:
            turn = self._waiting.popleft()
            if not turn.cancelled():
                self.taken += 1
                turn.set_result(None)
