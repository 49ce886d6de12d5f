"""Steps that are gates: the gatekeeper decides, and a gate that stays shut ends the run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from oneiric.core.guard import Guard
from oneiric.core.policy import Effect, Verdict
from oneiric.errors import JSONValue
from oneiric.ports.gatekeeper import Asked, Gate, GateCode, GateQuestion
from oneiric.runs.proof import ProofOutcome
from oneiric.validation.local import LOCAL
from oneiric.validation.parts import verdict_of
from oneiric.validation.recording import noted, seen_proofs, word_of
from oneiric.validation.states import TaskStatus
from oneiric.validation.steps.drift_step import detected, told_report

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.ports.drift import DriftDetector, DriftReport
    from oneiric.ports.gatekeeper import Gatekeeper
    from oneiric.ports.secrets import SecretStore
    from oneiric.runs.context import StepContext
    from oneiric.validation.ledger import Ledger
    from oneiric.validation.sessions import Sessions

_ASKED: Mapping[str, tuple[Gate, TaskStatus]] = {
    "local": (Gate.VALIDATION, TaskStatus.LOCAL_OK),
    "validation": (Gate.VALIDATION, TaskStatus.LOCAL_OK),
    "production": (Gate.PRODUCTION, TaskStatus.VALIDATING),
}
"""Each gate of a plan, the gate that it asks, and how the task stands if it opens so far."""

DRIFT_SECONDS = 300.0
"""How long it may take to find out whether production said no because it had drifted."""


class GateStep:
    """Ask the gatekeeper, who sees nothing but what was seen made in this run.

    A refusal is the step's error, with the verdict in its details. Where production was refused,
    the drift detector is asked again, and its report is among the facts of the verdict. Where
    production has proved the task, the ledger keeps that word, and the result names the entry.
    """

    def __init__(
        self,
        sessions: Link[Sessions],
        ledger: Link[Ledger],
        gatekeeper: Link[Gatekeeper],
        drift: Link[DriftDetector],
        secrets: Link[SecretStore],
    ) -> None:
        self.sessions = sessions
        self.ledger = ledger
        self.gatekeeper = gatekeeper
        self.drift = drift
        self.secrets = secrets
        self._guard = Guard()

    async def run(self, payload: JSONValue, *, context: StepContext) -> JSONValue:
        """Return the verdict that opened the gate, and which proofs it was given.

        Raises:
            PolicyRefusedError: the gate stays shut; its details hold the verdict.
            UnavailableError: the gatekeeper failed, took too long, or gave no verdict.
        """
        asked = cast("dict[str, Any]", payload)
        given = asked["given"]
        question = await self._question(asked, context.run_id)
        handle = self.gatekeeper.use()
        async with self.sessions.use() as sessions, handle as gatekeeper:
            by = sessions.provenance(handle, context.run_id)
            verdict = overruled(await verdict_of(gatekeeper, question), question)
            at = sessions.now()
        if question.gate is Gate.PRODUCTION and verdict.effect is Effect.DENY and given["ask"]:
            verdict = await self._explained(verdict, given["ask"])
        verdict.enforce(f"the gate {given['gate']} of {given['task']}")
        seen = [proof.digest for proof in question.seen]
        told: dict[str, JSONValue] = {"verdict": verdict.as_json(), "seen": seen}
        if question.gate is Gate.PRODUCTION:
            told["declared"] = given["declared"]
            word = word_of(given["task"], context.run_id, told, at=at, by=by)
            return told | await noted(self.ledger, given["task"], context.run_id, word)
        async with self.ledger.use() as book:
            head = await asyncio.to_thread(book.head, given["task"])
        return told | {"head": head.as_json() if seen else None}

    async def _question(self, asked: Mapping[str, Any], run_id: str) -> GateQuestion:
        given = asked["given"]
        gate, status = _ASKED[given["gate"]]
        seen, problems = await seen_proofs(
            self.ledger, given["task"], run_id, [*asked["made"], *asked["heads"]]
        )
        drift: DriftReport | None = None
        if found := asked.get("drift"):
            drift, more = await told_report(self.ledger, given["task"], run_id, found)
            problems = [*problems, *more]
        deployed = asked.get("deploy") or {}
        return GateQuestion(
            gate=gate,
            status=str(status),
            checks=tuple(Asked(**each) for each in given["checks"]),
            seen=tuple(seen),
            required_proofs=given["required_proofs"],
            minimum_score=given["minimum_score"],
            without_local_tests=given["without_local_tests"],
            drift=drift,
            fail_fast_on_drift=given["fail_fast_on_drift"],
            ledger=tuple(problems),
            deployment_failed=str(deployed.get("failed") or ""),
        )

    async def _explained(self, verdict: Verdict, ask: Mapping[str, JSONValue]) -> Verdict:
        """Return a refusal with what has drifted; that nobody could tell is a fact too."""
        outcome = await self._guard.call(
            partial(detected, self.drift, self.secrets, ask), limit=DRIFT_SECONDS
        )
        if outcome.error is None:
            more: dict[str, JSONValue] = {"drift": cast("JSONValue", outcome.value)}
        else:
            more = {"drift": None, "drift_error": outcome.reason}
        return replace(verdict, facts={**verdict.facts, **more})


def overruled(verdict: Verdict, question: GateQuestion) -> Verdict:
    """Return the verdict, or a refusal where a task was let pass that had not shown enough.

    Whoever is the gatekeeper: no task gets through a gate of which a local test did not pass, or
    that has none and no reason why. None is done of which a required check did not pass in
    production, or of which no check of its own did.
    """
    if not verdict:
        return verdict
    for code, reason in _unproved(question):
        told = f"{reason}, whatever the gatekeeper says"
        return Verdict(Effect.DENY, code, told, dict(verdict.facts))
    return verdict


def _unproved(question: GateQuestion) -> Iterator[tuple[GateCode, str]]:
    """Yield what a task has not shown that has to be shown at this gate."""
    found = {name: proof.outcome for name, proof in question.proofs.items()}
    local = [check for check in question.checks if check.kind == LOCAL]
    if not local and not question.without_local_tests:
        yield GateCode.NO_LOCAL_TESTS, "no local test was declared, and no reason why"
    yield from _lacking(local, found, _UNTESTED, "the local test")
    if question.gate is Gate.VALIDATION:
        return
    live = [check for check in question.checks if check.kind != LOCAL]
    if not any(check.counts and found.get(check.id) is ProofOutcome.PASSED for check in live):
        yield GateCode.NO_LIVE_PROOF, "no proof is from production"
    yield from _lacking(live, found, _UNPROVED, "the check")


def _lacking(
    checks: Iterable[Asked],
    found: Mapping[str, ProofOutcome],
    codes: Mapping[ProofOutcome | None, GateCode],
    noun: str,
) -> Iterator[tuple[GateCode, str]]:
    for check in checks:
        outcome = found.get(check.id)
        if check.is_required and outcome is not ProofOutcome.PASSED:
            yield codes[outcome], f"{noun} {check.id} did not pass"


_UNTESTED: Mapping[ProofOutcome | None, GateCode] = {
    ProofOutcome.FAILED: GateCode.LOCAL_TEST_FAILED,
    ProofOutcome.INCONCLUSIVE: GateCode.LOCAL_TEST_INCONCLUSIVE,
    None: GateCode.LOCAL_TEST_INCONCLUSIVE,
}
_UNPROVED: Mapping[ProofOutcome | None, GateCode] = {
    ProofOutcome.FAILED: GateCode.REQUIRED_CHECK_FAILED,
    ProofOutcome.INCONCLUSIVE: GateCode.CHECK_INCONCLUSIVE,
    None: GateCode.REQUIRED_CHECK_MISSING,
}
