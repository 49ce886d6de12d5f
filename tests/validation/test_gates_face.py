"""Both gates as the brief's users know them: nothing counts that they did not see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oneiric.core.policy import Effect, Verdict
from oneiric.errors import UnavailableError
from oneiric.ports.gatekeeper import GateCode, GateQuestion
from oneiric.validation.errors import TaskError
from oneiric.validation.executor import Executor
from oneiric.validation.gates import Gatekeeper
from oneiric.validation.models import Deployment, LiveCheck, Proof, Task, TaskStatus
from tests.validation.parts import Notebook, PlainDetector, PlainValidator, Service, served
from tests.validation.tasks import task as usual


class Face:
    """A validator with the method that the brief names, over one of a user."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.test_user = "ada@example.com"

    async def run_live_check(self, check: LiveCheck) -> Proof:
        """Do one check."""
        self.asked.append(check.url)
        given = check.model_dump(mode="json") | {"id": check.identity}
        return Proof.of((await PlainValidator().prove(given, captured={})).proof)


class Liar(Face):
    """One that says that all is well, and shows nothing."""

    async def run_live_check(self, check: LiveCheck) -> Proof:
        """Do nothing."""
        return Proof(check.url, "eve", "pass", 200)


class Broken(Face):
    """One that cannot do checks together."""

    async def run_all_live_checks(self, _checks: list[LiveCheck], *, parallel: bool) -> list[Proof]:
        """Fail."""
        raise RuntimeError(f"no such luck, {parallel=}")


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A small service."""
    async with served() as found:
        yield found


def keeper(service: Service, folder: Path, **more: Any) -> Gatekeeper:
    """Return a gatekeeper for the service."""
    given = {"validator": Face(), "drift_detector": PlainDetector(), **more}
    return Gatekeeper(executor=Executor(folder), prod_url=service.url, **given)


def task(status: str = "local_ok", **criteria: Any) -> Task:
    """Return a task that stands so."""
    return usual(**criteria).model_copy(update={"status": TaskStatus(status)})


async def test_a_task_goes_through_both_gates(service: Service, tmp_path: Path) -> None:
    """Its status moves with them, and what was seen is told."""
    notes = Notebook()
    gatekeeper = keeper(service, tmp_path, snipara=notes, fail_fast_on_drift=True)
    first = await gatekeeper.gate_local_to_validation(task())
    assert (bool(first), str(first.task.status)) == (True, "validating")
    second = await gatekeeper.gate_validation_to_prod(first.task)
    assert (bool(second), str(second.task.status)) == (True, "prod_ok")
    assert second.details["passed"] == 3
    assert [proof.result for proof in second.task.proofs] == ["pass"] * 5
    assert notes.kept == ["decision/validation: Deploy (deploy-auth) was proved by production"]
    passed, message = await gatekeeper.full_validation_flow(task())
    assert (passed, message) == (True, "everything asked for was seen")


async def test_defect_validation_a2_forged_proofs_open_no_gate(
    service: Service, tmp_path: Path
) -> None:
    """Nor does a validator that shows nothing for what it says."""
    service.answers["/a"] = 500
    forged = [Proof(f"https://x/{number}", "eve", "pass", 200) for number in range(3)]
    given = task("validating").model_copy(update={"proofs": forged})
    result = await keeper(service, tmp_path).gate_validation_to_prod(given)
    assert (bool(result), str(result.verdict.code)) == (False, "required-check-failed")
    assert "GET /a" in service.asked
    liar = await keeper(service, tmp_path, validator=Liar()).gate_validation_to_prod(given)
    assert (bool(liar), str(liar.verdict.code)) == (False, "check-inconclusive")
    assert str(liar.task.status) == "validating"


async def test_defect_validation_a9_the_flow_runs_the_local_tests(
    service: Service, tmp_path: Path
) -> None:
    """That a task says it is `local_ok` is nobody's word."""
    gatekeeper = keeper(service, tmp_path)
    result = await gatekeeper.full_validation_flow(task(local_tests=["false"]))
    assert (bool(result), str(result.verdict.code)) == (False, "local-test-failed")
    none = await gatekeeper.full_validation_flow(task(local_tests=[]))
    assert (bool(none), str(none.verdict.code)) == (False, "no-local-tests")
    assert service.asked == []


