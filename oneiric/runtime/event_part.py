"""The way into events, with dead letters in the state database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oneiric.domains import ALL
from oneiric.domains.events import EventBridge
from oneiric.stores.dead_letters import DeadLetterStore

if TYPE_CHECKING:
    from oneiric.runtime.orchestrator import RuntimeOrchestrator


def events_of(runtime: RuntimeOrchestrator) -> EventBridge:
    """Return the bridge to the components of the events domain that *runtime* has."""
    letters = DeadLetterStore(runtime.paths.database)
    return EventBridge(ALL["event"], runtime.lifecycle, letters=letters)
