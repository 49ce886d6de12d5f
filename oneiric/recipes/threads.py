"""Threads for scriptlets, kept for the next one when one is done."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from queue import Empty, SimpleQueue
from typing import NamedTuple, TypeAlias

from oneiric.core.guard import Outcome, attempt

IDLE_SECONDS = 5.0
"""How long a thread waits for more to do before it ends."""
GROW_SECONDS = 0.002
"""After how long there are twice as many threads, if there is more to do than they got to."""

Ended: TypeAlias = "asyncio.Future[Outcome[object]]"


class _Job(NamedTuple):
    function: Callable[[], object]
    context: Context
    ended: Ended


class Threads:
    """Call sync code beside the loop, all of it at once if need be.

    Handing work to a thread that is there costs a fraction of beginning one, so a crowd of short
    calls is done by few threads, and what takes long has one of its own within milliseconds.
    They are daemons: what never ends keeps no process alive.
    """

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._done: deque[tuple[Ended, Outcome[object]]] = deque()
        self._lock = threading.Lock()
        self._live = self._busy = 0
        self._is_told = False
        self._timer: asyncio.TimerHandle | None = None

    async def call(self, function: Callable[[], object]) -> Outcome[object]:
        """Call *function* in a thread, in a copy of this context, and return the outcome.

        Who is cancelled waits no longer; the call goes on, and nobody hears of it.
        """
        loop = asyncio.get_running_loop()
        ended: Ended = loop.create_future()
        self._jobs.put(_Job(function, copy_context(), ended))
        if not self._live:
            self._begin(1)
        if self._timer is None:
            self._timer = loop.call_later(GROW_SECONDS, self._grow)
        return await ended

    def close(self) -> None:
        """Let the threads end that have nothing to do."""
        for _ in range(self._live):
            self._jobs.put(None)

    def _grow(self) -> None:
        self._timer = None
        if waiting := self._jobs.qsize():
            with self._lock:
                idle = self._live - self._busy  # they were not yet given their turn
            if waiting > idle:
                self._begin(min(waiting - idle, max(1, self._live)))
            self._timer = asyncio.get_running_loop().call_later(GROW_SECONDS, self._grow)

    def _begin(self, count: int) -> None:
        with self._lock:
            self._live += count
        for _ in range(count):
            threading.Thread(target=self._work, name="oneiric-scriptlet", daemon=True).start()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            outcome = job.context.run(attempt, job.function)
            with self._lock:
                self._busy -= 1
            self._done.append((job.ended, outcome))
            if not self._is_told:
                self._is_told = True
                with suppress(RuntimeError):  # the loop is closed: nobody is left to tell
                    job.ended.get_loop().call_soon_threadsafe(self._tell)
            del job, outcome

    def _next(self) -> _Job | None:
        """Return what is to be done next; None when this thread shall end."""
        while True:
            try:
                job = self._jobs.get(timeout=IDLE_SECONDS)
            except Empty:
                job = None
            with self._lock:
                if job is not None or self._jobs.empty():
                    self._live -= job is None
                    self._busy += job is not None
                    return job

    def _tell(self) -> None:
        self._is_told = False
        while self._done:
            ended, outcome = self._done.popleft()
            if not ended.done():
                ended.set_result(outcome)
