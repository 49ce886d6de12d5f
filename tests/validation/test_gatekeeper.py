"""The gatekeeper: every way to get through a gate without having shown what it asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneiric.core.policy import Effect
from oneiric.errors import PolicyRefusedError, Problem
from oneiric.ports.drift import DriftItem, DriftReport, Severity, Unchecked
from oneiric.ports.gatekeeper import Asked, Gate, GateCode, GateQuestion
from oneiric.runs.proof import Proof, ProofOutcome
from oneiric.validation.checks.spec import LiveCheck
from oneiric.validation.providers.gatekeeper import StrictGatekeeper
from oneiric.validation.states import TaskStatus
from oneiric.validation.targets import meaning_of

AT = "2026-11-20T09:30:00.000000Z"
PASS, FAIL, UNSURE = ProofOutcome.PASSED, ProofOutcome.FAILED, ProofOutcome.INCONCLUSIVE


def proof(check: str, outcome: ProofOutcome = PASS, kind: str = "live", error: str = "") -> Proof:
    facts = {"check": check, "error": error}
    return Proof(claim="x", subject=check, kind=kind, outcome=outcome, at=AT, facts=facts)


def live(*ids: str) -> tuple[Asked, ...]:
    return tuple(Asked(id=each, kind="live") for each in ids)


TEST = Asked(id="t", kind="local")
LOCAL = proof("t", kind="local")
LOCAL_OK = GateQuestion(
    gate=Gate.VALIDATION,
    status=TaskStatus.LOCAL_OK,
    checks=(TEST, *live("a", "b")),
    seen=(LOCAL,),
)
VALIDATING = GateQuestion(
    gate=Gate.PRODUCTION,
    status=TaskStatus.VALIDATING,
    checks=(TEST, *live("a", "b")),
    seen=(LOCAL, proof("a"), proof("b")),
)


def code(asked: GateQuestion) -> GateCode:
    found = StrictGatekeeper().check(asked).code
    assert isinstance(found, GateCode)
    return found


def report(**more: object) -> DriftReport:
    return DriftReport(at=AT, **more)  # type: ignore[arg-type]


ITEM = DriftItem(
    kind="route", code="route-gone", severity=Severity.BREAKING, place="GET /x", message="it is 404"
)


def test_both_gates_open_for_what_was_seen() -> None:
    """A task that shows everything goes on, and the verdict says on what ground."""
    verdict = StrictGatekeeper().check(VALIDATING)

    assert (code(LOCAL_OK), code(VALIDATING)) == (GateCode.OPEN, GateCode.OPEN)
    assert verdict.effect is Effect.ALLOW
    assert dict(verdict.facts) == {
        "gate": "production",
        "status": "validating",
        "decided_by": "orchestrator-gatekeeper",
        "passed": 3,
        "required": 3,
        "seen": 3,
        "score": 1.0,
    }


@pytest.mark.parametrize("status", [each for each in TaskStatus if each is not TaskStatus.LOCAL_OK])
def test_the_first_gate_takes_only_what_is_local_ok(status: TaskStatus) -> None:
    """No other status gets through, whatever was shown."""
    assert code(replace(LOCAL_OK, status=status)) is GateCode.WRONG_STATUS


def test_defect_validation_a3_no_proof_at_all_is_never_enough() -> None:
    """With nothing declared and nothing seen, a task is not validated, however little it asks."""
    nothing = replace(VALIDATING, checks=(), seen=(), required_proofs=0)

    assert code(nothing) is GateCode.NO_LIVE_PROOF


def test_defect_validation_a4_standard_checks_count_towards_no_number() -> None:
    """Health, readiness and the root of a service prove nothing about a task."""
    standard = tuple(Asked(id=each, kind="live", counts=False) for each in ("h", "r", "/"))
    seen = tuple(proof(each) for each in ("h", "r", "/"))
    asked = replace(VALIDATING, checks=standard, seen=seen)

    assert code(asked) is GateCode.NOT_ENOUGH_PROOFS


def test_defect_validation_a5_repeats_of_one_check_count_once() -> None:
    """Twenty proofs of one endpoint are one proof, the last one."""
    asked = replace(VALIDATING, checks=live("a"), seen=(proof("a"),) * 20)
    assert code(asked) is GateCode.NOT_ENOUGH_PROOFS
    ended = replace(VALIDATING, seen=(*VALIDATING.seen, proof("b", FAIL)))
    assert code(ended) is GateCode.REQUIRED_CHECK_FAILED


def test_defect_validation_a9_local_ok_needs_local_proofs_that_were_seen() -> None:
    """A status that says so is no test; nor is an empty list, unless there is a reason."""
    assert code(replace(LOCAL_OK, seen=())) is GateCode.LOCAL_TEST_INCONCLUSIVE
    none = replace(LOCAL_OK, checks=live("a"), seen=())
    assert code(none) is GateCode.NO_LOCAL_TESTS
    assert code(replace(none, without_local_tests="a page of text")) is GateCode.OPEN


def test_defect_validation_f2_what_is_not_required_may_fail() -> None:
    """A failing check that is not required lowers the score, and shuts nothing by itself."""
    root = Asked(id="/", kind="live", is_required=False, counts=False)
    asked = replace(
        VALIDATING,
        checks=(*VALIDATING.checks, root),
        seen=(*VALIDATING.seen, proof("/", FAIL)),
    )
    assert code(asked) is GateCode.OPEN
    assert code(replace(asked, minimum_score=0.9)) is GateCode.SCORE_TOO_LOW


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ((LOCAL, proof("a"), proof("b", FAIL)), GateCode.REQUIRED_CHECK_FAILED),
        ((LOCAL, proof("a", UNSURE), proof("b", FAIL)), GateCode.REQUIRED_CHECK_FAILED),
        ((LOCAL, proof("a"), proof("b", UNSURE)), GateCode.CHECK_INCONCLUSIVE),
        ((LOCAL, proof("a")), GateCode.REQUIRED_CHECK_MISSING),
        ((LOCAL,), GateCode.REQUIRED_CHECK_MISSING),
    ],
)
def test_what_failed_comes_before_what_could_not_be_checked(
    seen: Sequence[Proof], expected: GateCode
) -> None:
    """Neither a failure nor silence is a pass, and the verdict says which it was."""
    assert code(replace(VALIDATING, seen=seen)) is expected


def test_only_local_proofs_are_not_enough() -> None:
    """At least one proof is from production, however many tests passed locally."""
    checks = tuple(Asked(id=each, kind="local") for each in ("t", "u", "v"))
    seen = tuple(proof(each, kind="local") for each in ("t", "u", "v"))

    assert code(replace(VALIDATING, checks=checks, seen=seen)) is GateCode.NO_LIVE_PROOF


def test_drift_shuts_the_first_gate_unless_that_is_off() -> None:
    """Drift is refused with the report as evidence; what could not be compared is told apart."""
    drifted = replace(LOCAL_OK, drift=report(items=(ITEM,), checked={"route": 1}))
    verdict = StrictGatekeeper().check(drifted)
    assert verdict.code is GateCode.DRIFT_FOUND
    assert verdict.reason == "the environment drifted: GET /x: it is 404"
    assert verdict.facts["drift"]["has_drift"] is True  # type: ignore[index, call-overload]
    assert code(replace(drifted, fail_fast_on_drift=False)) is GateCode.OPEN

    unsure = Unchecked(kind="database", place="db", reason="it does not answer")
    some = report(checked={"route": 1}, unchecked=(unsure,))
    assert code(replace(LOCAL_OK, drift=some)) is GateCode.DRIFT_UNCHECKED
    assert code(replace(LOCAL_OK, drift=report())) is GateCode.DRIFT_UNCHECKED
    assert code(replace(LOCAL_OK, drift=report(checked={"route": 1}))) is GateCode.OPEN


def test_a_touched_ledger_and_a_failed_deployment_shut_the_gate() -> None:
    """Nothing that was shown counts where the ledger was touched, or nothing was deployed."""
    touched = replace(VALIDATING, ledger=(Problem("2", "it was changed", "ledger"),))
    assert code(touched) is GateCode.LEDGER_BROKEN
    undeployed = replace(VALIDATING, deployment_failed="the program ended with exit code 1")
    assert code(undeployed) is GateCode.DEPLOYMENT_FAILED


def test_a_refusal_carries_its_evidence() -> None:
    """The error of a refusal names the code, the check, where and why."""
    failed = proof("b", FAIL, error="it answered 500, not 200")
    verdict = StrictGatekeeper().check(replace(VALIDATING, seen=(LOCAL, proof("a"), failed)))

    with pytest.raises(PolicyRefusedError, match="1 check failed; b: it answered 500, not 200"):
        verdict.enforce("production")
    assert verdict.facts["evidence"] == [
        {
            "check": "b",
            "endpoint": "b",
            "outcome": "fail",
            "error": "it answered 500, not 200",
            "digest": failed.digest,
        }
    ]


OUTCOMES = st.sampled_from([PASS, FAIL, UNSURE, None])


@given(
    outcomes=st.lists(OUTCOMES, min_size=1, max_size=8),
    required=st.integers(min_value=0, max_value=8),
    score=st.floats(min_value=0, max_value=1),
)
def test_promise_an_open_gate_means_that_all_required_checks_passed(
    outcomes: list[ProofOutcome | None], required: int, score: float
) -> None:
    """For any outcomes: open only if every check passed, enough did, and one is live."""
    ids = [f"c{number}" for number in range(len(outcomes))]
    pairs = zip(ids, outcomes, strict=True)
    seen = tuple(proof(name, outcome) for name, outcome in pairs if outcome)
    asked = replace(
        VALIDATING, checks=live(*ids), seen=seen, required_proofs=required, minimum_score=score
    )

    passes = all(outcome is PASS for outcome in outcomes) and len(outcomes) >= required
    assert bool(StrictGatekeeper().check(asked)) is passes


@pytest.mark.parametrize(
    "other",
    [
        "HTTP://api.example.com/health",
        "http://api.example.com/health?",
        "http://API.example.com:80/./health",
    ],
)
def test_defect_validation_a5_another_spelling_of_an_address_proves_nothing_more(
    other: str,
) -> None:
    """However an address is written, a check of it means the same."""
    once = LiveCheck(url="http://api.example.com/health")

    assert meaning_of(LiveCheck(url=other)) == meaning_of(once)
    assert meaning_of(LiveCheck(url="http://api.example.com/health?deep=1")) != meaning_of(once)
    assert meaning_of(LiveCheck(url="http://api.example.com/health/")) != meaning_of(once)


@pytest.mark.parametrize(
    "other",
    [
        {"max_redirects": 3},
        {"analysis": {"count": 9, "failure_limit": 8}},
        {"asserts": ["size > 1", "header etag exists", "size > 1"]},
        {"headers": {"accept": "text/plain"}},
    ],
)
def test_a_check_that_asks_no_more_counts_once(other: dict[str, Any]) -> None:
    """Measuring it again, following redirects, order and letters make no other check of it."""
    once = {
        "url": "http://api.example.com/health",
        "asserts": ["header etag exists", "size > 1"],
        "headers": {"Accept": "text/plain"},
    }
    meaning = meaning_of(LiveCheck.model_validate(once))
    assert meaning_of(LiveCheck.model_validate({**once, **other})) == meaning
    judged = {**once, "analysis": {"success": "duration_ms < 100"}}
    assert meaning_of(LiveCheck.model_validate(judged)) != meaning
