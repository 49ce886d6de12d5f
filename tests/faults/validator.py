"""A process that tries a task until it is killed, or takes up what one before it left open.

`python -m tests.faults.validator FOLDER URL` resumes the run of the task that is open, or begins
one where there is none. It prints `going` for each event that is stored, and at the end
`ended RUN STATUS`.
"""

import asyncio
import sys
from pathlib import Path

from oneiric.runs.event import RunEvent
from oneiric.validation.models import OrchestratorConfig, Task, ValidationCriteria
from oneiric.validation.orchestrator import Orchestrator
from tests.faults.appender import say
from tests.validation.parts import Parts, Service

TESTS, CHECKS = 3, 6
MARK = "echo {number} >> tested; sleep 0.05"


def marked_task() -> Task:
    """Return a task whose tests and checks leave marks behind, and take a moment each."""
    tests = [["sh", "-c", MARK.format(number=number)] for number in range(TESTS)]
    checks = [{"url": f"/check/{number}"} for number in range(CHECKS)]
    given = {"local_tests": tests, "live_checks": checks, "required_proofs": TESTS + CHECKS}
    return Task(id="killed", title="Killed", criteria=ValidationCriteria.model_validate(given))


async def main(folder: Path, url: str) -> None:
    """Take up what is open, or begin."""
    config = OrchestratorConfig(prod_url=url, repo_path=folder)
    async with Orchestrator(config) as orchestrator:
        Parts(orchestrator, Service()).offer()

        def going(_event: RunEvent) -> None:
            say("going")

        runs = await orchestrator.host.journal.runs(open_only=True)
        if runs:
            done = await orchestrator.resume(runs[0].run_id, tell=going)
        else:
            done = await orchestrator.execute_task(marked_task(), tell=going)
        say("ended", done.run_id, done.status)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
