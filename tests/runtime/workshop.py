"""Components that events, runs and swaps are made of, for what is remembered of them."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin
from oneiric.domains.events import Event
from oneiric.runtime import RuntimeOrchestrator
from oneiric.text.tracing import here

SECRET = "hunter2"


class Good:
    """Handle events, and do steps."""

    def handle(self, event: Event) -> str:
        return f"kept {event.data}"

    def run(self, payload: Any) -> Any:
        return payload


class Bad:
    """Fail at both, and tell a secret while at it."""

    def handle(self, event: Event) -> None:
        raise OSError(f"redis://me:{SECRET}@host/0 is down")

    def run(self, payload: Any) -> None:
        raise OSError(f"redis://me:{SECRET}@host/0 is down")


class Dry:
    """A component that does not come up."""

    def init(self) -> None:
        raise OSError("no ink")


class Traced:
    """Tell the place in a trace at which a step is done."""

    async def run(self, payload: Any) -> Any:
        await asyncio.sleep(0)
        place = here()
        return {"trace": place.trace_id, "span": place.span_id} if place else None


def dag(*nodes: Mapping[str, Any]) -> dict[str, Any]:
    return {"dag": {"nodes": list(nodes)}}


PLUGIN = Plugin(
    [
        Candidate("event:good", "p", Good, priority=1, metadata={"event_topics": ["order.*"]}),
        Candidate("event:bad", "p", Bad, metadata={"event_topics": ["order.broken"]}),
        Candidate("task:good", "p", Good),
        Candidate("task:bad", "p", Bad),
        Candidate("task:traced", "p", Traced),
        Candidate("adapter:pen", "quill", Good, priority=2),
        Candidate("adapter:pen", "biro", Good, priority=1),
        Candidate("adapter:pen", "dry", Dry),
        Candidate(
            "workflow:fine",
            "p",
            dict,
            metadata=dag(
                {"id": "a", "task": "good"}, {"id": "b", "task": "good", "depends_on": ["a"]}
            ),
        ),
        Candidate(
            "workflow:broken",
            "p",
            dict,
            metadata=dag(
                {"id": "a", "task": "good"}, {"id": "b", "task": "bad", "depends_on": ["a"]}
            ),
        ),
        Candidate("workflow:traced", "p", dict, metadata=dag({"id": "a", "task": "traced"})),
    ]
)


def opened(folder: Path) -> RuntimeOrchestrator:
    """Return a runtime that has them."""
    return RuntimeOrchestrator.open(folder=folder, plugins=(PLUGIN,))
