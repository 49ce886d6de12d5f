"""Events: what happened, told to every handler that wants to know."""

from oneiric.domains.events.bridge import EventBridge
from oneiric.domains.events.dead_letters import MemoryDeadLetters
from oneiric.domains.events.dispatcher import EventDispatcher, Replay
from oneiric.domains.events.event import Event
from oneiric.domains.events.filters import EventFilter, parse_event_filters
from oneiric.domains.events.handler import (
    DeclinedError,
    EventHandler,
    FanOut,
    HandlerOutcome,
    HandlerResult,
    InvalidHandlerError,
)
from oneiric.domains.events.topics import TopicPattern

__all__ = [
    "DeclinedError",
    "Event",
    "EventBridge",
    "EventDispatcher",
    "EventFilter",
    "EventHandler",
    "FanOut",
    "HandlerOutcome",
    "HandlerResult",
    "InvalidHandlerError",
    "MemoryDeadLetters",
    "Replay",
    "TopicPattern",
    "parse_event_filters",
]
