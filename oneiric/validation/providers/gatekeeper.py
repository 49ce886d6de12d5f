"""The gatekeeper: what a task must have shown to go on, and nothing on anybody's word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, TypeAlias

from pydantic import BaseModel, ConfigDict

from oneiric.core.policy import Effect, Verdict
from oneiric.errors import JSONValue
from oneiric.ports.gatekeeper import Asked, Gate, GateCode, GateQuestion
from oneiric.runs.proof import Proof, ProofOutcome
from oneiric.validation.states import TaskStatus

Refusal: TypeAlias = tuple[GateCode, str, Mapping[str, JSONValue]]
_NEEDED: Mapping[Gate, TaskStatus] = {
    Gate.VALIDATION: TaskStatus.LOCAL_OK,
    Gate.PRODUCTION: TaskStatus.VALIDATING,
}
_OF_TESTS = (
    GateCode.LOCAL_TEST_FAILED,
    GateCode.LOCAL_TEST_INCONCLUSIVE,
    GateCode.LOCAL_TEST_INCONCLUSIVE,
)
_OF_CHECKS = (
    GateCode.REQUIRED_CHECK_FAILED,
    GateCode.REQUIRED_CHECK_MISSING,
    GateCode.CHECK_INCONCLUSIVE,
)
_SHOWN = 50


class StrictGatekeeperSettings(BaseModel):
    """Say by which name the gates decide."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = "orchestrator-gatekeeper"
    """The name that stands in every verdict as `decided_by`."""


