"""Run a program's coroutine to its end, whatever it leaves behind."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")
GRACE_SECONDS = 1.0


def run_to_end(main: Coroutine[object, object, T]) -> T:
    """Run *main* as `asyncio.run` does, but wait only a moment for tasks that it left.

    A component's code that swallows its cancellation was given up and told by then; it must
    not keep the process.

    >>> run_to_end(asyncio.sleep(0, "done"))
    'done'
    """
    runner = asyncio.Runner()
    try:
        return runner.run(main)
    finally:
        loop = runner.get_loop()
        if loop.run_until_complete(_all_ended()):
            runner.close()
        else:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.set_exception_handler(lambda _loop, _context: None)  # they end with the process
            asyncio.set_event_loop(None)
            loop.close()


async def _all_ended() -> bool:
    """Cancel every other task, and tell whether all of them obeyed within the grace."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if not others:
        return True
    _, left = await asyncio.wait(others, timeout=GRACE_SECONDS)
    return not left
