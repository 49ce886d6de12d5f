"""An event loop that works on while a person thinks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Self, TypeVar

from oneiric.errors import InvalidError

T = TypeVar("T")


class LoopThread:
    """Run an event loop in a thread of its own for as long as the block lasts.

    >>> async def answer() -> int:
    ...     return 42
    >>> with LoopThread() as loop:
    ...     loop(answer())
    42
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="oneiric-shell", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self(_ended())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __call__(self, coroutine: Coroutine[object, object, T]) -> T:
        """Await *coroutine* on the loop and return what it gives; Ctrl-C cancels it.

        Raises:
            InvalidError: it is the loop itself that calls, and would wait for itself.
        """
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise InvalidError(
                "a magic cannot be called where something is awaited",
                hint="give it a line of its own",
            )
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except (KeyboardInterrupt, SystemExit):
            future.cancel()
            raise

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()


async def _ended() -> None:
    """End what somebody left running."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
