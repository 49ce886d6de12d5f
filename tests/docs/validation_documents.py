"""One real document about validation for each section of `docs/reference/json.md`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from oneiric.errors import Problem
from oneiric.ports.drift import DriftItem, DriftReport, Severity, Unchecked
from oneiric.reports import RunReport
from oneiric.runs import proof as kernel
from oneiric.runs.body import Provenance
from oneiric.runs.plan import Plan, Step
from oneiric.validation.answers import (
    CheckAnswer,
    DriftAnswer,
    KnowledgeAnswer,
    LedgersAnswer,
    ProofsAnswer,
    TaskAnswer,
    Verification,
    Written,
    told_baseline,
    told_status,
)
from oneiric.validation.drift.baseline import Accepted, Baseline, SeenRoute
from oneiric.validation.ledger import Head
from oneiric.validation.models import Task, ValidationCriteria
from oneiric.validation.proof import Proof
from oneiric.validation.states import TaskOutcome, TaskStatus
from tests.reports.runs import story

AT = "2026-11-20T09:30:00.000000Z"
RUN = "019aa5b2-7c3e-7000-8000-3f1f0b2a9c11"
PRODUCTION = "https://api.example.com"


def evidence(**more: Any) -> kernel.Proof:
    """Return the proof of a check that passed."""
    facts = {"check": "live-6149728ee6ce", "user": "test@example.com", "duration_ms": 12.5}
    asserts = [{"what": "status", "expected": 200, "actual": 200, "ok": True}]
    told: dict[str, Any] = {
        "claim": f"GET {PRODUCTION}/health answers as expected",
        "subject": f"{PRODUCTION}/health",
        "kind": "live",
        "outcome": kernel.ProofOutcome.PASSED,
        "at": AT,
        "by": Provenance(provider="live", version="0.1.0"),
        "excerpts": {"response": '{"status":"ok"}'},
        "facts": {**facts, "attempts": 1, "method": "GET", "status": 200, "asserts": asserts},
    }
    return kernel.Proof(**{**told, **more})


def report() -> DriftReport:
    """Return what was found where a route is gone and the database cannot be reached."""
    gone = DriftItem(
        kind="route",
        code="route-missing",
        severity=Severity.BREAKING,
        place="GET /users",
        message="production has no such route: it answered 404",
        hint="deploy what declares it, or take it out of the contract",
        facts={"status": 404},
    )
    unsure = Unchecked(kind="database", place="orders", reason="nobody answers at db:5432")
    return DriftReport(
        at=AT,
        items=(gone,),
        unchecked=(unsure,),
        checked={"route": 2, "health": 1},
        absent={"config": "no baseline default was recorded"},
        ignored=1,
    )


def validation_documents() -> dict[str, Any]:
    """Return a document for each section."""
    proof, head = evidence(), Head(1, evidence().digest)
    task = Task(
        id="deploy-auth",
        title="Deploy Auth",
        criteria=ValidationCriteria(required_proofs=2),
        status=TaskStatus.PROD_FAIL,
        outcome=TaskOutcome.FAILED,
        proofs=[Proof.of(proof)],
        created_at=AT,
        error="1 check proved, 2 required",
        run_id=RUN,
        metadata={"code": "not-enough-proofs", "warnings": ["knowledge: nobody answers"]},
    )
    memory: Any = {"success": True, "memory_id": "mem_1", "message": "Memory stored"}
    moved = Problem("1", "it follows what is missing or was changed", "chain")
    baseline = Baseline(
        name="default",
        at=AT,
        prod_url=PRODUCTION,
        routes=[SeenRoute(method="GET", path="/users", status=200)],
        health="/health",
        headers={"server": "nginx"},
        config={"/config": {"region": "eu"}},
        accepted=[Accepted(kind="route", code="route-missing", place="GET /old", at=AT)],
    )
    check = {"id": "live-6149728ee6ce", "is_required": True, "counts": True}
    standard = {"id": "cutover.health", "is_required": True, "counts": False}
    gate = {"checks": [check, standard], "required_proofs": 2}
    plan = Plan("task:deploy-auth", (Step("done", "task:validation.note"),))
    run = story(plan, given={"steps": {"cutover.health": {}, "gate.production": gate}})
    return {
        "Task": TaskAnswer(task, RunReport.of(run)).as_json(),
        "Proof": CheckAnswer(Proof.of(proof)).as_json(),
        "Drift": DriftAnswer(report()).as_json(),
        "Baseline": told_baseline(baseline).as_json(),
        "Answer of knowledge": KnowledgeAnswer("remember", memory).as_json(),
        "Proofs of a task": ProofsAnswer("deploy-auth", [(1, RUN, proof)]).as_json(),
        "List of ledgers": LedgersAnswer({"deploy-auth": head}).as_json(),
        "Verification of a ledger": Verification("deploy-auth", head, 2, [moved]).as_json(),
        "Status of validation": told_status(
            {
                "prod_url": PRODUCTION,
                "repo_path": "/srv/shop",
                "project": "shop",
                "serving": {"adapter:validator": "adapter:validator@live"},
                "tasks": [{"id": "deploy-auth", "status": "prod_fail", "run": RUN}],
            }
        ).as_json(),
        "Written file": Written(Path("/srv/shop/.snipara-orchestrator.json")).as_json(),
    }
