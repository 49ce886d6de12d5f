"""The shapes in which the latest work is remembered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from oneiric.clock import rfc3339
from oneiric.domains.retry import retry_json
from oneiric.text.redaction import redacted

if TYPE_CHECKING:
    from oneiric.domains.events import Event, HandlerResult
    from oneiric.errors import JSONValue
    from oneiric.runs.run import Run, StepRun

MOST = 200
LONGEST_ERROR = 500


def said(text: str) -> str:
    """Return an error as it may be kept: masked, and not too long."""
    return str(redacted(text))[:LONGEST_ERROR]


def event_json(
    event: Event, matched: int, results: Sequence[HandlerResult], at: datetime
) -> dict[str, JSONValue]:
    """Return an event without its data, and what came of it with each handler."""
    return {
        "topic": event.topic,
        "id": event.id,
        "matched_handlers": matched,
        "failures": sum(each.is_missed for each in results),
        "total_duration_ms": round(max((each.duration_ms for each in results), default=0.0), 3),
        "handlers": [
            {
                "handler": each.handler,
                "success": each.success,
                "outcome": str(each.outcome),
                "duration_ms": round(each.duration_ms, 3),
                "attempts": each.attempts,
                "error": said(each.error) if each.error else None,
            }
            for each in results[:MOST]
        ],
        "recorded_at": rfc3339(at),
    }


def workflow_json(run: Run, name: str, at: datetime) -> dict[str, JSONValue]:
    """Return a run without its values: how it stands, and what each of its steps took."""
    steps = list(run.steps.values())
    return {
        "workflow": name,
        "run": run.run_id,
        "state": "waiting" if run.is_waiting else str(run.state),
        "error": _error(run.error),
        "node_count": len(steps),
        "entry_nodes": [each.step.id for each in steps[:MOST] if not each.step.depends_on],
        "nodes": [_node(each) for each in steps[:MOST]],
        "total_duration_ms": _between(run.started_at, run.ended_at),
        "recorded_at": rfc3339(at),
    }


def _node(run: StepRun) -> dict[str, JSONValue]:
    return {
        "node": run.step.id,
        "task": run.step.target,
        "depends_on": list(run.step.depends_on),
        "state": str(run.state),
        "duration_ms": _between(run.started_at, run.ended_at),
        "attempts": run.attempt,
        "error": _error(run.error),
        "retry_policy": retry_json(run.step.retry),
    }


def _error(error: Mapping[str, JSONValue] | None) -> dict[str, JSONValue] | None:
    if error is None:
        return None
    return {"code": error.get("code"), "message": said(str(error.get("message", "")))}


def _between(start: str, end: str) -> float | None:
    if not start or not end:
        return None
    spent = datetime.fromisoformat(end) - datetime.fromisoformat(start)
    return round(spent.total_seconds() * 1e3, 3)
