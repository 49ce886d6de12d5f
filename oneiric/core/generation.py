"""One instance of a component, from its making to its end, and who holds it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from oneiric.core.candidate import Candidate
    from oneiric.core.handle import Handle
    from oneiric.core.ref import ComponentRef
    from oneiric.core.residence import Residence

T = TypeVar("T")


class LifecycleState(StrEnum):
    """Where an instance is between its making and its end."""

    INACTIVE = "inactive"
    ACTIVATING = "activating"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"
    CLOSED = "closed"


MOVES: Mapping[LifecycleState, frozenset[LifecycleState]] = {
    LifecycleState.INACTIVE: frozenset({LifecycleState.ACTIVATING}),
    LifecycleState.ACTIVATING: frozenset({LifecycleState.READY, LifecycleState.FAILED}),
    LifecycleState.READY: frozenset({LifecycleState.DRAINING}),
    LifecycleState.DRAINING: frozenset({LifecycleState.READY, LifecycleState.CLOSED}),
    LifecycleState.FAILED: frozenset({LifecycleState.CLOSED}),
    LifecycleState.CLOSED: frozenset(),
}
"""The legal moves. DRAINING goes back to READY when a swap is undone."""


class Generation(Generic[T]):
    """One instance and its holders.

    A holder enters itself in `holds` first and looks at `retired` second; who retires the
    instance sets `retired` first and looks at `holds` second. So one of the two always
    sees the other, without a lock. That relies on the interpreter's global lock.
    """

    def __init__(self, candidate: Candidate, number: int, loop: asyncio.AbstractEventLoop) -> None:
        self.candidate = candidate
        self.number = number
        self.loop = loop
        self.instance: Any = None
        self.end: Callable[[], Any] | None = None
        self.residence: Residence[Any] | None = None
        self.state = LifecycleState.ACTIVATING
        self.holds: dict[Handle[Any], None] = {}
        self.retired = False
        self.watchers = 0
        self.idle = asyncio.Event()

    @property
    def offer(self) -> ComponentRef[Any]:
        """The offer that this is an instance of."""
        return self.candidate.offer

    def move(self, state: LifecycleState) -> None:
        """Go to another state; an illegal move is a bug in the caller."""
        assert state in MOVES[self.state], f"{self.offer}: {self.state} -> {state}"
        self.state = state

    def retire(self) -> None:
        """Take no further holders; those there are may finish."""
        self.retired = True
        self.move(LifecycleState.DRAINING)

    def reinstate(self) -> None:
        """Undo `retire`."""
        self.retired = False
        self.move(LifecycleState.READY)

    def let_go(self, handle: Handle[Any]) -> None:
        """Strike *handle* off, from any thread, and tell who waits for the last one."""
        del self.holds[handle]
        if self.watchers and not self.holds:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self.loop.call_soon_threadsafe(self.idle.set)

    async def drained(self, limit: float) -> tuple[str, ...]:
        """Wait until nobody holds this instance, and return the names of who still does.

        These are tasks, with where they stand, and threads.
        """
        self.watchers += 1
        try:
            async with asyncio.timeout(limit):
                while self.holds:
                    self.idle.clear()
                    if self.holds:
                        await self.idle.wait()
        except TimeoutError:
            return self.holders()
        finally:
            self.watchers -= 1
        return ()

    def holders(self) -> tuple[str, ...]:
        """Return the names of who holds this instance: tasks with where they stand, threads."""
        return tuple(handle.holder for handle in tuple(self.holds))
