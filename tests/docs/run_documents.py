"""One real document about runs for each section of `docs/reference/json.md` that shows one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oneiric.reports import RunReport
from oneiric.reports.document import document
from oneiric.reports.happening import event_document
from oneiric.runs.event import RunEvent
from oneiric.runs.journal import RunRecord
from oneiric.runs.plan import Plan, Step
from oneiric.runs.run import fold
from oneiric.runs.state import RunState
from oneiric.runtime.run_answers import Backup, Pruning, RunCarried, RunListing, RunTold, Soundness
from oneiric.stores.upkeep import JournalCheck
from tests.reports.runs import at, story

RUN_ID = "run-1"


def events() -> list[RunEvent]:
    """Return a run that fetched at the second attempt, and waits for an approval."""
    plan = Plan(
        "import",
        (Step("fetch", "task:fetch"), Step("approve", signal="go", depends_on=("fetch",))),
    )
    made = {"provider": "mirror", "version": "2.1", "decision": "sha256:5b0d"}
    lost = {"code": "failed", "message": "ConnectionError: gone", "type": "ConnectionError"}
    told: tuple[tuple[float, str, str, Mapping[str, Any]], ...] = (
        (1, "step-started", "fetch", {"attempt": 1, "input": {"password": "p"}, **made}),
        (21, "step-retried", "fetch", {"attempt": 1, "error": lost, "delay_ms": 100}),
        (121, "step-started", "fetch", {"attempt": 2, "input": {"password": "p"}, **made}),
        (150, "step-succeeded", "fetch", {"attempt": 2, "result": {"rows": 3}}),
        (150, "step-assigned", "approve", {"signal": "go", "prompt": "publish 3 rows?"}),
    )
    return story(plan, *told)


def run_documents() -> dict[str, Any]:
    """Return a document for each section."""
    record = RunRecord(RUN_ID, "import", RunState.RUNNING, at(0), at(150), 7, "h", is_held=True)
    return {
        "Run": document(RunReport.of(events(), now=at(900))),
        "Run event": event_document(events()[3]),
        "List of runs": RunListing((record,), has_more=False).as_json(),
        "What was told to a run": RunTold(
            RUN_ID, "signal", "live", "go", "approve", is_awaited=True
        ).as_json(),
        "Run gone on with": RunCarried(fold(events()), "resume", "local").as_json(),
        "Pruning of runs": Pruning(at(0), 100, 12, dry_run=True).as_json(),
        "Backup": Backup(Path("copy.sqlite"), 98_304).as_json(),
        "Check of the state database": Soundness(
            Path(".oneiric_cache/oneiric.sqlite"),
            JournalCheck(1, 6, ("the run run-1 has 6 events, numbered 1 to 7",)),
        ).as_json(),
    }
