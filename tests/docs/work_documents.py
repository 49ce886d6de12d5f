"""One real document about workflows for each section of `docs/reference/json.md` that shows one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oneiric.core.candidate import Candidate
from oneiric.domains.messages import Enqueued, WorkMessage
from oneiric.domains.worker import WorkerReport
from oneiric.domains.workflows.spec import read_workflow
from oneiric.domains.workflows.topology import topology
from oneiric.runs.body import Functions
from oneiric.runs.plan import Plan, Step
from oneiric.runs.run import fold
from oneiric.runtime.scheduler import Callback
from oneiric.runtime.work_answers import EnqueueAnswer, WorkerAnswer, WorkflowAnswer, WorkflowPlans
from tests.reports.runs import at, story

_NODES: list[Mapping[str, Any]] = [
    {"id": "charge", "task": "charge", "compensation": "refund"},
    {
        "id": "ship",
        "task": "ship",
        "depends_on": ["charge"],
        "payload": {"receipt": "${ steps.charge.output }"},
        "retry_policy": {"attempts": 3, "base_delay": 0.5, "jitter": 0},
    },
]


def work_documents() -> dict[str, Any]:
    """Return a document for each section."""
    names = ("task:charge", "task:ship", "task:refund")
    bodies = Functions({name: lambda context, value: value for name in names})
    metadata: Any = {"dag": {"nodes": _NODES, "notifications": {"channel": "orders"}}}
    offer = Candidate("workflow:order", "shop", object, version="1.4", metadata=metadata)
    workflow = read_workflow(offer, bodies)
    shape = topology(workflow, category="queue", provider="sqlite")
    plan = Plan("workflow:order", (Step("charge", "task:charge"), Step("ship", "task:ship")))
    run = fold(
        story(
            plan,
            (1, "step-started", "charge", {"attempt": 1}),
            (5, "step-succeeded", "charge", {"attempt": 1, "result": {"receipt": 17}}),
            (5, "step-started", "ship", {"attempt": 1}),
        )
    )
    done = fold(story(Plan("workflow:order", ()), (9, "run-ended", "", {"state": "succeeded"})))
    message = WorkMessage("workflow", "order", run.run_id, {}, queued_at=at(0))
    return {
        "Plan of a workflow": WorkflowPlans({}, {"order": shape}).as_json(),
        "Run of a workflow": WorkflowAnswer("order", run, resumed=True).as_json(),
        "Callback": Callback(done).as_json(),
        "Enqueued message": EnqueueAnswer(Enqueued(message, "m-1", "queue", "sqlite")).as_json(),
        "Worker": WorkerAnswer(WorkerReport(12, 1, 0), "adapter:queue@sqlite").as_json(),
    }
