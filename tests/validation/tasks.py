"""Tasks to try, and what is told of them then."""

from __future__ import annotations

from typing import Any

from oneiric.validation.models import Task, ValidationCriteria
from tests.validation.parts import Parts


def task(name: str = "deploy-auth", **criteria: Any) -> Task:
    """Return a task with a local test and two checks, unless told otherwise."""
    given = {"local_tests": ["true"], "live_checks": [{"url": "/a"}, {"url": "/b"}], **criteria}
    return Task(id=name, title="Deploy", criteria=ValidationCriteria(**given))


def told(done: Task) -> tuple[str, str, str]:
    """Return how a task stands, what came of it, and the code of what stopped it."""
    return str(done.status), str(done.outcome), str(done.metadata["code"])


async def steps_of(found: Parts, done: Task) -> dict[str, str]:
    """Return the state of each step of a task's run."""
    run = await found.orchestrator.host.engine.get(done.run_id)
    return {name: str(step.state) for name, step in run.steps.items()}
