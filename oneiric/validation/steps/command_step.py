"""Steps that are local tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from oneiric.errors import JSONValue
from oneiric.validation.local import FILLED, LocalRun, proof_of, ran
from oneiric.validation.recording import recorded
from oneiric.validation.secrets import names_in, read_secrets

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.ports.executor import Executor
    from oneiric.ports.secrets import SecretStore
    from oneiric.runs.context import StepContext
    from oneiric.validation.ledger import Ledger
    from oneiric.validation.sessions import Sessions


class CommandStep:
    """Run a program, and record what it showed; that it failed is for the gate to judge."""

    def __init__(
        self,
        sessions: Link[Sessions],
        ledger: Link[Ledger],
        executor: Link[Executor],
        secrets: Link[SecretStore],
    ) -> None:
        self.sessions = sessions
        self.ledger = ledger
        self.executor = executor
        self.secrets = secrets

    async def run(self, payload: JSONValue, *, context: StepContext) -> JSONValue:
        """Return where the proof stands in the ledger."""
        given = cast("dict[str, Any]", payload)["given"]
        secrets = await read_secrets(self.secrets, names_in([given[name] for name in FILLED]))
        async with self.sessions.use() as sessions:
            run = LocalRun.of(given, sessions.of(context.run_id).mask, secrets)
            handle = self.executor.use()
            async with handle as executor:
                by, at = sessions.provenance(handle, context.run_id), sessions.now()
                ended = await ran(executor, run)
            proof = proof_of(run, ended, at=at, by=by)
            return await recorded(self.ledger, given["task"], context.run_id, [proof])
