"""Steps that bring to production what was tested locally."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from oneiric.errors import JSONValue
from oneiric.text.masking import Masking
from oneiric.validation.commands import shown
from oneiric.validation.local import FILLED, LocalRun, last_of, ran
from oneiric.validation.secrets import names_in, read_secrets

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.ports.executor import Executor
    from oneiric.ports.secrets import SecretStore
    from oneiric.runs.context import StepContext
    from oneiric.validation.sessions import Sessions


class DeployStep:
    """Run the program of a deployment provider.

    That it failed shuts the second gate; production is not asked then, for it is not what was
    meant. A run that was killed in the middle of it deploys again.
    """

    def __init__(
        self, sessions: Link[Sessions], executor: Link[Executor], secrets: Link[SecretStore]
    ) -> None:
        self.sessions = sessions
        self.executor = executor
        self.secrets = secrets

    async def run(self, payload: JSONValue, *, context: StepContext) -> JSONValue:
        """Return who deployed, and why it failed if it did."""
        given = cast("dict[str, Any]", payload)["given"]
        secrets = await read_secrets(self.secrets, names_in([given[name] for name in FILLED]))
        async with self.sessions.use() as sessions, self.executor.use() as executor:
            run = LocalRun.of(given, sessions.of(context.run_id).mask, secrets)
            ended = await ran(executor, run)
        told: dict[str, JSONValue] = {
            "provider": given["provider"],
            "command": shown(given["args"]),
            "failed": "",
        }
        if ended.reason:
            told["failed"] = f"the deployment by {given['provider']} {ended.reason}"
        if ended.result is not None:
            told["exit_code"] = ended.result.exit_code
            told["duration_ms"] = round(ended.result.duration_ms, 3)
            told["stderr"] = last_of(Masking(run.mask).bytes(ended.result.stderr), _MOST_TOLD)
        return told


_MOST_TOLD = 1_000