async def test_defect_validation_a9_no_status_stands_for_local_tests(
    service: Service, tmp_path: Path
) -> None:
    """A task that says it is `validating` has them run; what failed shuts this gate too."""
    said = task("validating", local_tests=["false"])
    result = await keeper(service, tmp_path).gate_validation_to_prod(said)
    assert (bool(result), str(result.verdict.code)) == (False, "local-test-failed")
    assert str(result.task.status) == "prod_fail"
    good = await keeper(service, tmp_path).gate_validation_to_prod(task("validating"))
    assert bool(good)


async def test_checks_that_could_not_be_done_together_are_inconclusive(
    service: Service, tmp_path: Path
) -> None:
    """A validator that fails at them ends nobody's gate with its error."""
    checks = [{"url": "/a", "capture": {"t": "json $.token"}}, {"url": "/b/${ captured.t }"}]
    given = task("validating", live_checks=checks)
    result = await keeper(service, tmp_path, validator=Broken()).gate_validation_to_prod(given)
    assert (bool(result), str(result.verdict.code)) == (False, "check-inconclusive")
    told = [proof.error_message for proof in result.task.proofs if "/a" in proof.endpoint]
    assert "no such luck, parallel=False" in str(told)


class Lenient:
    """A policy that lets everything pass."""

    def check(self, _asked: GateQuestion, /) -> Verdict:
        """Allow it."""
        return Verdict(Effect.ALLOW, GateCode.OPEN)


@pytest.mark.parametrize("status", ["local_ok", "validating"])
async def test_promise_task_no_policy_passes_local_tests_that_did_not_pass(
    service: Service, tmp_path: Path, status: str
) -> None:
    """Neither gate opens for a task whose local tests failed, or that has none without a reason."""
    gatekeeper = keeper(service, tmp_path, policy=Lenient())
    gate = gatekeeper.gate_local_to_validation
    if status == "validating":
        gate = gatekeeper.gate_validation_to_prod
    failed = await gate(task(status, local_tests=["false"]))
    none = await keeper(service, tmp_path, policy=Lenient()).gate_local_to_validation(
        task(local_tests=[])
    )
    assert (bool(failed), str(failed.verdict.code)) == (False, "local-test-failed")
    assert (bool(none), str(none.verdict.code)) == (False, "no-local-tests")


@pytest.mark.parametrize("status", ["pending", "in_progress", "prod_ok", "done", "env_drift"])
async def test_a_gate_takes_only_tasks_that_stand_before_it(
    service: Service, tmp_path: Path, status: str
) -> None:
    """Any other is refused, and nothing is done."""
    gatekeeper = keeper(service, tmp_path)
    for gate in (gatekeeper.gate_local_to_validation, gatekeeper.gate_validation_to_prod):
        result = await gate(task(status))
        assert (bool(result), str(result.verdict.code)) == (False, "wrong-status")
        assert str(result.task.status) == status
    assert service.asked == []


async def test_drift_shuts_the_first_gate_or_explains_the_second(
    service: Service, tmp_path: Path
) -> None:
    """Found first, nothing is asked; found later, it is why production said no."""
    detector, notes = PlainDetector(), Notebook(error=UnavailableError("no network"))
    detector.has_drifted()
    first = await keeper(
        service, tmp_path, drift_detector=detector, snipara=notes
    ).gate_local_to_validation(task())
    assert (str(first.verdict.code), str(first.task.status)) == ("drift-found", "env_drift")
    assert service.asked == []
    service.answers["/a"] = 404
    late = await keeper(
        service, tmp_path, drift_detector=detector, fail_fast_on_drift=False
    ).full_validation_flow(task())
    assert (str(late.verdict.code), str(late.task.status)) == ("required-check-failed", "env_drift")
    assert late.details["drift"]["has_drift"] is True


