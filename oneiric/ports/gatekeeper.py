"""Decide whether a task may go on: the one authority at both gates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from oneiric.core.policy import Policy
from oneiric.core.ref import ComponentRef
from oneiric.errors import Problem
from oneiric.ports.adapter import Adapter
from oneiric.ports.drift import DriftReport
from oneiric.runs.proof import Proof


class Gate(StrEnum):
    """The two gates: before production is asked, and before a task counts as validated."""

    VALIDATION = "validation"
    PRODUCTION = "production"


class GateCode(StrEnum):
    """Why a gate opens or stays shut; there are no other reasons."""

    OPEN = "open"
    WRONG_STATUS = "wrong-status"
    LEDGER_BROKEN = "ledger-broken"
    NO_LOCAL_TESTS = "no-local-tests"
    LOCAL_TEST_FAILED = "local-test-failed"
    LOCAL_TEST_INCONCLUSIVE = "local-test-inconclusive"
    DRIFT_FOUND = "drift-found"
    DRIFT_UNCHECKED = "drift-unchecked"
    DEPLOYMENT_FAILED = "deployment-failed"
    REQUIRED_CHECK_MISSING = "required-check-missing"
    REQUIRED_CHECK_FAILED = "required-check-failed"
    CHECK_INCONCLUSIVE = "check-inconclusive"
    SCORE_TOO_LOW = "score-too-low"
    NOT_ENOUGH_PROOFS = "not-enough-proofs"
    NO_LIVE_PROOF = "no-live-proof"

    @property
    def is_inconclusive(self) -> bool:
        """Whether the gate stays shut because something could not be checked."""
        return self in _INCONCLUSIVE


_INCONCLUSIVE = (
    GateCode.LOCAL_TEST_INCONCLUSIVE,
    GateCode.DRIFT_UNCHECKED,
    GateCode.CHECK_INCONCLUSIVE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One check that a task declares.

    Args:
        id: by which its proof is found, as `facts["check"]`.
        kind: `local`, `live` or `ui`; the last two are asked of what runs.
        is_required: whether its failure alone shuts the gate.
        weight: how much it counts towards the score.
        counts: whether it counts towards the proofs that are required; a standard check of
            the cutover does not.
    """

    id: str
    kind: str
    is_required: bool = True
    weight: float = 1.0
    counts: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class GateQuestion:
    """What a gate is asked: where the task stands, what it declares and what was seen.

    Args:
        gate: which gate.
        status: the status of the task.
        checks: what the task declares.
        seen: the proofs that were seen made in this run, in order, and no others; a repeat
            counts once, as its last.
        required_proofs: how many different checks have to be proved, one of them live.
        minimum_score: what share of the weight has to pass, from 0 to 1.
        without_local_tests: why there are none; empty unless that was said.
        drift: what was found, or None where nobody looked.
        fail_fast_on_drift: whether drift shuts the first gate.
        ledger: what is wrong with the ledger of the task.
        deployment_failed: why the deployment failed, if it did.
    """

    gate: Gate
    status: str
    checks: Sequence[Asked] = ()
    seen: Sequence[Proof] = ()
    required_proofs: int = 3
    minimum_score: float = 0.0
    without_local_tests: str = ""
    drift: DriftReport | None = None
    fail_fast_on_drift: bool = True
    ledger: Sequence[Problem] = ()
    deployment_failed: str = ""

    @property
    def proofs(self) -> Mapping[str, Proof]:
        """The last proof of each check, by the check's id."""
        return {str(proof.facts.get("check", proof.subject)): proof for proof in self.seen}


class Gatekeeper(Adapter, Policy[GateQuestion], Protocol):
    """Answer at both gates, with a code of `GateCode` and the evidence as facts.

    It is asked in a thread, where it may block, and has half a minute to answer.
    """


GATEKEEPER: ComponentRef[Gatekeeper] = ComponentRef("adapter:gatekeeper")
