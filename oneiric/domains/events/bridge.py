"""The events domain: handlers are what serves its keys."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from oneiric.core.activity import ActivityState
from oneiric.core.decision import Place
from oneiric.core.ref import ComponentRef
from oneiric.domains.bridge import ActivityVerbs, DomainBridge
from oneiric.domains.events.dispatcher import EventDispatcher, Replay
from oneiric.domains.events.event import SOURCE, Event
from oneiric.domains.events.filters import parse_event_filters
from oneiric.domains.events.handler import (
    EVERY_TOPIC,
    TIMEOUT_SECONDS,
    EventHandler,
    FanOut,
    HandlerOutcome,
    HandlerResult,
    InvalidHandlerError,
)
from oneiric.domains.retry import read_retry
from oneiric.errors import InvalidError, JSONValue, nearest
from oneiric.text.tracing import DOING, Doing, Trace, above

if TYPE_CHECKING:
    from oneiric.core.activity import Activity
    from oneiric.core.candidate import Candidate
    from oneiric.core.lifecycle import LifecycleManager
    from oneiric.domains.domain import Domain
    from oneiric.ports.dead_letters import DeadLetter, DeadLetters

ALL_PROVIDERS = "all"
WINNER = "winner"
_PREFIX = "event_"
_OWN = frozenset(
    {
        "event_topics",
        "event_filters",
        "event_priority",
        "event_max_concurrency",
        "event_fanout_policy",
        "event_providers",
    }
)


class EventBridge(DomainBridge):
    """Tell the components of the events domain, by what their metadata says they listen to.

    Of each key the winner handles, under the name of the key. An offer whose metadata says
    `event_providers: all` handles beside the winner, or as the winner, under the name
    `key@provider`. What is registered, withdrawn, swapped or excluded counts from the next
    event on. A component is held while it handles, so a swap loses nothing. Events for a
    paused component become dead letters, and are replayed when it resumes.

    Args:
        domain: the events domain.
        lifecycle: who brings components up.
        verbs: who pauses, resumes and drains, as for every bridge.
        letters: where undelivered events are kept; in memory without one.
        heard: called with each event that was dispatched, how many handlers wanted it, and
            what came of it with those that were told.
    """

    __slots__ = ("_seen", "dispatcher", "heard", "problems")

    def __init__(
        self,
        domain: Domain,
        lifecycle: LifecycleManager,
        *,
        verbs: ActivityVerbs | None = None,
        letters: DeadLetters | None = None,
        heard: Callable[[Event, int, Sequence[HandlerResult]], object] | None = None,
    ) -> None:
        super().__init__(domain, lifecycle, verbs=verbs)
        self.dispatcher = EventDispatcher(
            letters=letters, clock=lifecycle.clock, guard=lifecycle.builder.guard
        )
        self.heard = heard
        self.problems: tuple[InvalidHandlerError, ...] = ()
        self._seen = -1

    def refresh(self) -> None:
        """Look again who handles, if anything changed since; `dispatch` does so by itself."""
        generation = self.lifecycle.resolver.registry.generation
        if generation == self._seen:
            return
        handlers: list[EventHandler] = []
        problems: list[InvalidHandlerError] = []
        for candidate, name, held in self._offers():
            try:
                function = partial(self._handle, held, candidate, _name(name))
                handler = handler_of(candidate, name, function)
            except InvalidHandlerError as error:
                problems.append(error)
            else:
                handlers += [handler] if held else []
        self.dispatcher.replace(handlers)
        self.problems = tuple(problems)
        self._seen = generation

    def handlers(self) -> tuple[EventHandler, ...]:
        """Return who handles now, in order; offers with wrong metadata are among `problems`."""
        self.refresh()
        return self.dispatcher.handlers

    def matching(self, event: Event) -> Sequence[EventHandler]:
        """Return the handlers that want *event*, in order."""
        self.refresh()
        return self.dispatcher.matching(event)

    async def dispatch(self, event: Event) -> list[HandlerResult]:
        """Tell every handler that wants *event*, and return all outcomes in handler order."""
        self.refresh()
        begun = DOING.set(_dispatching(event))
        try:
            results = await self.dispatcher.dispatch(event)
            if self.heard is not None:
                self.heard(event, len(self.dispatcher.matching(event)), results)
        finally:
            DOING.reset(begun)
        return results

    async def emit(
        self,
        topic: str,
        payload: JSONValue | bytes = None,
        *,
        headers: Mapping[str, JSONValue] | None = None,
        source: str = SOURCE,
        subject: str = "",
    ) -> list[HandlerResult]:
        """Make a new event about *topic* and dispatch it; *headers* are its extensions.

        Raises:
            InvalidError: the topic, a header or the payload is wrong.
        """
        return await self.dispatch(
            Event.of(
                topic,
                payload,
                clock=self.lifecycle.clock,
                source=source,
                subject=subject,
                extensions=headers or {},
            )
        )

    async def letters(self) -> Sequence[DeadLetter]:
        """Return every dead letter, oldest first."""
        return await self.dispatcher.dead_letters.letters()

    async def replay(
        self, letter_id: str = "", *, chosen: Callable[[DeadLetter], bool] | None = None
    ) -> list[Replay]:
        """Replay one dead letter, or all that are chosen, as `EventDispatcher.replay` does."""
        self.refresh()
        return await self.dispatcher.replay(letter_id, chosen=chosen)

    async def resume(self, key: str, *, actor: str = "") -> Activity:
        """Accept work for *key* again, and deliver what arrived while it was paused."""
        activity = await super().resume(key, actor=actor)
        await self.replay_deferred(key)
        return activity

    async def replay_deferred(self, key: str = "") -> list[Replay]:
        """Deliver what arrived for *key* while it was paused; without one, to all that take work.

        Raises:
            UnavailableError: the letters cannot be read or changed.
        """
        names = {
            handler.name
            for handler in self.handlers()
            if _key(key) in ("", _key(handler.name)) and self._takes_work(handler.name)
        }
        return await self.replay(
            chosen=lambda letter: (
                letter.reason == HandlerOutcome.DEFERRED and letter.handler in names
            )
        )

    def _takes_work(self, name: str) -> bool:
        return self.lifecycle.activity.get(self.ref(name)).state is ActivityState.ACTIVE

    def _offers(self) -> Iterator[tuple[Candidate, ComponentRef[Any], ComponentRef[Any] | None]]:
        """Give every offer, what its handler is named after, and what is held while it handles.

        Nothing is held by who does not handle. An offer that is out for a time only, paused or
        in quarantine, handles where nobody stands in for it: so its events become dead letters.
        """
        for decision in self.decisions():
            served = decision.winner is not None
            for standing in decision.standings:
                candidate = standing.candidate
                place, offer = candidate.ref, candidate.offer
                passing = standing.rejection is not None and standing.rejection.reason.passing
                if candidate.metadata.get("event_providers") == ALL_PROVIDERS:
                    held = offer if passing or standing.place is not Place.REJECTED else None
                    yield candidate, offer, held
                elif standing.place is Place.SELECTED:
                    yield candidate, place, place
                elif passing and not served:
                    served = True
                    yield candidate, place, offer
                else:
                    yield candidate, offer, None

    async def _handle(
        self, ref: ComponentRef[Any] | None, candidate: Candidate, name: str, event: Event
    ) -> object:
        now, place = DOING.get() or Doing(), candidate.ref
        words = (event.id, name)
        DOING.set(  # for this task alone
            Doing(place.domain, place.key, candidate.provider, now.run, now.step, words, now)
        )
        async with self.lifecycle.use(ref or candidate.ref) as component:
            function = partial(component.handle, event)
            if candidate.blocking and not inspect.iscoroutinefunction(component.handle):
                outcome = await self.lifecycle.builder.guard.call(
                    function, limit=_seconds(candidate), blocking=True
                )
                if outcome.error is not None:
                    raise outcome.error
                return outcome.value
            value = function()
            return await value if inspect.isawaitable(value) else value


def handler_of(
    candidate: Candidate, ref: ComponentRef[Any], function: Callable[[Event], object]
) -> EventHandler:
    """Return the handler that a candidate's metadata describes, held by *ref*.

    Raises:
        InvalidHandlerError: the metadata is wrong; names the offer and where it came from.
    """
    metadata = candidate.metadata
    name, origin = _name(ref), f"{candidate.offer} ({candidate.source})"
    try:
        _check_keys(metadata)
        filters = parse_event_filters(metadata.get("event_filters"))
        retry = read_retry(metadata.get("retry_policy"))
    except InvalidError as error:
        raise InvalidHandlerError(name, error.message, origin=origin, hint=error.hint) from error
    return EventHandler(
        name=name,
        function=function,
        topics=_topics(metadata),
        filters=filters,
        priority=metadata.get("event_priority", candidate.priority),  # type: ignore[arg-type]
        fanout=metadata.get("event_fanout_policy", FanOut.BROADCAST),  # type: ignore[arg-type]
        max_concurrency=metadata.get("event_max_concurrency", 0),  # type: ignore[arg-type]
        timeout_seconds=metadata.get("timeout_seconds", TIMEOUT_SECONDS),  # type: ignore[arg-type]
        retry=retry,
        origin=origin,
    )


def _check_keys(metadata: Mapping[str, JSONValue]) -> None:
    for key in metadata:
        if key.startswith(_PREFIX) and key not in _OWN:
            close = nearest(key, _OWN)
            hint = f"did you mean {close}?" if close else f"keys: {', '.join(sorted(_OWN))}"
            raise InvalidError(f"its metadata has no {key!r}", hint=hint)
    if "topics" in metadata and "event_topics" in metadata:
        raise InvalidError("its metadata has both topics and event_topics")
    providers = metadata.get("event_providers", WINNER)
    if providers not in (WINNER, ALL_PROVIDERS):
        raise InvalidError(f"event_providers is {WINNER} or {ALL_PROVIDERS}, not {providers!r}")


def _topics(metadata: Mapping[str, JSONValue]) -> Any:
    return metadata.get("event_topics", metadata.get("topics", (EVERY_TOPIC,)))


def _seconds(candidate: Candidate) -> float:
    seconds = candidate.metadata.get("timeout_seconds", TIMEOUT_SECONDS)
    return float(seconds) if isinstance(seconds, int | float) else TIMEOUT_SECONDS


def _name(ref: ComponentRef[Any]) -> str:
    return str(ref).partition(":")[2]


def _dispatching(event: Event) -> Doing:
    """Return what is at work when *event* is told to its handlers, whose trace it may bring."""
    now, words = DOING.get(), (event.id, "event")
    if now is not None:
        return Doing("", "", "", now.run, now.step, words, above())
    brought = event.extensions.get("traceparent")
    return Doing("", "", "", "", "", words, Trace.parse(str(brought)) if brought else None)


def _key(name: str) -> str:
    return name.partition("@")[0]
