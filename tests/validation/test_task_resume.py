"""A process that is killed in the middle of a task: another one goes on where it stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent

from oneiric.validation.models import Deployment, OrchestratorConfig, Task
from oneiric.validation.orchestrator import Orchestrator
from tests.validation.parts import Parts, Service, served
from tests.validation.tasks import task, told

LONG = "[runs]\nlease_seconds = 600\n"
DEPLOY = """
[validation.deployments]
ours = ['sh', '-c', '''
echo "$ONEIRIC_RUN_ID $ONEIRIC_IDEMPOTENCY_KEY" >> deployed
while [ ! -e go ]; do sleep 0.05; done
''']
"""
ROOT = Path(__file__).parents[2]
CHILD = """
    import asyncio, sys
    sys.path.insert(0, {root!r})
    from pathlib import Path
    from oneiric.validation.models import OrchestratorConfig
    from oneiric.validation.orchestrator import Orchestrator
    from tests.validation.parts import Parts, Service
    from tests.validation.test_task_resume import held_task

    async def recorded(engine):
        names = ("test.1", "check.1", "cutover.health", "cutover.root")
        while True:
            await asyncio.sleep(0.02)
            for run in engine.under_way:
                if all(run.steps[name].state == "succeeded" for name in names):
                    Path({folder!r}, "recorded").touch()

    async def main():
        config = OrchestratorConfig(prod_url={url!r}, repo_path={folder!r})
        async with Orchestrator(config) as orchestrator:
            Parts(orchestrator, Service()).offer()
            async with asyncio.TaskGroup() as group:
                group.create_task(recorded(orchestrator.host.engine))
                await orchestrator.execute_task(held_task())

    asyncio.run(main())
"""


DEPLOYING = """
    import asyncio, sys
    sys.path.insert(0, {root!r})
    from oneiric.validation.models import OrchestratorConfig
    from oneiric.validation.orchestrator import Orchestrator
    from tests.validation.parts import Parts, Service
    from tests.validation.test_task_resume import deployed_task

    async def main():
        config = OrchestratorConfig(prod_url={url!r}, repo_path={folder!r})
        async with Orchestrator(config) as orchestrator:
            Parts(orchestrator, Service()).offer()
            await orchestrator.execute_task(deployed_task())

    asyncio.run(main())
"""


def deployed_task() -> Task:
    """Return a task that is deployed, by a program that waits until it may go."""
    return task(deployment=Deployment(provider="ours"))


def held_task() -> Task:
    """Return a task of which one check waits until the service lets it go."""
    return task(
        live_checks=[{"url": "/a"}, {"url": "/held"}],
        local_tests=["sh -c 'echo once >> tested'"],
    )


@asynccontextmanager
async def child(text: str, folder: Path, service: Service) -> AsyncIterator[None]:
    """Have another process do a task for the length of a block, and kill it then."""
    given = dedent(text).format(root=str(ROOT), url=service.url, folder=str(folder))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", given, stdin=subprocess.DEVNULL, start_new_session=True
    )
    try:
        async with asyncio.timeout(60):
            yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


@asynccontextmanager
async def killed(folder: Path) -> AsyncIterator[Service]:
    """Give the service of a process that was killed while a check was under way."""
    (folder / "oneiric.toml").write_text(LONG)
    async with served() as service:
        service.answers["/held"] = 200
        service.hold = asyncio.Event()
        async with child(CHILD, folder, service):
            await service.held.wait()
            while not (folder / "recorded").exists():  # noqa: ASYNC110  a process makes it
                await asyncio.sleep(0.02)
        service.hold.set()
        service.hold = None
        service.asked.clear()
        yield service


@asynccontextmanager
async def another(folder: Path, service: Service) -> AsyncIterator[Orchestrator]:
    """Give the orchestrator of another process, as it were."""
    config = OrchestratorConfig(prod_url=service.url, repo_path=folder)
    async with Orchestrator(config) as orchestrator:
        Parts(orchestrator, service).offer()
        yield orchestrator


async def test_promise_task_a_killed_run_goes_on_and_repeats_no_recorded_check(
    tmp_path: Path,
) -> None:
    """What was recorded is not done again; the task gets done."""
    async with killed(tmp_path) as service, another(tmp_path, service) as orchestrator:
        (record,) = await orchestrator.host.journal.runs()
        left = await orchestrator.standing(record.run_id)
        done = await orchestrator.resume(record.run_id)
    assert (str(left.status), str(left.outcome)) == ("validating", "open")
    assert told(done) == ("done", "done", "")
    assert done.run_id == record.run_id
    assert (tmp_path / "tested").read_text() == "once\n"
    assert service.asked == ["GET /held"]


async def test_a_task_whose_process_died_may_be_tried_anew(tmp_path: Path) -> None:
    """As another run with proofs of its own, and at once: nobody holds what it left."""
    async with killed(tmp_path) as service, another(tmp_path, service) as orchestrator:
        (left,) = await orchestrator.host.journal.runs()
        done = await orchestrator.execute_task(held_task())
    assert told(done) == ("done", "done", "")
    assert done.run_id > left.run_id
    assert (tmp_path / "tested").read_text() == "once\nonce\n"
    assert len(done.proofs) == 5


async def test_promise_w2_a_deployment_that_is_done_again_gets_the_same_key(tmp_path: Path) -> None:
    """Killed in the middle, it is begun anew; the program can tell, by the key of the step."""
    (tmp_path / "oneiric.toml").write_text(f"{LONG}{DEPLOY}")
    deployed = tmp_path / "deployed"
    async with served() as service:
        async with child(DEPLOYING, tmp_path, service):
            while not (deployed.exists() and deployed.read_text().endswith("\n")):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        (tmp_path / "go").touch()
        async with another(tmp_path, service) as orchestrator:
            (left,) = await orchestrator.host.journal.runs()
            done = await orchestrator.resume(left.run_id)
            anew = await orchestrator.execute_task(deployed_task())
    assert (told(done)[0], told(anew)[0]) == ("done", "done")
    first, second, other = (line.split() for line in deployed.read_text().splitlines())
    assert first == second
    assert [run_id for run_id, _ in (first, other)] == [done.run_id, anew.run_id]
    assert first[1] != other[1]
