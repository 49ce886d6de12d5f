"""Counted holds on components, and links that follow swaps."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent import futures
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from oneiric.errors import ClosedError

if TYPE_CHECKING:
    from oneiric.core.candidate import Candidate
    from oneiric.core.generation import Generation
    from oneiric.core.ref import ComponentRef
    from oneiric.core.slots import Slot

T = TypeVar("T")
PULSE_SECONDS = 1.0


class Gate:
    """The way in for handles whose slot is cold or shut: through the loop that owns them.

    `admit` brings the component up if need be, enters the hold and returns what is held.
    """

    def __init__(
        self, admit: Callable[[Slot, Handle[Any]], Coroutine[object, object, Generation[Any]]]
    ) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self.admit = admit

    def own(self) -> asyncio.AbstractEventLoop:
        """Return the running loop, which owns the components from the first call on.

        Raises:
            ClosedError: another loop owns them.
        """
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            hint = "use it from that loop, or from threads with a plain with-block"
            raise ClosedError("this lifecycle belongs to another event loop", hint=hint)
        return loop

    def admit_thread(self, slot: Slot, handle: Handle[Any]) -> Generation[Any]:
        """Let the owning loop admit a handle of another thread, and wait for it."""
        loop = self._loop
        if loop is None or not loop.is_running():
            why = f"{slot.ref} is not up, and no event loop runs that could bring it up"
            hint = "activate something on the loop that shall own the components"
            raise ClosedError(why, hint=hint)
        admitted = asyncio.run_coroutine_threadsafe(self.admit(slot, handle), loop)
        try:
            while loop.is_running() and not futures.wait({admitted}, timeout=PULSE_SECONDS).done:
                pass
        finally:
            if admitted.cancel():  # whether or not it was admitted by then, it leaves
                with suppress(RuntimeError):  # the loop is closed
                    loop.call_soon_threadsafe(handle.leave)
        if admitted.cancelled():
            raise ClosedError(f"{slot.ref}: the event loop ended before it was up")
        return admitted.result()


class Handle(Generic[T]):
    """Hold one generation of a component for the length of a `with` block.

    Entering gives the instance itself; a warm one is held without waiting. While it is
    held it is not cleaned up, unless the drain limit passes. Tasks write `async with`,
    threads other than the loop's write `with`. A handle serves one block.
    """

    __slots__ = ("_by", "_gate", "_generation", "_slot")

    def __init__(self, gate: Gate, slot: Slot) -> None:
        self._gate = gate
        self._slot = slot
        self._generation: Generation[T] | None = None
        self._by: asyncio.Task[Any] | threading.Thread | None = None

    @property
    def candidate(self) -> Candidate | None:
        """The offer of what is held, or None outside the block."""
        return self._generation.candidate if self._generation else None

    @property
    def provider(self) -> str:
        """The provider of what is held, or an empty string outside the block."""
        return self._generation.candidate.provider if self._generation else ""

    @property
    def generation(self) -> int:
        """The number of the generation held, from 1, or 0 outside the block."""
        return self._generation.number if self._generation else 0

    @property
    def holder(self) -> str:
        """The name of the task, with where it stands, or of the thread that holds."""
        holder = self._by
        if isinstance(holder, asyncio.Task):
            frames = holder.get_stack(limit=1)
            where = f" at {frames[0].f_code.co_qualname}:{frames[0].f_lineno}" if frames else ""
            return f"task {holder.get_name()}{where}"
        return f"thread {holder.name}" if holder else "unknown"

    def take(self, generation: Generation[T]) -> bool:
        """Enter the hold, unless the slot moved on, or was shut, meanwhile."""
        generation.holds[self] = None
        slot = self._slot
        if generation.retired or slot.shut or slot.current is not generation:
            generation.let_go(self)
            return False
        self._generation = generation
        return True

    def leave(self) -> None:
        """Let go of what is held, if anything is."""
        generation, self._generation, self._by = self._generation, None, None
        if generation is not None:
            generation.let_go(self)

    async def __aenter__(self) -> T:
        self._begin(asyncio.current_task())
        generation: Generation[T] | None = self._slot.current
        loop = asyncio.get_running_loop()
        if generation is None or generation.loop is not loop or not self.take(generation):
            try:
                generation = await self._gate.admit(self._slot, self)
            except BaseException:
                self.leave()
                raise
        return generation.instance  # type: ignore[no-any-return]

    async def __aexit__(self, *failure: object) -> None:
        self.leave()

    def __enter__(self) -> T:
        if asyncio._get_running_loop() is not None:
            why = f"{self._slot.ref}: a plain with-block would stop the event loop"
            hint = "write async with in a task, or leave the loop's thread"
            raise ClosedError(why, hint=hint)
        self._begin(threading.current_thread())
        generation: Generation[T] | None = self._slot.current
        if generation is None or not self.take(generation):
            try:
                generation = self._gate.admit_thread(self._slot, self)
            except BaseException:
                self.leave()
                raise
        return generation.instance  # type: ignore[no-any-return]

    def __exit__(self, *failure: object) -> None:
        self.leave()

    def _begin(self, by: asyncio.Task[Any] | threading.Thread | None) -> None:
        if self._by is not None:
            why = f"this handle on {self._slot.ref} is in use; call use() once a block"
            raise RuntimeError(why)
        self._by = by


class Link(Generic[T]):
    """Refer to a component for long, through every swap: each `use` holds what serves then.

    A factory receives one for each of its `requires`, so no component ever keeps an
    instance that might be closed under it.
    """

    __slots__ = ("_gate", "_slot")

    def __init__(self, gate: Gate, slot: Slot) -> None:
        self._gate = gate
        self._slot = slot

    @property
    def ref(self) -> ComponentRef[T]:
        """The reference that the link follows."""
        return self._slot.ref

    def use(self) -> Handle[T]:
        """Return a handle for one block, as `LifecycleManager.use` does."""
        return Handle(self._gate, self._slot)

    def __repr__(self) -> str:
        return f"Link({str(self.ref)!r})"
