"""Where references find what serves them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from oneiric.core.activity import ActivityState
from oneiric.core.ref import ComponentRef
from oneiric.core.status import SwapRecord

if TYPE_CHECKING:
    from oneiric.core.activity import Activity, ActivityBoard
    from oneiric.core.generation import Generation


class Slot:
    """Where one reference finds its instance: a place, or one provider's offer for it.

    `shut` is set while the component takes no new work. `lock` is held by whoever brings
    an instance up for the slot, `turn` by whoever calls `pause` or `resume` on it.
    """

    __slots__ = ("current", "lock", "problem", "ref", "shut", "swaps", "turn", "warming")

    def __init__(self, ref: ComponentRef[Any]) -> None:
        self.ref = ref
        self.current: Generation[Any] | None = None
        self.shut = False
        self.lock = asyncio.Lock()
        self.turn = asyncio.Lock()
        self.warming: asyncio.Task[None] | None = None
        self.problem = ""
        self.swaps = SwapRecord()

    def warmed(self, _: asyncio.Task[None]) -> None:
        """Note that the activation ended, which an eager loop may do before it is noted at all."""
        self.warming = None


class Binding:
    """One atomic move of slots to other generations, and the way back.

    Making one binds: every slot of *moves* gets its generation, then *retire* take no
    further holders. Nothing is awaited in between, so that a task sees all or nothing of
    the move, and a thread finds the old generation retired or the new one bound.
    """

    def __init__(
        self,
        moves: Mapping[Slot, Generation[Any] | None],
        *,
        new: Generation[Any],
        retire: tuple[Generation[Any], ...],
    ) -> None:
        self._moves = moves
        self._before = {slot: slot.current for slot in moves}
        self.new = new
        self.retired = retire
        for slot, generation in moves.items():
            slot.current = generation
        for old in retire:
            old.retire()

    def undo(self) -> tuple[Generation[Any], ...]:
        """Bind what was bound before; return what is retired instead."""
        for old in self.retired:
            old.reinstate()
        displaced = dict.fromkeys((self.new, *(slot.current for slot in self._moves)))
        for slot, before in self._before.items():
            slot.current = before
        kept = {*self.retired, *self._before.values()}
        loose = tuple(g for g in displaced if g is not None and g not in kept)
        for generation in loose:
            generation.retire()
        return loose


class Slots(dict[str, Slot]):
    """Every slot by its reference; asking for a new one makes it.

    The board that tells people what is paused and the flag that holders look at change
    together, whichever thread asks for a slot meanwhile.
    """

    def __init__(self, board: ActivityBoard) -> None:
        super().__init__()
        self._board = board
        self._lock = threading.Lock()

    def __missing__(self, ref: str) -> Slot:
        named: ComponentRef[Any] = ComponentRef(ref)
        with self._lock:
            if named not in self:
                slot = Slot(named)
                slot.shut = not self._accepts(named)
                self[named] = slot
            return self[named]

    def set_activity(self, ref: str, state: ActivityState, *, note: str, actor: str) -> Activity:
        """Set the activity of a place or an offer, for whoever enters from now on."""
        with self._lock:
            activity = self._board.set(ref, state, note=note, actor=actor)
            for slot in self.values():
                if slot.ref.place == ComponentRef[Any](ref).place:
                    slot.shut = not self._accepts(slot.ref)
        return activity

    def leave_paused(self, place: Slot) -> None:
        """Unbind *place* from an instance whose own offer was paused; the next best serves."""
        if place.current is not None and place.current.offer in self._board:
            place.current = None

    def _accepts(self, ref: str) -> bool:
        return self._board.get(ref).state is ActivityState.ACTIVE
