"""What is at work under mixed traffic: parts that leave a mark whenever they do something.

Each mark is a line of the file `marks` in the working directory: what was done, on what, under
which key, and by which process.
"""

import asyncio
import os
from typing import Any

from pydantic import BaseModel

from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin
from oneiric.domains.events import Event
from oneiric.errors import JSONValue
from oneiric.runs.context import StepContext

MARKS = "marks"
MARK = "task:traffic-mark"
EAR = "event:traffic-ear"
WORKFLOW = "workflow:traffic"
TOPIC = "traffic.heard"
FAR = "tests.faults.traffic_parts:Far"
STEPS = ("first", "second", "far")
_DAG: dict[str, JSONValue] = {
    "nodes": [
        {"id": "first", "task": "traffic-mark"},
        {"id": "second", "task": "traffic-mark", "depends_on": ["first"]},
        {"id": "far", "task": "traffic-far", "depends_on": ["first"]},
    ]
}


def leave(*words: object) -> None:
    """Add a mark, whole or not at all."""
    descriptor = os.open(MARKS, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(descriptor, (" ".join(map(str, (*words, os.getpid()))) + "\n").encode())
    finally:
        os.close(descriptor)


class Far:
    """A task of a manifest, which must not be used once it was closed."""

    def __init__(self) -> None:
        self._is_closed = False

    def cleanup(self) -> None:
        """End it."""
        self._is_closed = True

    async def run(self, payload: Any, *, context: StepContext) -> Any:
        """Leave a mark, and take a moment."""
        leave("step", f"{context.run_id}/{context.step_id}", context.idempotency_key)
        await asyncio.sleep(0.01)
        if self._is_closed:
            raise RuntimeError("it was closed while it was held")
        return {"by": type(self).__name__}


class MarkSettings(BaseModel):
    """What a change of the configuration changes."""

    save: int = 0


class Mark(Far):
    """A task of a plugin."""

    def __init__(self, settings: MarkSettings) -> None:
        super().__init__()
        self._save = settings.save


class Other(Mark):
    """What takes its place."""


class Ear:
    """A handler of events."""

    def handle(self, event: Event) -> None:
        """Leave a mark."""
        leave("event", event.id, "-")


class Report:
    """A workflow, of which its data is all that counts."""


TASKS = Plugin(
    [
        Candidate(MARK, "one", Mark, settings_model=MarkSettings),
        Candidate(MARK, "other", Other, settings_model=MarkSettings),
    ]
)
EVENTS = Plugin([Candidate(EAR, "ear", Ear, metadata={"event_topics": [TOPIC]})])
WORKFLOWS = Plugin([Candidate(WORKFLOW, "report", Report, metadata={"dag": _DAG})])
PLUGINS = {"tasks": TASKS, "events": EVENTS, "workflows": WORKFLOWS}
