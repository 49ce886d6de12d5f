"""Bring events to the handlers that want them, each handler apart from all others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from oneiric.clock import Clock, SystemClock, rfc3339
from oneiric.core.guard import Guard
from oneiric.domains.events.dead_letters import MemoryDeadLetters
from oneiric.domains.events.delivery import Delivery, Means, Round
from oneiric.domains.events.event import Event
from oneiric.domains.events.handler import EventHandler, FanOut, HandlerResult, InvalidHandlerError
from oneiric.domains.events.places import Places
from oneiric.domains.retry import longest_seconds
from oneiric.errors import JSONValue, NotFoundError

if TYPE_CHECKING:
    from oneiric.ports.dead_letters import DeadLetter, DeadLetters

EXCLUSIVE = FanOut.EXCLUSIVE
TOPICS_KEPT = 1_024
MARGIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of a dead letter that was replayed; `problem` says why it was not."""

    letter: DeadLetter
    results: tuple[HandlerResult, ...] = ()
    problem: str = ""

    @property
    def success(self) -> bool:
        """Whether the letter is settled and gone."""
        return not self.problem and not any(result.is_missed for result in self.results)

    def as_json(self) -> dict[str, JSONValue]:
        """Return `{"letter", "handler", "success", "problem", "results"}`."""
        return {
            "letter": self.letter.id,
            "handler": self.letter.handler,
            "success": self.success,
            "problem": self.problem or None,
            "results": [result.as_json() for result in self.results],
        }


class _Heard(NamedTuple):
    """Who listens to a topic, and whether anybody has filters."""

    handlers: tuple[EventHandler, ...]
    is_filtered: bool


