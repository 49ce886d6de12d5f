"""Steps that ask production: checks that hand something on, or of which one is enough."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from oneiric.errors import JSONValue, NoCandidateError
from oneiric.ports.validator import VALIDATOR
from oneiric.runs.body import NOBODY
from oneiric.validation.proving import KINDS, Held, at_home, proofs_of
from oneiric.validation.recording import recorded
from oneiric.validation.secrets import names_in, read_secrets

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.ports.secrets import SecretStore
    from oneiric.ports.validator import Validator
    from oneiric.runs.context import StepContext
    from oneiric.validation.ledger import Ledger
    from oneiric.validation.sessions import Sessions


class CheckStep:
    """Have checks done, and record what they found; that one failed is for the gate to judge.

    Each check is done by the validator that serves at that time. Of a run that has no session here,
    nobody knows which hosts may be asked besides: what led to another is no pass.
    """

    def __init__(
        self,
        sessions: Link[Sessions],
        ledger: Link[Ledger],
        validator: Link[Validator],
        secrets: Link[SecretStore],
    ) -> None:
        self.sessions = sessions
        self.ledger = ledger
        self.validator = validator
        self.secrets = secrets

    async def run(self, payload: JSONValue, *, context: StepContext) -> JSONValue:
        """Return where the proofs stand in the ledger; none where the deployment failed."""
        asked = cast("dict[str, Any]", payload)
        given, deployed = asked["given"], asked.get("deploy") or {}
        if why := deployed.get("failed"):
            return {"proofs": [], "head": None, "reason": f"not asked, for {why}"}
        secrets = await read_secrets(self.secrets, names_in(given["checks"]))
        async with self.sessions.use() as sessions:
            proofs = await proofs_of(
                given["checks"],
                lend=partial(self._lent, sessions, context.run_id),
                user=given["user"],
                now=sessions.now,
                is_one_enough=bool(given.get("is_one_enough")),
                secrets=secrets,
            )
            if sessions.of(context.run_id).lifecycle is None:
                proofs = [at_home(given["checks"], proof) for proof in proofs]
        return await recorded(self.ledger, given["task"], context.run_id, proofs)

    @asynccontextmanager
    async def _lent(self, sessions: Sessions, run_id: str, kind: str) -> AsyncIterator[Held]:
        """Lend who serves, or where they do no checks of that kind, the next best who does."""
        handle = self.validator.use()
        async with handle as validator:
            can = handle.candidate.capabilities if handle.candidate else frozenset[str]()
            if kind in can or not can & KINDS.keys():
                yield validator, sessions.provenance(handle, run_id)
                return
        lifecycle = sessions.of(run_id).lifecycle
        try:
            other = lifecycle.use(VALIDATOR, needs=(kind,)) if lifecycle else None
        except NoCandidateError:
            other = None
        if other is None:
            yield None, NOBODY
            return
        async with other as validator:
            yield validator, sessions.provenance(other, run_id)
