"""Steps that bring to production what was tested locally."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from oneiric.errors import JSONValue
from oneiric.validation.commands import shown
from oneiric.validation.local import LocalRun, last_of, ran

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.ports.executor import Executor
    from oneiric.runs.context import StepContext
    from oneiric.validation.sessions import Sessions


class DeployStep:
    """Run the program of a deployment provider.

    That it failed shuts the second gate; production is not asked then, for it is not what was
    meant. A run that was killed in the middle of it deploys again.
    """

    def __init__(self, sessions: Link[Sessions], executor: Link[Executor]) -> None:
        self.sessions = sessions
        self.executor = executor

    async def run(self, payload: JSONValue, *, context: StepContext) -> JSONValue:
        """Return who deployed, and why it failed if it did."""
        given = cast("dict[str, Any]", payload)["given"]
        async with self.sessions.use() as sessions, self.executor.use() as executor:
            run = LocalRun.of(given, sessions.of(context.run_id).mask)
            ended = await ran(executor, run)
        told: dict[str, JSONValue] = {
            "provider": given["provider"],
            "command": shown(run.args),
            "failed": "",
        }
        if ended.reason:
            told["failed"] = f"the deployment by {given['provider']} {ended.reason}"
        if ended.result is not None:
            told["exit_code"] = ended.result.exit_code
            told["duration_ms"] = round(ended.result.duration_ms, 3)
            told["stderr"] = last_of(ended.result.stderr, _MOST_TOLD)
        return told


_MOST_TOLD = 1_000