class EventDispatcher:
    """Tell handlers of events, all at once, so that none waits for or suffers from another.

    Each handler has a limit for each attempt, retries, and a bound on how many events it has
    in hand. What it does not handle in the end is kept among the dead letters, and can be
    replayed. Handlers stand in order of priority, then of registration, and so do results.

    >>> async def main() -> None:
    ...     dispatcher = EventDispatcher()
    ...     dispatcher.register(EventHandler(name="log", function=lambda event: event.topic))
    ...     for result in await dispatcher.dispatch(Event(id="1", type="order.created")):
    ...         print(result.handler, result.success, result.value)
    >>> asyncio.run(main())
    log True order.created

    Args:
        handlers: whom to tell.
        letters: where undelivered events are kept; in memory without one.
        clock: the source of time and ids.
        guard: who calls handlers.
    """

    def __init__(
        self,
        handlers: Iterable[EventHandler] = (),
        *,
        letters: DeadLetters | None = None,
        clock: Clock | None = None,
        guard: Guard | None = None,
    ) -> None:
        self.dead_letters = letters if letters is not None else MemoryDeadLetters()
        self._clock = clock or SystemClock()
        self._means = Means(guard or Guard(), self._clock, self.dead_letters)
        self._handlers: tuple[EventHandler, ...] = ()
        self._places: dict[str, Places | None] = {}
        self._heard: dict[str, _Heard] = {}
        self._has_rivals = False
        self.replace(handlers)

    @property
    def handlers(self) -> tuple[EventHandler, ...]:
        """Every handler, in order of priority, then of registration."""
        return self._handlers

    def register(self, handler: EventHandler) -> None:
        """Tell *handler* too, from the next event on.

        Raises:
            InvalidHandlerError: there is a handler of that name.
        """
        self.replace((*self._handlers, handler))

    def withdraw(self, name: str) -> bool:
        """Tell a handler no more, and say whether there was one; what it has in hand goes on."""
        left = [handler for handler in self._handlers if handler.name != name]
        gone = len(left) < len(self._handlers)
        self.replace(left)
        return gone

    def replace(self, handlers: Iterable[EventHandler]) -> None:
        """Make *handlers* all there are; who stays keeps count of what it has in hand.

        Raises:
            InvalidHandlerError: two have the same name; nothing is changed.
        """
        ordered = tuple(sorted(handlers, key=lambda handler: -handler.priority))
        places: dict[str, Places | None] = {}
        for handler in ordered:
            if handler.name in places:
                reason = "there is another of that name"
                raise InvalidHandlerError(handler.name, reason, origin=handler.origin)
            most = handler.max_concurrency
            places[handler.name] = (
                (self._places.get(handler.name) or Places(most)) if most else None
            )
        for handler, place in zip(ordered, places.values(), strict=True):
            if place is not None:
                place.resize(handler.max_concurrency)
        self._handlers, self._places, self._heard = ordered, places, {}
        self._has_rivals = sum(handler.fanout is EXCLUSIVE for handler in ordered) > 1

    def matching(self, event: Event) -> Sequence[EventHandler]:
        """Return the handlers that want *event*, in order."""
        heard = self._listening(event.type)
        if not heard.is_filtered:
            return heard.handlers
        return [each for each in heard.handlers if each.lets_pass(event)]

    async def dispatch(self, event: Event) -> list[HandlerResult]:
        """Tell every handler that wants *event*, and return all outcomes in handler order.

        Of the exclusive handlers one handles it, the highest priority first and the next when
        that one declined or could not; those that were not asked have no result. When the
        caller is cancelled, what is under way is cut short, and nothing goes on behind it.
        """
        return await self._tell(event, self.matching(event))

    async def replay(
        self, letter_id: str = "", *, chosen: Callable[[DeadLetter], bool] | None = None
    ) -> list[Replay]:
        """Tell the handlers of dead letters again, once: of one letter, or of all that are chosen.

        Only the handler that missed the event is told, with the event as it was, id included;
        for an exclusive one, whichever of the exclusive handlers will. A letter goes when its
        event was handled, and stays with the new error when not. While one replays a letter,
        no other process does.

        Raises:
            NotFoundError: there is no such letter, or its handler is gone.
            UnavailableError: the letters cannot be read.
        """
        letters = [
            letter
            for letter in await self.dead_letters.letters()
            if letter_id in ("", letter.id) and (chosen is None or chosen(letter))
        ]
        if letter_id and not letters:
            raise NotFoundError(
                "dead letter", letter_id, hint="oneiric event dead-letters shows what there is"
            )
        replays = [await self._replay(letter) for letter in letters]
        if letter_id and replays[0].problem and letters[0].handler not in self._places:
            raise NotFoundError("event handler", letters[0].handler, known=self._places)
        return replays

    def _listening(self, topic: str) -> _Heard:
        found = self._heard.get(topic)
        if found is None:
            if len(self._heard) >= TOPICS_KEPT:
                self._heard.clear()
            handlers = tuple(handler for handler in self._handlers if handler.hears(topic))
            found = _Heard(handlers, any(handler.filters for handler in handlers))
            self._heard[topic] = found
        return found

    async def _tell(
        self, event: Event, handlers: Sequence[EventHandler], *, keeps: bool = True
    ) -> list[HandlerResult]:
        if not handlers:
            return []
        if self._has_rivals and sum(each.fanout is EXCLUSIVE for each in handlers) > 1:
            return await self._tell_rivals(event, handlers, keeps=keeps)
        told, places = Round(self._means, event, len(handlers), keeps=keeps), self._places
        deliveries = [Delivery(told, each, places[each.name]) for each in handlers]
        try:
            for each in deliveries:
                each.begin()
            await told.wait()
        except asyncio.CancelledError:
            await Delivery.end(deliveries, self._means.guard, None)
            raise
        return [each.result for each in deliveries if each.result is not None]

    async def _tell_rivals(
        self, event: Event, handlers: Sequence[EventHandler], *, keeps: bool
    ) -> list[HandlerResult]:
        """Do the same where several exclusive handlers want the event: these one by one."""
        shared = sum(each.fanout is not EXCLUSIVE for each in handlers)
        told, guard = Round(self._means, event, shared + 1, keeps=keeps), self._means.guard
        deliveries = [Delivery(told, each, self._places[each.name]) for each in handlers]
        rivals = [each for each in deliveries if each.handler.fanout is EXCLUSIVE]
        election = guard.keep(_elect(rivals, told))
        try:
            for each in deliveries:
                if each.handler.fanout is not EXCLUSIVE:
                    each.begin()
            await told.wait()
        except asyncio.CancelledError:
            await Delivery.end(deliveries, guard, election)
            raise
        return [each.result for each in deliveries if each.result is not None]

    async def _replay(self, letter: DeadLetter) -> Replay:
        handler = next((each for each in self._handlers if each.name == letter.handler), None)
        if handler is None:
            return Replay(letter, problem=f"there is no handler {letter.handler}")
        event = Event.from_json(letter.event)
        targets = [handler]
        if handler.fanout is FanOut.EXCLUSIVE:
            targets = [
                each
                for each in self._handlers
                if each is handler or (each.fanout is FanOut.EXCLUSIVE and each.wants(event))
            ]
        now = self._clock.now()
        until = now + timedelta(seconds=sum(map(_patience, targets)) + MARGIN_SECONDS)
        claimed = await self.dead_letters.claim(letter.id, now=rfc3339(now), until=rfc3339(until))
        if claimed is None:
            return Replay(letter, problem="it is being replayed, or was")
        results = tuple(await self._tell(event, targets, keeps=False))
        missed = [result for result in results if result.is_missed]
        if missed:
            attempts = claimed.attempts + sum(result.attempts for result in missed)
            reason, error = str(missed[0].outcome), missed[0].error
            await self.dead_letters.add(
                replace(claimed, reason=reason, error=error, attempts=attempts)
            )
        else:
            await self.dead_letters.remove(letter.id)
        return Replay(claimed, results)


async def _elect(rivals: list[Delivery], told: Round) -> None:
    """Ask rivals one by one until one handles the event; if none does, keep one letter."""
    try:
        missed: list[Delivery] = []
        for rival in rivals:
            result = await rival.run()
            if result.success:
                for each in missed:
                    each.cover()
                return
            if result.is_missed:
                missed.append(rival)
        if missed and told.keeps:
            await missed[0].keep_letter()
    finally:
        told.done()


def _patience(handler: EventHandler) -> float:
    """Return the seconds within which *handler* is done with one event, when it has a place."""
    return handler.timeout_seconds * handler.retry.attempts + longest_seconds(handler.retry)
