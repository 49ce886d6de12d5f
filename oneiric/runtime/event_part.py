"""The way into events, with dead letters in the state database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oneiric.domains import ALL
from oneiric.domains.events import EventBridge
from oneiric.stores.dead_letters import DeadLetterStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oneiric.domains.events import Event, HandlerResult
    from oneiric.runtime.orchestrator import RuntimeOrchestrator


def events_of(runtime: RuntimeOrchestrator) -> EventBridge:
    """Return the bridge to the components of the events domain that *runtime* has."""

    def heard(event: Event, matched: int, results: Sequence[HandlerResult]) -> None:
        runtime.measures.dispatched(event, matched, results)

    return EventBridge(
        ALL["event"],
        runtime.lifecycle,
        verbs=runtime.activity,
        letters=DeadLetterStore(runtime.paths.database),
        heard=heard,
    )
