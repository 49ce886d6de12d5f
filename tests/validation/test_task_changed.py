"""A run that was left open goes on as what it was begun as, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from oneiric.errors import ClosedError
from oneiric.validation.errors import TaskChangedError
from oneiric.validation.models import OrchestratorConfig, Task
from oneiric.validation.orchestrator import Orchestrator
from tests.validation.parts import Parts, Service, served
from tests.validation.tasks import task, told


@asynccontextmanager
async def up(folder: Path, service: Service, **fields: Any) -> AsyncIterator[Orchestrator]:
    """Give an orchestrator for the service."""
    config = OrchestratorConfig(prod_url=service.url, repo_path=folder, **fields)
    async with Orchestrator(config) as orchestrator:
        Parts(orchestrator, service).offer()
        yield orchestrator


def asking(*paths: str, **more: Any) -> Task:
    """Return a task that asks for these paths."""
    return task(live_checks=[{"url": path} for path in paths], **more)


async def left_open(folder: Path, service: Service, given: Task) -> str:
    """Return a run of a task that was left while production was asked."""
    service.answers["/held"] = 200
    service.hold = asyncio.Event()
    async with up(folder, service) as orchestrator:
        trying = asyncio.ensure_future(orchestrator.execute_task(given))
        await service.held.wait()
        (record,) = await orchestrator.host.journal.runs()
    with pytest.raises(ClosedError):
        await trying
    service.hold.set()
    service.hold = None
    service.asked.clear()
    return record.run_id


async def test_promise_w3_a_run_does_not_go_on_as_another_task(tmp_path: Path) -> None:
    """What differs is told and nothing is asked; with what it was begun with, it goes on."""
    given = asking("/a", "/held")
    async with served() as service:
        run_id = await left_open(tmp_path, service, given)
        async with up(tmp_path, service) as orchestrator:
            for changed, differs in (
                (asking("/b", "/held"), r"~ check\.1: checks"),
                (asking("/a", "/held", required_proofs=2), r"~ local: .*required_proofs"),
                (asking("/a"), r"- check\.2"),
            ):
                with pytest.raises(TaskChangedError, match=differs):
                    await orchestrator.resume(run_id, of=changed)
            assert service.asked == []
            done = await orchestrator.resume(run_id, of=given)
    assert told(done) == ("done", "done", "")


async def test_promise_w3_a_run_does_not_go_on_under_another_configuration(
    tmp_path: Path,
) -> None:
    """Whoever tests, and how many proofs are required, is as it was when the run began."""
    (tmp_path / "oneiric.toml").write_text("[validation]\nrequired_proofs = 4\n")
    async with served() as service:
        run_id = await left_open(tmp_path, service, asking("/a", "/held", "/b"))
        async with up(tmp_path, service, test_user="other@example.com") as orchestrator:
            with pytest.raises(TaskChangedError, match="user"):
                await orchestrator.resume(run_id)
        (tmp_path / "oneiric.toml").write_text("")
        async with up(tmp_path, service) as orchestrator:
            left = await orchestrator.resume(run_id)
    assert left.criteria.required_proofs == 4
    assert told(left) == ("done", "done", "")
