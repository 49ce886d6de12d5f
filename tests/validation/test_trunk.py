"""Tasks are runs: what came of them, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from oneiric.validation.models import LiveCheck, Task, TaskOutcome, TaskStatus, ValidationCriteria
from tests.validation.parts import parts

TRUE, FALSE = "true", "false"


def task(name: str = "deploy-auth", **criteria: Any) -> Task:
    """Return a task with a local test and two checks, unless told otherwise."""
    given = {
        "local_tests": [TRUE],
        "live_checks": [LiveCheck(url="/a"), LiveCheck(url="/b")],
        **criteria,
    }
    return Task(id=name, title="Deploy", criteria=ValidationCriteria(**given))


async def test_promise_task_a_task_is_done_when_production_has_proved_it(tmp_path: Path) -> None:
    """Local tests, drift, checks, cutover: each a step, and the task is done at the end."""
    async with parts(tmp_path) as found:
        done = await found.orchestrator.execute_task(task())
    assert (done.status, done.outcome, done.error) == (TaskStatus.DONE, TaskOutcome.DONE, None)
    assert [proof.result for proof in done.proofs] == ["pass"] * 5
    assert done.completed_at
    assert found.notebook.kept == [
        "decision/validation: Deploy (deploy-auth) is done: production has proved it"
    ]