async def test_a_checklist_is_made_and_done(service: Service, tmp_path: Path) -> None:
    """With the checks of the task and those that every task gets, required ones and others."""
    del service.answers["/"]
    gatekeeper = keeper(service, tmp_path, snipara=Notebook())
    checklist = await gatekeeper.generate_cutover_checklist(task())
    assert [(each.name, each.required) for each in checklist.checks] == [
        ("task_check_1", True),
        ("task_check_2", True),
        ("health", True),
        ("root", False),
    ]
    assert [each["title"] for each in checklist.context_from_snipara] == ["How to deploy"]
    passed, proofs = await gatekeeper.run_cutover_checklist(checklist)
    assert passed is True
    assert isinstance(proofs, list)
    assert [proof.result for proof in proofs] == ["pass", "pass", "pass", "fail"]
    service.answers["/b"] = 500
    assert not await gatekeeper.run_cutover_checklist(checklist)


async def test_lines_of_a_checklist_hand_on_what_they_captured(
    service: Service, tmp_path: Path
) -> None:
    """They are done together, in their order."""
    chain = [
        {"url": "/a", "capture": {"token": "json $.token"}},
        {"url": "/b", "headers": {"X-Token": "${ captured.token }"}},
    ]
    gatekeeper = keeper(service, tmp_path, validator=PlainValidator())
    checklist = await gatekeeper.generate_cutover_checklist(task(live_checks=chain))
    passed, proofs = await gatekeeper.run_cutover_checklist(checklist)
    assert passed is True
    assert isinstance(proofs, list)
    assert [proof.result for proof in proofs] == ["pass"] * 4


@pytest.mark.parametrize("more", [{}, {"run_all_live_checks": lambda *_args, **_more: []}])
async def test_a_validator_that_hands_nothing_on_makes_a_chain_inconclusive(
    service: Service, tmp_path: Path, more: dict[str, Any]
) -> None:
    """It has no method for that, or gives too little; the gate tells so."""
    chain = [
        {"url": "/a", "capture": {"token": "json $.token"}},
        {"url": "/b", "headers": {"X-Token": "${ captured.token }"}},
    ]
    face = type("Plain", (Face,), more)()
    result = await keeper(service, tmp_path, validator=face).full_validation_flow(
        task(live_checks=chain)
    )
    assert (bool(result), str(result.verdict.code)) == (False, "check-inconclusive")


async def test_a_task_that_is_wrong_is_told_so_at_the_first_gate(
    service: Service, tmp_path: Path
) -> None:
    """With everything that is wrong."""
    with pytest.raises(TaskError, match="cannot be tried"):
        await keeper(service, tmp_path).gate_local_to_validation(
            task(deployment=Deployment(provider="nobody"))
        )


async def test_the_task_that_the_first_gate_let_in_is_known_at_the_second(
    service: Service, tmp_path: Path
) -> None:
    """The brief hands the same task to both gates; without the first gate it stays outside."""
    gatekeeper = keeper(service, tmp_path)
    alone = await gatekeeper.gate_validation_to_prod(task())
    first = await gatekeeper.gate_local_to_validation(task())
    second = await gatekeeper.gate_validation_to_prod(task())
    assert (bool(alone), alone.verdict.code) == (False, "wrong-status")
    assert (bool(first), bool(second), str(second.task.status)) == (True, True, "prod_ok")
    other = await gatekeeper.gate_validation_to_prod(task(required_proofs=2))
    assert (bool(other), other.verdict.code) == (False, "wrong-status")


async def test_the_test_of_another_command_counts_for_none_of_the_same_name(
    service: Service, tmp_path: Path
) -> None:
    """The name of a local test, and its id on a checklist, prove nothing of what it runs."""
    passing, failing = ([{"name": "unit", "command": name}] for name in ("true", "false"))
    gates = keeper(service, tmp_path)
    assert await gates.full_validation_flow(task(local_tests=passing))
    given = task("validating", local_tests=failing)
    checklist = await gates.generate_cutover_checklist(given)
    check = LiveCheck(id="unit", url=f"{service.url}/a")
    (first, *_) = checklist.checks
    assert await gates.run_cutover_checklist(
        replace(checklist, checks=[replace(first, check=check, required=True)])
    )
    result = await gates.gate_validation_to_prod(given)
    assert (str(result.task.status), str(result.verdict.code)) == (
        "prod_fail",
        "local-test-failed",
    )
