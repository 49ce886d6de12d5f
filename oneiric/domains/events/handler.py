"""Who is told of events, and what came of telling."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import NamedTuple

from oneiric.documents import canonical, parse
from oneiric.domains.events.event import Event
from oneiric.domains.events.filters import EventFilter
from oneiric.domains.events.topics import TopicPattern
from oneiric.domains.retry import ONCE, retry_json
from oneiric.errors import DocumentError, InvalidError, JSONValue, RefusedError, nearest
from oneiric.runs.plan import Retry

EVERY_TOPIC = "**"
TIMEOUT_SECONDS = 30.0
LONGEST_SECONDS = 86_400.0


class DeclinedError(RefusedError):
    """A handler does not want an event: raise it to decline. Nothing is tried again or kept."""

    code = "declined"


class InvalidHandlerError(InvalidError):
    """A handler that no dispatcher would take, and where it came from."""

    code = "invalid-handler"

    def __init__(self, handler: str, reason: str, *, origin: str, hint: str = "") -> None:
        super().__init__(f"the handler {handler} from {origin} is invalid: {reason}", hint=hint)
        self.handler = handler
        self.reason = reason
        self.origin = origin

    def details(self) -> dict[str, JSONValue]:
        return {"handler": self.handler, "reason": self.reason, "origin": self.origin}


class FanOut(StrEnum):
    """Whether a handler shares an event with others, or only one of its kind gets it."""

    BROADCAST = "broadcast"
    EXCLUSIVE = "exclusive"


class HandlerOutcome(StrEnum):
    """What came of telling one handler."""

    HANDLED = "handled"
    FAILED = "failed"
    TIMED_OUT = "timed-out"
    DECLINED = "declined"
    DEFERRED = "deferred"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventHandler:
    """Say who is told of which events, and how.

    >>> handler = EventHandler(name="audit", function=print, topics=["order.**"], priority=10)
    >>> handler.wants(Event(id="1", type="order.created"))
    True

    Args:
        name: unique within a dispatcher.
        function: called with the event; sync or async.
        topics: patterns, any of which must match; `**` for every topic.
        filters: all of which must pass.
        priority: higher is told first, and stands first among results.
        fanout: `broadcast`, or `exclusive`: of all exclusive handlers that want an event, one
            handles it, the highest priority first and the next when that one could not.
        max_concurrency: how many events it handles at a time; 0 for no limit.
        timeout_seconds: for one attempt.
        retry: how often it is tried.
        blocking: whether a sync function runs in a thread of its own.
        origin: where it came from, told in errors.

    Raises:
        InvalidHandlerError: an argument is wrong; names the handler and its origin.
    """

    name: str
    function: Callable[[Event], object]
    topics: tuple[str, ...] = (EVERY_TOPIC,)
    filters: tuple[EventFilter, ...] = ()
    priority: int = 0
    fanout: FanOut = FanOut.BROADCAST
    max_concurrency: int = 0
    timeout_seconds: float = TIMEOUT_SECONDS
    retry: Retry = ONCE
    blocking: bool = False
    origin: str = "code"
    patterns: tuple[TopicPattern, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        keep = partial(object.__setattr__, self)
        try:
            keep("topics", _topics(self.topics))
            keep("patterns", tuple(map(TopicPattern, self.topics)))
            keep("filters", _filters(self.filters))
            keep("fanout", _fanout(self.fanout))
            _whole("priority", self.priority, least=-(2**53), most=2**53)
            _whole("max_concurrency", self.max_concurrency, least=0, most=1_000_000)
            _seconds(self.timeout_seconds)
        except InvalidError as error:
            raise InvalidHandlerError(
                str(self.name), error.message, origin=self.origin, hint=error.hint
            ) from error
        if not callable(self.function):
            raise InvalidHandlerError(self.name, "it cannot be called", origin=self.origin)

    def hears(self, topic: str) -> bool:
        """Tell whether one of its patterns matches *topic*."""
        return any(pattern.matches(topic) for pattern in self.patterns)

    def wants(self, event: Event) -> bool:
        """Tell whether a pattern matches and every filter passes."""
        return self.hears(event.type) and self.lets_pass(event)

    def lets_pass(self, event: Event) -> bool:
        """Tell whether every filter passes."""
        return all(each.passes(event) for each in self.filters)

    def as_json(self) -> dict[str, JSONValue]:
        """Return what `oneiric event list --json` shows of it."""
        return {
            "name": self.name,
            "topics": list(self.topics),
            "filters": [each.as_json() for each in self.filters],
            "priority": self.priority,
            "fanout_policy": str(self.fanout),
            "max_concurrency": self.max_concurrency,
            "timeout_seconds": self.timeout_seconds,
            "retry_policy": retry_json(self.retry),
            "origin": self.origin,
        }


class HandlerResult(NamedTuple):
    """What came of telling one handler.

    `attempts` is 0 when it was not called, being paused. `letter` is the id of the dead letter
    that keeps the event for it. `covered` says that another exclusive handler took over.
    """

    handler: str
    outcome: HandlerOutcome
    value: object = None
    error: str = ""
    attempts: int = 1
    duration_ms: float = 0.0
    letter: str = ""
    covered: bool = False

    @property
    def success(self) -> bool:
        """Whether it handled the event."""
        return self.outcome is HandlerOutcome.HANDLED

    @property
    def is_missed(self) -> bool:
        """Whether the event still waits for it: it neither handled nor declined, nor did others."""
        settled = self.outcome in (HandlerOutcome.HANDLED, HandlerOutcome.DECLINED)
        return not settled and not self.covered

    def as_json(self) -> dict[str, JSONValue]:
        """Return the result; a value that is not JSON is null, and `value_problem` says why."""
        value, problem = _plain(self.value)
        return {
            "handler": self.handler,
            "success": self.success,
            "outcome": str(self.outcome),
            "duration_ms": round(self.duration_ms, 3),
            "value": value,
            "value_problem": problem,
            "error": self.error or None,
            "attempts": self.attempts,
            "dead_letter": self.letter or None,
            "covered": self.covered,
        }


def _plain(value: object) -> tuple[JSONValue, str]:
    try:
        return parse(canonical(value), "json"), ""  # type: ignore[arg-type]  # it is checked there
    except DocumentError as error:
        return None, error.message


def _topics(topics: object) -> tuple[str, ...]:
    if isinstance(topics, str) or not isinstance(topics, Iterable):
        hint = f'write ["{topics}"]' if isinstance(topics, str) else ""
        raise InvalidError(f"topics are a list, not {topics!r}", hint=hint)
    found = tuple(topics)
    if not found:
        raise InvalidError("it listens to no topic", hint='write ["**"] for every topic')
    return found


def _filters(filters: object) -> tuple[EventFilter, ...]:
    found = tuple(filters) if isinstance(filters, Iterable) else (filters,)
    if not all(isinstance(each, EventFilter) for each in found):
        raise InvalidError("filters are made by EventFilter", hint="EventFilter.parse takes tables")
    return found


def _fanout(policy: object) -> FanOut:
    try:
        return FanOut(policy)  # type: ignore[arg-type]  # it is checked here
    except ValueError:
        known = [str(each) for each in FanOut]
        close = nearest(str(policy), known)
        hint = f"did you mean {close}?" if close else f"one of {', '.join(known)}"
        raise InvalidError(f"there is no fan-out policy {policy!r}", hint=hint) from None


def _whole(name: str, value: object, *, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise InvalidError(f"{name} is a whole number from {least}, not {value!r}")


def _seconds(value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidError(f"timeout_seconds is a number, not {value!r}")
    if not 0 < value <= LONGEST_SECONDS:
        raise InvalidError(f"timeout_seconds lies above 0 and up to {LONGEST_SECONDS:g}")
