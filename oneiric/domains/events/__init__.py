"""Events: what happened, told to every handler that wants to know."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from oneiric.front import opener

if TYPE_CHECKING:
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

_HOMES: Mapping[str, str] = MappingProxyType(
    {
        "DeclinedError": "oneiric.domains.events.handler",
        "Event": "oneiric.domains.events.event",
        "EventBridge": "oneiric.domains.events.bridge",
        "EventDispatcher": "oneiric.domains.events.dispatcher",
        "EventFilter": "oneiric.domains.events.filters",
        "EventHandler": "oneiric.domains.events.handler",
        "FanOut": "oneiric.domains.events.handler",
        "HandlerOutcome": "oneiric.domains.events.handler",
        "HandlerResult": "oneiric.domains.events.handler",
        "InvalidHandlerError": "oneiric.domains.events.handler",
        "MemoryDeadLetters": "oneiric.domains.events.dead_letters",
        "Replay": "oneiric.domains.events.dispatcher",
        "TopicPattern": "oneiric.domains.events.topics",
        "parse_event_filters": "oneiric.domains.events.filters",
    }
)


__getattr__ = opener(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
