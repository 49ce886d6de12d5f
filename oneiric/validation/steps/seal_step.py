"""The last step of a task that production has proved: its ledger is read once more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from oneiric.errors import JSONValue
from oneiric.validation.ledger import LedgerError
from oneiric.validation.recording import seen_proofs

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.runs.context import StepContext
    from oneiric.validation.ledger import Ledger


class SealStep:
    """Read the ledger once more, and keep its end in the journal."""

    def __init__(self, ledger: Link[Ledger]) -> None:
        self.ledger = ledger

    async def run(self, payload: JSONValue, *, context: StepContext) -> JSONValue:
        """Return the end of the ledger, and how many proofs of this run stand there.

        Raises:
            LedgerError: it was touched since the gate, or does not have the word of the gate.
        """
        asked = cast("dict[str, Any]", payload)
        task = asked["given"]["task"]
        results = [*asked["made"], *asked["heads"]]
        seen, problems = await seen_proofs(
            self.ledger, task, context.run_id, results, opened=asked["heads"][-1]
        )
        if problems:
            raise LedgerError(task, problems)
        async with self.ledger.use() as book:
            head = await asyncio.to_thread(book.head, task)
        return {"seen": len(seen), "head": head.as_json()}
