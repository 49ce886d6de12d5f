"""Runs for tests of reports: events that the engine made, and events made by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from oneiric.clock import rfc3339
from oneiric.errors import JSONValue
from oneiric.runs.body import Assigned
from oneiric.runs.context import StepContext
from oneiric.runs.engine import RunEngine
from oneiric.runs.event import EventKind, RunEvent
from oneiric.runs.journal import MemoryJournal
from oneiric.runs.plan import Plan, Step
from oneiric.testing import ManualClock

ZERO = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
HOSTILE = (
    "</title></style><script>alert(1)</script>\"'>&amp;<img src=x onerror=alert(1)> "
    "`|`\\|*_[x](http://e) ]]> <!-- \x00\x0b\x1b[2J\x9b\u202e\u2028\ufffe\ud800 \n# x\n@you"
)


def at(ms: float) -> str:
    """Return a time so many milliseconds after the first."""
    return rfc3339(ZERO + timedelta(milliseconds=ms))


def story(
    plan: Plan, *told: tuple[float, str, str, Mapping[str, Any]], given: Any = None
) -> list[RunEvent]:
    """Return the events of a run: its creation and start at 0 ms, then each *told* one."""
    created = {"plan": plan.as_json(), "digest": "sha256:0", "input": given}
    events = [
        RunEvent("run-1", EventKind.RUN_CREATED, at(0), "", created, 1),
        RunEvent("run-1", EventKind.RUN_STARTED, at(0), "", {"holder": "h", "token": 1}, 2),
    ]
    for seq, (ms, kind, step, data) in enumerate(told, start=3):
        events.append(RunEvent("run-1", EventKind(kind), at(ms), step, data, seq))
    return events


def imported() -> list[RunEvent]:
    """Return a run in which most of what can happen to steps happens."""
    plan = Plan(
        "import",
        (
            Step("fetch", "task:fetch"),
            Step("parse", "task:parse", depends_on=("fetch",)),
            Step("approve", signal="go", depends_on=("parse",)),
            Step("publish", "task:publish", depends_on=("approve",)),
            Step("notify", "task:notify", depends_on=("publish",)),
        ),
    )
    made = {"provider": "mirror", "version": "2.1", "decision": "sha256:d"}
    lost = {"code": "failed", "message": "ConnectionError: gone", "type": "ConnectionError"}
    late = {"code": "timeout", "message": "it took longer than 1 s", "type": "TimeoutError"}
    told: Sequence[tuple[float, str, str, Mapping[str, Any]]] = (
        (0, "step-started", "fetch", {"attempt": 1, "input": {"password": "p"}, **made}),
        (100, "step-retried", "fetch", {"attempt": 1, "error": lost, "delay_ms": 100}),
        (200, "step-started", "fetch", {"attempt": 2, "input": {"password": "p"}, **made}),
        (300, "step-succeeded", "fetch", {"attempt": 2, "result": {"rows": 3}}),
        (300, "step-succeeded", "parse", {"result": 7, "reason": "cache"}),
        (300, "step-assigned", "approve", {"signal": "go", "prompt": "ok?"}),
        (700, "step-succeeded", "approve", {"result": True}),
        (700, "step-started", "publish", {"attempt": 1}),
        (1000, "step-failed", "publish", {"attempt": 1, "error": late}),
        (1000, "step-canceled", "notify", {"reason": "dependency"}),
        (1000, "run-ended", "", {"state": "failed", "error": {**late, "failed": {}}}),
    )
    return story(plan, *told)


async def _work(context: StepContext, value: JSONValue) -> JSONValue | Assigned:
    """Do what the input says: return, fail, fail once, hand over, say something hostile."""
    await asyncio.sleep(0)
    match value:
        case ["fail", str(text)]:
            raise ValueError(text)
        case "flaky" if context.attempt == 1:
            raise ConnectionError("once")
        case "ask":
            return Assigned(prompt={"of": context.step_id})
    context.set(context.step_id, value)
    return value


async def events_of(plan: Plan, given: JSONValue = None) -> Sequence[RunEvent]:
    """Run *plan* until it is over or waits for somebody outside, and return its events."""
    journal = MemoryJournal(ManualClock())
    engine = RunEngine({"work": _work}, journal=journal)
    run = await asyncio.wait_for((await engine.start(plan, given)).settled(), 20)
    events = await journal.read(run.run_id)
    await engine.close()
    return events
