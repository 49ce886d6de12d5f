"""The document that is written about the latest work, of real work."""

import asyncio
from pathlib import Path
from typing import Any

from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin
from oneiric.runtime import RuntimeOrchestrator
from oneiric.runtime.work import Work


class Bad:
    """Handle events, and do steps, without success."""

    def handle(self, event: object) -> None:
        raise OSError("the printer is out of paper")

    def run(self, payload: object) -> None:
        raise OSError("the printer is out of paper")


DAG = {"dag": {"nodes": [{"id": "b", "task": "bad"}]}}
PLUGIN = Plugin(
    [
        Candidate("event:bad", "p", Bad),
        Candidate("task:bad", "p", Bad),
        Candidate("workflow:broken", "p", dict, metadata=DAG),
        Candidate("service:mailer", "outbox", dict, priority=1),
        Candidate("service:mailer", "digest", dict),
    ]
)


def telemetry_documents(folder: Path) -> dict[str, Any]:
    """Return what a process in *folder* would write after one of each."""

    async def made() -> Any:
        runtime = RuntimeOrchestrator.open(folder=folder, plugins=(PLUGIN,))
        async with Work(runtime, checkpoints=False) as work:
            telemetry = runtime.telemetry
            telemetry.begin()
            await runtime.events.emit("order.broken")
            run = await (await work.workflows.start("broken", {})).settled()
            telemetry.workflow(run)
            with telemetry.action("action:greet", "plain"):
                pass
            await runtime.lifecycle.activate("service:mailer")
            await runtime.lifecycle.swap("service:mailer", provider="digest")
            return telemetry.document()

    return {"Runtime telemetry": asyncio.run(made())}
