"""What commands about workflows and workers answer, as data; `as_json` is what `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oneiric.runtime.run_answers import exit_code_of, state_of

if TYPE_CHECKING:
    from oneiric.domains.metadata import InvalidMetadataError
    from oneiric.domains.worker import WorkerReport
    from oneiric.errors import JSONValue
    from oneiric.runs.plan import Plan
    from oneiric.runs.run import Run


@dataclass(frozen=True, slots=True)
class WorkflowPlans:
    """Workflows before anybody runs them, by key; and those that nobody can follow."""

    plans: Mapping[str, Plan]
    topologies: Mapping[str, dict[str, JSONValue]]
    problems: tuple[InvalidMetadataError, ...] = ()

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.workflow-plan/1`."""
        return {
            "schema": "oneiric.workflow-plan/1",
            "workflows": dict(self.topologies),
            "problems": [problem.as_json()["error"] for problem in self.problems],
        }


@dataclass(frozen=True, slots=True)
class WorkflowAnswer:
    """A run of a workflow as far as it came in this process.

    `resumed` tells that it was begun earlier, `looked` that such a run was asked for, and
    `kept` whether it outlives this process. `notifications` are who was told of its end.
    """

    key: str
    run: Run
    resumed: bool = False
    looked: bool = False
    kept: bool = True
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
            "applied": "local",
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
