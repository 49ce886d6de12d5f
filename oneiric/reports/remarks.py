"""What is said of the steps of a run: why they stand so, what they wrote, and their log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oneiric.documents import digest
from oneiric.runs.event import EventKind, RunEvent

if TYPE_CHECKING:
    from oneiric.errors import JSONValue

WHY, LOG = "why", "log"
"""The kinds of notes that are remarks: `text`, and with a reason whether it `is_served`."""


@dataclass(slots=True)
class Remarks:
    """What is said of one step.

    `why` says why it was done, or why not; `is_served` that an earlier result stood in for its
    work. `wrote` holds the digest of each value that it wrote to the context, by key.
    """

    why: str = ""
    is_served: bool = False
    wrote: dict[str, str] = field(default_factory=dict)
    log: str = ""


def remarks(events: Iterable[RunEvent]) -> Mapping[str, Remarks]:
    """Return what is said of each step of which anything is said; the last word counts."""
    found: dict[str, Remarks] = {}
    for event in events:
        if event.kind is EventKind.CONTEXT_SET:
            each = found.setdefault(event.step, Remarks())
            each.wrote[str(event.data["key"])] = digest(event.data["value"])
        elif event.kind is EventKind.NOTED and event.data.get("kind") in (WHY, LOG):
            _note(found.setdefault(event.step, Remarks()), event.data)
    return found


def _note(each: Remarks, data: Mapping[str, JSONValue]) -> None:
    text = str(data.get("text") or "")
    if data.get("kind") == WHY:
        each.why, each.is_served = text, data.get("is_served") is True
    else:
        each.log = text