class StrictGatekeeper:
    """Open a gate when everything that it asks for was seen, and say what was missing otherwise.

    Counted are proofs of this run alone, each check once, by its last proof. What could not be
    checked is no pass. The first reason decides; failures come before what is inconclusive.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"gates"})

    def __init__(self, settings: StrictGatekeeperSettings | None = None) -> None:
        self._settings = settings or StrictGatekeeperSettings()

    def check(self, asked: GateQuestion, /) -> Verdict:
        """Return whether the gate opens, with a code, the reason and the evidence."""
        facts: dict[str, JSONValue] = {
            "gate": str(asked.gate),
            "status": asked.status,
            "decided_by": self._settings.id,
            **_counts(asked),
        }
        judged = _validation if asked.gate is Gate.VALIDATION else _production
        for code, reason, more in (*_grounds(asked), *judged(asked)):
            return Verdict(Effect.DENY, code, reason, {**facts, **more})
        return Verdict(Effect.ALLOW, GateCode.OPEN, "everything asked for was seen", facts)


def _grounds(asked: GateQuestion) -> Iterator[Refusal]:
    """Yield why the question itself cannot be trusted."""
    needed = _NEEDED[asked.gate]
    if asked.status != needed:
        reason = f"the gate {asked.gate} takes tasks that are {needed}, not {asked.status}"
        yield GateCode.WRONG_STATUS, reason, {}
    if asked.ledger:
        problems = [each.as_json() for each in asked.ledger[:_SHOWN]]
        yield GateCode.LEDGER_BROKEN, "the ledger of the task was touched", {"problems": problems}


def _validation(asked: GateQuestion) -> Iterator[Refusal]:
    if not _local_checks(asked) and not asked.without_local_tests:
        yield GateCode.NO_LOCAL_TESTS, "no local test was declared, and no reason why", {}
    yield from _local(asked)
    yield from _drift(asked)


def _local_checks(asked: GateQuestion) -> list[Asked]:
    return [check for check in asked.checks if check.kind == "local"]


def _local(asked: GateQuestion) -> Iterator[Refusal]:
    """Yield what is wrong with local tests; also at the second gate, for a status is a word."""
    yield from _unproved(asked, _local_checks(asked), "local test", _OF_TESTS)


def _drift(asked: GateQuestion) -> Iterator[Refusal]:
    report = asked.drift
    if report is None or not asked.fail_fast_on_drift:
        return
    facts: Mapping[str, JSONValue] = {"drift": report.as_json()}
    if report.has_drift:
        first = next(each for each in report.items if each.severity.reaches(report.fail_on))
        reason = f"the environment drifted: {first.place}: {first.message}"
        yield GateCode.DRIFT_FOUND, reason, facts
    if report.outcome is ProofOutcome.INCONCLUSIVE:
        why = report.unchecked[0].reason if report.unchecked else "nothing was compared"
        yield GateCode.DRIFT_UNCHECKED, f"drift could not be checked: {why}", facts


def _production(asked: GateQuestion) -> Iterator[Refusal]:
    if asked.deployment_failed:
        yield GateCode.DEPLOYMENT_FAILED, asked.deployment_failed, {}
    yield from _local(asked)
    checks = [check for check in asked.checks if check.kind != "local"]
    required = [check for check in checks if check.is_required]
    yield from _unproved(asked, required, "check", _OF_CHECKS)
    score = _score(asked, checks)
    if score < asked.minimum_score:
        reason = f"the score is {score:.2f}, below {asked.minimum_score:.2f}"
        yield GateCode.SCORE_TOO_LOW, reason, {}
    passed = _passed(asked)
    if len(passed) < asked.required_proofs:
        reason = f"{_count(passed, 'check')} proved, {asked.required_proofs} required"
        yield GateCode.NOT_ENOUGH_PROOFS, reason, {}
    if not any(proof.kind != "local" for proof in passed):
        yield GateCode.NO_LIVE_PROOF, "no proof is from production", {}


def _unproved(
    asked: GateQuestion, checks: Sequence[Asked], noun: str, codes: Sequence[GateCode]
) -> Iterator[Refusal]:
    """Yield which *checks* failed, never ran and could not be done, each by its code."""
    found = asked.proofs
    proofs = [found[check.id] for check in checks if check.id in found]
    failed = [each for each in proofs if each.outcome is ProofOutcome.FAILED]
    unsure = [each for each in proofs if each.outcome is ProofOutcome.INCONCLUSIVE]
    missing = [check.id for check in checks if check.id not in found]
    if failed:
        yield codes[0], _told(failed, noun, "failed"), _evidence(failed)
    if missing:
        reason = f"{_count(missing, noun)} never ran: {', '.join(missing[:3])}"
        yield codes[1], reason, {"missing": missing[:_SHOWN]}
    if unsure:
        yield codes[2], _told(unsure, noun, "could not be done"), _evidence(unsure)


def _passed(asked: GateQuestion) -> list[Proof]:
    """Return the proofs that count towards those required: of different checks, and passed."""
    counted = {check.id for check in asked.checks if check.counts}
    return [
        proof
        for name, proof in asked.proofs.items()
        if name in counted and proof.outcome is ProofOutcome.PASSED
    ]


def _score(asked: GateQuestion, checks: Sequence[Asked]) -> float:
    found, weight = asked.proofs, sum(check.weight for check in checks)
    won = sum(
        check.weight
        for check in checks
        if check.id in found and found[check.id].outcome is ProofOutcome.PASSED
    )
    return won / weight if weight else 1.0


def _counts(asked: GateQuestion) -> dict[str, JSONValue]:
    live = [check for check in asked.checks if check.kind != "local"]
    return {
        "passed": len(_passed(asked)),
        "required": asked.required_proofs,
        "seen": len(asked.seen),
        "score": round(_score(asked, live), 4),
    }


def _evidence(proofs: Sequence[Proof]) -> Mapping[str, JSONValue]:
    return {
        "evidence": [
            {
                "check": str(each.facts.get("check", "")),
                "endpoint": each.subject,
                "outcome": str(each.outcome),
                "error": str(each.facts.get("error") or ""),
                "digest": each.digest,
            }
            for each in proofs[:_SHOWN]
        ]
    }


def _told(proofs: Sequence[Proof], noun: str, what: str) -> str:
    first = proofs[0]
    why = f": {first.facts['error']}" if first.facts.get("error") else ""
    return f"{_count(proofs, noun)} {what}; {first.subject}{why}"


def _count(things: Sequence[object], noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"
