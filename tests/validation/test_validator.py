"""The face of the validator, as the brief uses it, without any host."""

import asyncio
import gc
import warnings
from typing import Any

import pytest

from oneiric.errors import InvalidError
from oneiric.validation.models import LiveCheck, Proof, Task, ValidationCriteria
from oneiric.validation.validator import Validator
from tests.servers import free_port
from tests.validation.checks.service import PATIENCE_SECONDS, Service, served


async def test_the_example_of_the_brief_runs() -> None:
    """The brief's lines give a proof with a result and a status."""
    async with served() as service:
        validator = Validator(test_user="test@example.com")
        proof = await validator.run_live_check(
            LiveCheck(
                url=service.at("/health"),
                expected_status=200,
            )
        )
    assert (proof.result, proof.response_code) == ("pass", 200)
    assert (proof.endpoint, proof.user_tested) == (service.at("/health"), "test@example.com")
    assert isinstance(proof.response_body, dict)
    assert proof.evidence is not None
    assert proof.evidence.facts["method"] == "GET"


async def test_nothing_is_left_open_whether_it_is_closed_or_not() -> None:
    """Connections end with a call, or with the block, and are kept within one."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with served() as service:
            validator = Validator()
            await validator.run_live_check(LiveCheck(url=service.at("/health")))
            async with Validator() as kept:
                for _ in range(3):
                    await kept.run_live_check(LiveCheck(url=service.at("/health")))
                assert kept._validator._asker.is_open
            assert not kept._validator._asker.is_open
            assert not validator._validator._asker.is_open
        gc.collect()


async def test_defect_validation_b2_the_validators_timeout_counts() -> None:
    """A check that names no time of its own gets the validator's; one that does keeps its own."""
    async with served() as service, Validator(timeout=0.2) as validator:
        async with asyncio.timeout(PATIENCE_SECONDS):
            proof = await validator.run_live_check(LiveCheck(url=service.at("/drip")))
        own = await validator.run_live_check(LiveCheck(url=service.at("/together"), timeout=30))
    assert (proof.result, own.result) == ("fail", "pass")
    assert "within 0.2 s" in str(proof.error_message)
    assert proof.check == LiveCheck(url=service.at("/drip")).identity
    with pytest.raises(InvalidError):
        Validator(timeout=0)


async def all_of(service: Service, *, parallel: bool) -> list[Proof]:
    """The proofs of three checks, of which one cannot be reached."""
    urls = [service.at("/health"), f"http://127.0.0.1:{free_port()}/", service.at("/array")]
    checks = [LiveCheck(url=url) for url in urls]
    proofs = await Validator().run_all_live_checks(checks, parallel=parallel)
    assert [each.endpoint for each in proofs] == urls
    return proofs


@pytest.mark.parametrize("parallel", [True, False])
async def test_all_checks_give_proofs_in_their_order(parallel: bool) -> None:
    """One that fails loses no other, at once or one after another."""
    async with served() as service:
        proofs = await all_of(service, parallel=parallel)
        assert [each.result for each in proofs] == ["pass", "fail", "pass"]


async def test_one_that_is_refused_loses_no_other() -> None:
    """A check that may not be asked is inconclusive, and the rest is done."""
    async with served() as service:
        checks = [LiveCheck(url="http://169.254.169.254/"), LiveCheck(url=service.at("/health"))]
        proofs = await Validator().run_all_live_checks(checks)
    assert [each.result for each in proofs] == ["inconclusive", "pass"]
    assert "credentials" in str(proofs[0].error_message)


async def test_a_task_is_validated_and_stays_as_it_is() -> None:
    """Live checks and UI tests give proofs; UI tests that nobody can do are no pass."""
    async with served() as service:
        criteria: dict[str, Any] = {
            "live_checks": [{"url": service.at("/health")}, {"url": service.at("/array")}],
            "ui_tests": ["tests/login.spec.ts"],
            "required_proofs": 2,
        }
        task = Task(id="t-1", title="T", criteria=ValidationCriteria.model_validate(criteria))
        validator = Validator()
        proofs = await validator.validate_task(task)
    assert [each.result for each in proofs] == ["pass", "pass", "inconclusive"]
    assert task.proofs == []
    done = task.model_copy(update={"proofs": proofs})
    assert validator.has_minimum_proofs(done)
    assert done.has_minimum_proofs()
    assert not validator.has_minimum_proofs(proofs, 3)
    assert not validator.all_proofs_pass(done)
    assert validator.all_proofs_pass(proofs[:2])
    summary = validator.generate_proof_summary(done)
    assert summary == {
        "total": 3,
        "passing": 2,
        "failing": 1,
        "inconclusive": 1,
        "pass_rate": 2 / 3,
        "failing_endpoints": ["tests/login.spec.ts"],
        "all_pass": False,
    }


def test_no_proofs_are_never_enough() -> None:
    """Without proofs nothing passed, whatever is required, and repeats count once."""
    validator = Validator()
    assert not validator.has_minimum_proofs([], 0)
    assert not validator.all_proofs_pass([])
    assert validator.generate_proof_summary([])["pass_rate"] == 0.0
    same = [Proof("https://api.example.com/", "ada", "pass")] * 20
    assert not validator.has_minimum_proofs(same)


async def test_two_checks_of_one_address_are_two() -> None:
    """A proof is known by its check: what is sent by another method is another one."""
    async with served() as service:
        address = service.at("/health")
        checks = [LiveCheck(url=address), LiveCheck(url=address, method="HEAD")]
        proofs = await Validator().run_all_live_checks(checks)
    asked = ValidationCriteria(required_proofs=2)
    done = Task(id="t", title="T", criteria=asked, proofs=proofs)
    assert done.has_minimum_proofs()
    assert Validator().has_minimum_proofs(done)
