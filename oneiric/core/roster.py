"""Which instances are up, which of them need which, and how they end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any, cast

from oneiric.core.build import Builder
from oneiric.core.generation import Generation
from oneiric.core.hooks import HookPoint, Hooks, SwapContext
from oneiric.core.ref import ComponentRef
from oneiric.core.slots import Binding, Slot, Slots
from oneiric.errors import ComponentError


class Roster:
    """Keep every instance from the moment it is up until it is cleaned up.

    An instance that is displaced stays up while a component requires it by its provider's
    name, and goes when the last of these has gone. `ending` are the tasks in which cleanup
    runs, which nobody is to cut short.
    """

    def __init__(self, slots: Slots, builder: Builder) -> None:
        self.slots = slots
        self.builder = builder
        self._up: dict[str, dict[Generation[Any], None]] = {}
        self._stayed: dict[Generation[Any], None] = {}
        self._needed: Counter[str] = Counter()
        self._closing = False
        self.ending: set[asyncio.Task[Any]] = set()
        self.hooks = Hooks(builder.guard, limit=builder.limits.hook)

    def __iter__(self) -> Iterator[Generation[Any]]:
        return iter([one for ones in tuple(self._up.values()) for one in tuple(ones)])

    def enter(self, generation: Generation[Any]) -> None:
        """Add an instance that came up."""
        self._up.setdefault(generation.candidate.ref, {})[generation] = None
        self._needed.update(generation.candidate.requires.values())

    def of(self, ref: ComponentRef[Any]) -> list[Generation[Any]]:
        """Return the instances for a place, or of one offer, retired ones included."""
        ones = tuple(self._up.get(ref.place, ()))
        return [one for one in ones if ref in (one.candidate.ref, one.offer)]

    def bind(self, place: Slot, new: Generation[Any]) -> Binding:
        """Move *place*, and the new offer's slot, to *new*; retire what that displaces.

        An offer that is moved alone takes its place along where it serves that.
        """
        offer, home = self.slots[new.offer], self.slots[new.candidate.ref]
        moves: dict[Slot, Generation[Any] | None] = {place: new, offer: new}
        moves |= {home: new} if offer.current and home.current is offer.current else {}
        retire = [offer.current] if offer.current else []
        old, stays = place.current, None
        if old is not None and old not in retire:
            if self._is_required(old, by_provider=True):
                stays = old
                self._stayed.pop(old, None)  # it is kept whoever goes, until the move holds
            else:
                retire.append(old)
                moves[self.slots[old.offer]] = None
        return Binding(moves, new=new, retire=tuple(retire), stays=stays)

    async def settle(self, binding: Binding) -> list[ComponentError]:
        """End what a move displaced, now that it holds; return what failed."""
        if binding.stays is not None:
            self._stayed[binding.stays] = None
        errors = [error for old in binding.retired for error in await self.end(old)]
        return errors + await self._release()

    async def end(self, generation: Generation[Any]) -> list[ComponentError]:
        """Clean up a retired instance and call the cleanup hooks; return what failed.

        Instances that stayed for it alone follow.
        """
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self.ending.add(task)
        try:
            failed = await self.builder.end(generation)
            candidate = generation.candidate
            context = SwapContext(candidate.ref, candidate, generation.instance)
            hooked = await self.hooks.run(HookPoint.CLEANUP, context)
        finally:
            self.ending.discard(task)
            self._strike(generation)
        errors = [error for error in (failed, hooked) if error is not None]
        self.builder.observer.closed(generation, errors)
        return errors + await self._release()

    async def shut_down(self, generation: Generation[Any]) -> list[ComponentError]:
        """Retire an instance, give its holders the drain limit, and end it."""
        if not generation.retired:
            generation.retire()
        holders = await generation.drained(self.builder.limits.drain)
        errors = await self.end(generation)
        if holders:
            self.builder.observer.forced(generation, holders)
            reason = f"it was closed while held by {', '.join(holders)}"
            errors.append(generation.candidate.failure("drain", reason))
        return errors

    async def close(self) -> list[ComponentError]:
        """Shut everything down, first what nothing requires, and return what failed."""
        self._closing = True
        errors: list[ComponentError] = []
        while up := list(self):
            free = [one for one in up if not self._is_required(one)]
            for failed in await asyncio.gather(*map(self.shut_down, free or up)):
                errors += failed
        return errors

    async def _release(self) -> list[ComponentError]:
        """End what stayed for others and need not any longer."""
        errors: list[ComponentError] = []
        while not self._closing and (other := self._released()):
            self.slots[other.offer].current = None
            errors += await self.shut_down(other)
        return errors

    def _released(self) -> Generation[Any] | None:
        """Return, once, an instance that stayed and need not any longer.

        One that is retired is ended by whoever retired it, or reinstated.
        """
        stayed = (one for one in self._stayed if not one.retired)
        free = (one for one in stayed if not self._is_required(one, by_provider=True))
        if one := next(free, None):
            del self._stayed[one]
            if self.slots[one.candidate.ref].current is one:
                return self._released()
        return one

    def _strike(self, generation: Generation[Any]) -> None:
        candidate = generation.candidate
        ones = self._up.get(candidate.ref, {})
        if generation in ones:
            del ones[generation]
            self._needed.subtract(candidate.requires.values())
        if not ones:
            self._up.pop(candidate.ref, None)
        self._stayed.pop(generation, None)

    def _is_required(self, generation: Generation[Any], *, by_provider: bool = False) -> bool:
        """Tell whether another instance requires this one's offer, or also its place."""
        own = list(generation.candidate.requires.values())
        names = (generation.offer,) if by_provider else (generation.offer, generation.candidate.ref)
        return any(self._needed[name] > own.count(name) for name in names)
