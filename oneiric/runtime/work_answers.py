"""What commands about workflows and workers answer, as data; `as_json` is what `--json` prints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oneiric.domains.workflows.topology import drawing, mermaid
from oneiric.runtime.answer import page
from oneiric.runtime.run_answers import exit_code_of, state_of

if TYPE_CHECKING:
    from oneiric.domains.messages import Enqueued
    from oneiric.domains.metadata import InvalidMetadataError
    from oneiric.domains.worker import WorkerReport
    from oneiric.errors import JSONValue
    from oneiric.runs.plan import Plan
    from oneiric.runs.run import Run


@dataclass(frozen=True, slots=True)
class WorkflowPlans:
    """Workflows before anybody runs them, by key; and those that nobody can follow.

    As text they are drawn, or with `mermaid` written as flowcharts.
    """

    plans: Mapping[str, Plan]
    topologies: Mapping[str, dict[str, JSONValue]]
    problems: tuple[InvalidMetadataError, ...] = ()
    mermaid: bool = False
    applied: str = "local"

    @property
    def exit_code(self) -> int:
        """Always 0."""
        return 0

    @property
    def errors(self) -> tuple[str, ...]:
        """What is wrong with the others."""
        return tuple(f"warning: {problem}" for problem in self.problems)

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.workflow-plan/1`."""
        return {
            "schema": "oneiric.workflow-plan/1",
            "applied": self.applied,
            "workflows": dict(self.topologies),
            "problems": [problem.as_json()["error"] for problem in self.problems],
        }

    def render(self, *, columns: int, colour: bool) -> str:
        """Return each workflow, drawn or as a flowchart."""
        if self.mermaid:
            return page(*map(mermaid, self.plans.values()))
        drawn = (self._drawn(key, columns) for key in self.plans)
        return page(*drawn) or "there are no workflows"

    def _drawn(self, key: str, columns: int) -> str:
        shape = self.topologies[key]
        queue = f"{shape['queue_category']}@{shape['queue_provider'] or 'nobody'}"
        counts = f"{shape['node_count']} nodes, {shape['edge_count']} edges"
        head = f"{key}@{shape['provider']}  {counts}, queue {queue}"
        return f"{head}\n\n{drawing(self.plans[key], columns=columns)}\n"


@dataclass(frozen=True, slots=True)
class WorkflowAnswer:
    """A run of a workflow as far as it came in the process that `applied` names.

    `resumed` tells that it was begun earlier, and `kept` whether it outlives the process.
    `notifications` are who was told of its end, `notices` what is still to be told to whoever
    asked.
    """

    key: str
    run: Run
    resumed: bool = False
    kept: bool = True
    applied: str = "local"
    notices: tuple[str, ...] = ()
    notifications: tuple[JSONValue, ...] = ()

    @property
    def state(self) -> str:
        """How the run stands: a state, or `waiting` where only somebody outside can go on."""
        return state_of(self.run)

    @property
    def exit_code(self) -> int:
        """0 for a run that succeeded, 4 for one that waits, else 1."""
        return exit_code_of(self.run)

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.workflow-run/1`."""
        return {
            "schema": "oneiric.workflow-run/1",
            "applied": self.applied,
            "workflow": self.key,
            "run_id": self.run.run_id,
            "state": self.state,
            "resumed": self.resumed,
            "checkpoints": self.kept,
            "results": self.run.results,
            "error": self.run.error,
            "steps": {name: str(step.state) for name, step in self.run.steps.items()},
            "notifications": list(self.notifications),
        }

    def render(self, *, columns: int, colour: bool) -> str:
        """Return how the run stands, why, and its results."""
        how = "resumed" if self.resumed else "local"
        if self.applied != "local":
            how = f"{self.applied}, resumed" if self.resumed else self.applied
        head, error = f"{how}: {self.key} {self.state}, run {self.run.run_id}", self.run.error
        why = f"{error.get('code')}: {error.get('message')}" if error else ""
        return page(head, why, json.dumps(self.run.results, indent=2, ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class EnqueueAnswer:
    """A message that is in a queue, and which process put it there."""

    enqueued: Enqueued
    applied: str = "local"

    @property
    def exit_code(self) -> int:
        """Always 0."""
        return 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.enqueue/1`, with `applied`."""
        return {**self.enqueued.as_json(), "applied": self.applied}

    def render(self, *, columns: int, colour: bool) -> str:
        """Return which message is where."""
        told, message = self.enqueued, self.enqueued.message
        where = f"adapter:{told.queue_category}@{told.queue_provider}"
        live = "" if self.applied == "local" else f"{self.applied}: "
        return page(f"{live}enqueued: {message.key}, run {message.run_id}, in {where}")


@dataclass(frozen=True, slots=True)
class WorkerAnswer:
    """What a worker did until it ended."""

    report: WorkerReport
    queue: str

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.worker/1`."""
        return {
            "schema": "oneiric.worker/1",
            "queue": self.queue,
            "done": self.report.done,
            "given_back": self.report.back,
            "set_aside": self.report.aside,
        }
