"""Steps that are local tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from oneiric.errors import JSONValue
from oneiric.validation.local import LocalRun, proof_of, ran
from oneiric.validation.recording import recorded

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.ports.executor import Executor
    from oneiric.runs.context import StepContext
    from oneiric.validation.ledger import Ledger
    from oneiric.validation.sessions import Sessions


class CommandStep:
    """Run a program, and record what it showed; that it failed is for the gate to judge."""

    def __init__(
        self, sessions: Link[Sessions], ledger: Link[Ledger], executor: Link[Executor]
    ) -> None:
        self.sessions = sessions
        self.ledger = ledger
        self.executor = executor

    async def run(self, payload: JSONValue, *, context: StepContext) -> JSONValue:
        """Return where the proof stands in the ledger."""
        given = cast("dict[str, Any]", payload)["given"]
        async with self.sessions.use() as sessions:
            run = LocalRun.of(given, sessions.of(context.run_id).mask)
            handle = self.executor.use()
            async with handle as executor:
                by, at = sessions.provenance(handle, context.run_id), sessions.now()
                ended = await ran(executor, run)
            proof = proof_of(run, ended, at=at, by=by)
            return await recorded(self.ledger, given["task"], context.run_id, [proof])
