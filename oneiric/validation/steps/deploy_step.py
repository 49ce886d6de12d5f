"""Steps that bring to production what was tested locally."""

from __future__ import annotations

from dataclasses import replace
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

IDEMPOTENCY_KEY, RUN_ID = "ONEIRIC_IDEMPOTENCY_KEY", "ONEIRIC_RUN_ID"
"""The variables by which a program knows that it was begun before."""


class DeployStep:
    """Run the program of a deployment provider.

    That it failed shuts the second gate; production is not asked then, for it is not what was
    meant. A run that was killed in the middle of it deploys again: the program is told the run and
    the idempotency key of the step, in its environment, and both are the same each time.
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
            names = {RUN_ID: context.run_id, IDEMPOTENCY_KEY: context.idempotency_key}
            ended = await ran(executor, replace(run, env={**run.env, **names}))
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
