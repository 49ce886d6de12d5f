"""One event of a run as a line of text, for whoever watches a run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

from oneiric.reports.report import told
from oneiric.reports.words import cut, duration, in_one_line
from oneiric.text.redaction import redacted

if TYPE_CHECKING:
    from oneiric.errors import JSONValue
    from oneiric.runs.event import RunEvent

SCHEMA = "oneiric.run-event/1"
_SAID = ("state", "provider", "reason", "signal", "name", "key", "actor", "kind", "note", "holder")
_LONGEST = 300


def happening(event: RunEvent, *, began_at: str) -> str:
    """Return an event as one line: how long after *began_at*, what, to which step, and why."""
    after = datetime.fromisoformat(event.at) - datetime.fromisoformat(began_at)
    parts = [f"{duration(max(after / timedelta(milliseconds=1), 0.0)):>10}", str(event.kind)]
    if event.step:
        parts.append(in_one_line(event.step))
    data = event.data
    attempt = data.get("attempt")
    if isinstance(attempt, int) and attempt > 1:
        parts.append(f"attempt {attempt}")
    parts += [f"{key} {in_one_line(data[key])}" for key in _SAID if data.get(key)]
    error = data.get("error")
    if isinstance(error, Mapping):
        parts.append(in_one_line(cut(told(error), _LONGEST)))
    return "  ".join(parts)


def event_document(event: RunEvent) -> dict[str, JSONValue]:
    """Return an event as `oneiric.run-event/1`, its secrets masked."""
    return {"schema": SCHEMA, **cast("dict[str, JSONValue]", redacted(event.as_json()))}
