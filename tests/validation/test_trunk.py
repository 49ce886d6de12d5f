"""Tasks are runs: what came of them, and why."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from oneiric.core.candidate import Candidate
from oneiric.core.policy import Effect, Verdict
from oneiric.errors import InvalidError, NotFoundError, UnavailableError
from oneiric.ports.gatekeeper import GateCode, GateQuestion
from oneiric.runs.proof import Proof as KernelProof
from oneiric.runs.proof import ProofOutcome
from oneiric.validation.errors import TaskBusyError, TaskError
from oneiric.validation.models import (
    Deployment,
    DriftCriteria,
    LiveCheck,
    Proof,
    StandardCheck,
    Task,
    TaskStatus,
    ValidationCriteria,
)
from tests.validation.parts import Parts, PlainValidator, now, parts

HEALTH = StandardCheck(name="health", paths=["/health"])


def task(name: str = "deploy-auth", **criteria: Any) -> Task:
    """Return a task with a local test and two checks, unless told otherwise."""
    given = {"local_tests": ["true"], "live_checks": [{"url": "/a"}, {"url": "/b"}], **criteria}
    return Task(id=name, title="Deploy", criteria=ValidationCriteria(**given))


def told(done: Task) -> tuple[str, str, str]:
    """Return how a task stands, what came of it, and the code of what stopped it."""
    return str(done.status), str(done.outcome), str(done.metadata["code"])


async def steps_of(found: Parts, done: Task) -> dict[str, str]:
    """Return the state of each step of a task's run."""
    run = await found.orchestrator.host.engine.get(done.run_id)
    return {name: str(step.state) for name, step in run.steps.items()}


async def test_promise_task_a_task_is_done_when_production_has_proved_it(tmp_path: Path) -> None:
    """Local tests, drift, checks, cutover: each a step, and the task is done at the end."""
    async with parts(tmp_path) as found:
        done = await found.orchestrator.execute_task(task())
        steps = await steps_of(found, done)
    assert told(done) == ("done", "done", "")
    assert done.error is None
    assert done.completed_at
    assert [proof.result for proof in done.proofs] == ["pass"] * 5
    names = ["test.1", "local", "drift", "gate.validation", "check.1", "check.2"]
    names += ["cutover.health", "cutover.root", "gate.production", "done", "context", "remember"]
    assert steps == dict.fromkeys(names, "succeeded")
    assert found.notebook.kept == [
        "decision/validation: Deploy (deploy-auth) is done: production has proved it"
    ]
    assert done.metadata["context"] == ["How to deploy"]


async def test_promise_task_a_proof_says_for_what_by_whom_and_by_which_decision(
    tmp_path: Path,
) -> None:
    """The check and the kind are those that were asked for, whatever the provider says."""
    async with parts(tmp_path, test_user="ada@example.com") as found:
        done = await found.orchestrator.execute_task(task())
    local, live = (each.evidence for each in (done.proofs[0], done.proofs[1]))
    assert local is not None
    assert live is not None
    assert (local.kind, local.by.provider) == ("local", "process")
    assert (live.kind, live.by.provider, live.by.version) == ("live", "mine", "7.0")
    for proof in (local, live):
        assert proof.by.decision_digest.startswith("sha256:")
        assert proof.facts["user"] == "ada@example.com"
    assert done.proofs[1].check == LiveCheck(url=f"{found.service.url}/a").identity


@pytest.mark.parametrize(
    ("criteria", "ends"),
    [
        ({"local_tests": ["false"]}, ("local_fail", "failed", "local-test-failed")),
        ({"local_tests": []}, ("local_fail", "failed", "no-local-tests")),
        (
            {"local_tests": ["no-such-program"]},
            ("in_progress", "inconclusive", "local-test-inconclusive"),
        ),
        ({"live_checks": [{"url": "/gone"}]}, ("prod_fail", "failed", "required-check-failed")),
        ({"required_proofs": 9}, ("prod_fail", "failed", "not-enough-proofs")),
        (
            {"ui_tests": ["tests/no-such.spec.ts"]},
            ("validating", "inconclusive", "check-inconclusive"),
        ),
    ],
)
async def test_defect_validation_b15_a_task_that_is_not_done_says_why(
    tmp_path: Path, criteria: dict[str, Any], ends: tuple[str, str, str]
) -> None:
    """Each ends where it got, with a code and a reason; what could not be checked is no pass."""
    async with parts(tmp_path) as found:
        done = await found.orchestrator.execute_task(task(**criteria))
    assert told(done) == ends
    assert done.error
    assert done.completed_at is None


async def test_defect_validation_a1_a_browser_test_that_nobody_does_is_no_pass(
    tmp_path: Path,
) -> None:
    """A task whose only criterion is a file of tests that is not there does not get done."""
    async with parts(tmp_path) as found:
        done = await found.orchestrator.execute_task(
            task(live_checks=[], ui_tests=["e2e/none.spec.ts"], required_proofs=1)
        )
    assert told(done) == ("validating", "inconclusive", "check-inconclusive")
    assert done.metadata["code"] == "check-inconclusive"


async def test_defect_validation_a9_a_task_without_local_tests_says_why_it_has_none(
    tmp_path: Path,
) -> None:
    """Nobody is taken at their word that there is nothing to test."""
    async with parts(tmp_path) as found:
        none = await found.orchestrator.execute_task(task(local_tests=[], required_proofs=2))
        why: dict[str, Any] = {"without_local_tests": "only a page of text", "required_proofs": 2}
        done = await found.orchestrator.execute_task(task(local_tests=[], **why))
    assert told(none) == ("local_fail", "failed", "no-local-tests")
    assert told(done) == ("done", "done", "")


async def test_defect_validation_a2_proofs_that_a_task_brings_along_count_for_nothing(
    tmp_path: Path,
) -> None:
    """Nor does a status that somebody set: everything is done anew."""
    forged = [Proof(f"https://x/{number}", "eve", "pass", 200) for number in range(3)]
    async with parts(tmp_path) as found:
        found.service.answers["/a"] = 500
        given = task().model_copy(update={"status": TaskStatus.VALIDATING, "proofs": forged})
        done = await found.orchestrator.execute_task(given)
    assert told(done) == ("prod_fail", "failed", "required-check-failed")
    assert not {proof.endpoint for proof in done.proofs} & {proof.endpoint for proof in forged}


@pytest.mark.parametrize("number", [0, -1])
def test_defect_validation_a3_no_task_needs_no_proof(number: int) -> None:
    """At least one is required, and it is from production."""
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        ValidationCriteria(required_proofs=number)


async def test_defect_validation_a4_standard_checks_count_towards_nothing(tmp_path: Path) -> None:
    """A task without checks of its own is not proved by the service being up."""
    async with parts(tmp_path) as found:
        done = await found.orchestrator.execute_task(task(live_checks=[], required_proofs=1))
        more = await found.orchestrator.execute_task(task(live_checks=[], required_proofs=2))
    assert told(done) == ("prod_fail", "failed", "no-live-proof")
    assert told(more) == ("prod_fail", "failed", "not-enough-proofs")


async def test_defect_validation_a5_a_check_that_is_listed_often_counts_once(
    tmp_path: Path,
) -> None:
    """It is asked once, too."""
    async with parts(tmp_path) as found:
        many = [{"url": "/a"}] * 20
        done = await found.orchestrator.execute_task(task(live_checks=many, required_proofs=3))
        asked = found.service.asked.count("GET /a")
    assert told(done) == ("prod_fail", "failed", "not-enough-proofs")
    assert asked == 1


async def test_defect_validation_a8_an_unknown_deployment_provider_stops_the_task_first(
    tmp_path: Path,
) -> None:
    """With everything else that is wrong, and before anything was run."""
    given = task(
        local_tests=["pytest 'unfinished", "a && b", "A=1 b"],
        live_checks=[
            {"url": "ftp://x"},
            {"url": "/u/${ captured.id }"},
            {"url": "/", "id": "a"},
            {"url": "/other", "id": "a"},
            {"url": "/", "method": "BREW"},
        ],
        deployment=Deployment(provider="vercell"),
        standard_checks=[HEALTH, StandardCheck(name="a b", paths=["/"])],
    )
    async with parts(tmp_path) as found:
        with pytest.raises(TaskError) as raised:
            await found.orchestrator.execute_task(given)
        runs = await found.orchestrator.host.journal.runs()
    assert {each.key: each.what for each in raised.value.problems} == {
        "criteria.local_tests.0": "it cannot be parted: No closing quotation",
        "criteria.local_tests.1": "no shell reads this, so && means nothing",
        "criteria.local_tests.2": "A is a variable: give it in env",
        "criteria.live_checks.0": "no address such as https://api.example.com",
        "criteria.live_checks.1": "no check before it captures id",
        "criteria.live_checks.3": "another check has the id a",
        "criteria.live_checks.4.method": "no such method",
        "criteria.deployment": "nobody deploys by vercell; did you mean vercel?",
        "criteria.standard_checks.1.name": "'a b' is no name",
    }
    assert raised.value.exit_code == 2
    assert (list(runs), found.service.asked) == ([], [])


async def test_a_deployment_that_fails_shuts_the_gate_and_production_is_not_asked(
    tmp_path: Path,
) -> None:
    """What runs there is not what was meant."""
    config = "[validation.deployments]\nours = ['sh', '-c', 'exit 3']\n"
    (tmp_path / "oneiric.toml").write_text(config)
    async with parts(tmp_path) as found:
        done = await found.orchestrator.execute_task(task(deployment=Deployment(provider="ours")))
    assert told(done) == ("prod_fail", "failed", "deployment-failed")
    assert done.error == "the deployment by ours ended with exit code 3"
    assert found.service.asked == []


async def test_a_deployment_happens_before_production_is_asked(tmp_path: Path) -> None:
    """It is told which service, and where."""
    script = "echo {service}-{environment} > deployed"
    config = f"[validation.deployments]\nours = ['sh', '-c', '{script}']\n"
    (tmp_path / "oneiric.toml").write_text(config)
    asked = Deployment(provider="ours", service="api", environment="staging")
    async with parts(tmp_path) as found:
        done = await found.orchestrator.execute_task(task(deployment=asked))
    assert told(done) == ("done", "done", "")
    assert (tmp_path / "deployed").read_text() == "api-staging\n"


async def test_defect_validation_f2_a_check_that_is_not_required_stops_nothing(
    tmp_path: Path,
) -> None:
    """A service without a root page gets done; its proof says that it failed."""
    async with parts(tmp_path) as found:
        del found.service.answers["/"]
        done = await found.orchestrator.execute_task(task())
    assert told(done) == ("done", "done", "")
    assert [proof.check for proof in done.failing_proofs()] == ["cutover.root"]


async def test_defect_validation_f3_standard_checks_are_what_the_task_says(tmp_path: Path) -> None:
    """The first path that answers is enough, and there may be none at all."""
    async with parts(tmp_path) as found:
        found.service.answers = {"/a": 200, "/b": 200, "/healthz": 200}
        usual = await found.orchestrator.execute_task(task())
        asked = list(found.service.asked)
        bare = await found.orchestrator.execute_task(
            task(standard_checks=[], required_proofs=3, local_tests=["true"])
        )
    assert (told(usual)[0], told(bare)[0]) == ("done", "done")
    assert "GET /healthz" in asked
    assert "GET /api/health" not in asked


async def test_defect_validation_f9_a_task_tried_again_begins_anew(tmp_path: Path) -> None:
    """Another run with proofs of its own: what failed before counts no more."""
    async with parts(tmp_path) as found:
        found.service.answers["/a"] = 500
        first = await found.orchestrator.execute_task(task())
        found.service.answers["/a"] = 200
        second = await found.orchestrator.execute_task(first)
        third = await found.orchestrator.execute_task(second)
    assert [str(each.status) for each in (first, second, third)] == ["prod_fail", "done", "done"]
    assert first.run_id < second.run_id < third.run_id
    assert len(third.proofs) == 5
    assert third.all_proofs_pass()


async def test_promise_task_production_that_drifted_is_told_apart_from_one_that_fails(
    tmp_path: Path,
) -> None:
    """After production said no the detector is asked again; its report is kept."""
    async with parts(tmp_path, fail_fast_on_drift=False) as found:
        found.service.answers["/a"] = 404
        found.detector.has_drifted()
        drifted = await found.orchestrator.execute_task(task())
        standing = await found.orchestrator.standing(drifted.run_id)
    assert told(drifted) == ("env_drift", "failed", "required-check-failed")
    assert [str(status) for _, status in standing.trail][-2:] == ["prod_fail", "env_drift"]
    assert "GET /users: it answers 404" in str(drifted.error)
    assert len(found.detector.asked) == 2


async def test_drift_that_is_found_first_shuts_the_gate_before_production_is_asked(
    tmp_path: Path,
) -> None:
    """Nothing is deployed and nothing asked."""
    async with parts(tmp_path) as found:
        found.detector.has_drifted()
        done = await found.orchestrator.execute_task(task())
    assert told(done) == ("env_drift", "failed", "drift-found")
    assert found.service.asked == []
    assert found.notebook.kept == ["learning/drift: Deploy (deploy-auth) is not done: drift-found"]


async def test_a_detector_that_fails_is_an_error_and_later_a_fact(tmp_path: Path) -> None:
    """Before production was asked the run ends; afterwards the refusal stands."""
    async with parts(tmp_path) as found:
        found.detector.error = RuntimeError("no network")
        first = await found.orchestrator.execute_task(task())
        found.service.answers["/a"] = 500
        without = DriftCriteria(enabled=False)
        second = await found.orchestrator.execute_task(task(drift=without))
    assert told(first) == ("local_ok", "error", "failed")
    assert str(first.outcome) == "error"
    assert told(second) == ("prod_fail", "failed", "required-check-failed")


async def test_defect_validation_c4_no_local_test_shows_the_key(tmp_path: Path) -> None:
    """Where it got it from whatsoever: it is masked before anybody sees it."""
    (tmp_path / "key").write_text("snp-sekrit-key")
    async with parts(tmp_path, snipara_api_key="snp-sekrit-key") as found:
        done = await found.orchestrator.execute_task(
            task(local_tests=["sh -c 'cat key; env; exit 1'", "echo --token snp-sekrit-key"])
        )
        events = await found.orchestrator.host.journal.read(done.run_id)
    cat, echo = (proof.evidence for proof in done.proofs)
    assert cat is not None
    assert echo is not None
    assert cat.excerpts["stdout"].startswith("**********")
    assert echo.facts["command"] == ["echo", "--token", "**********"]
    ledger = (tmp_path / ".oneiric_cache" / "ledger" / "deploy-auth.jsonl").read_text()
    assert "snp-sekrit" not in ledger + done.model_dump_json(exclude={"proofs"}, include={"error"})
    recorded = [event.as_json() for event in events if event.step != "test.2"]
    assert "snp-sekrit" not in json.dumps(recorded[1:])


async def test_defect_validation_b5_knowledge_that_cannot_be_asked_stops_nothing(
    tmp_path: Path,
) -> None:
    """It is told as a warning, and the task is done all the same."""
    async with parts(tmp_path) as found:
        found.notebook.error = UnavailableError("api.snipara.com: answered 500")
        done = await found.orchestrator.execute_task(task())
    assert told(done) == ("done", "done", "")
    assert done.metadata["warnings"] == [
        "what is known could not be asked: api.snipara.com: answered 500",
        "it could not be remembered: api.snipara.com: answered 500",
    ]


async def test_defect_validation_c6_nothing_that_was_said_is_remembered(tmp_path: Path) -> None:
    """Neither what a test printed, nor anything of an answer, nor why it failed."""
    async with parts(tmp_path) as found:
        noisy = ["sh", "-c", "echo sekrit-output; echo sekrit-error >&2; exit 1"]
        await found.orchestrator.execute_task(task(local_tests=[noisy]))
        found.service.answers["/a"] = 500
        await found.orchestrator.execute_task(task())
    assert found.notebook.kept == [
        "learning/validation: Deploy (deploy-auth) is not done: local-test-failed",
        "learning/validation: Deploy (deploy-auth) is not done: required-check-failed",
    ]
    assert found.notebook.queries == ["Deploy", "Deploy"]


async def test_nothing_is_remembered_where_nobody_wants_it(tmp_path: Path) -> None:
    """Then the last step is not there at all."""
    async with parts(tmp_path, auto_remember=False) as found:
        done = await found.orchestrator.execute_task(task())
        steps = await steps_of(found, done)
    assert found.notebook.kept == []
    assert "remember" not in steps


async def test_defect_validation_b6_tasks_of_a_batch_are_nothing_to_each_other(
    tmp_path: Path,
) -> None:
    """One that cannot be tried has its reason; the others are what they are, in their order."""
    batch = [
        task("one"),
        task("two", deployment=Deployment(provider="nobody")),
        task("three", local_tests=["false"]),
        task("four"),
    ]
    async with parts(tmp_path) as found:
        for parallel in (True, False):
            done = await found.orchestrator.run_batch(batch, parallel=parallel)
            stands = [(each.id, str(each.status), str(each.outcome)) for each in done]
            assert stands == [
                ("one", "done", "done"),
                ("two", "pending", "error"),
                ("three", "local_fail", "failed"),
                ("four", "done", "done"),
            ]
            assert "nobody deploys by nobody" in str(done[1].error)


async def test_a_task_has_one_run_under_way_at_a_time(tmp_path: Path) -> None:
    """A second one is refused, and the first goes on."""
    async with parts(tmp_path) as found:
        found.service.hold = asyncio.Event()
        found.service.answers["/held"] = 200
        held = task(live_checks=[{"url": "/held"}, {"url": "/a"}])
        async with asyncio.TaskGroup() as group:
            first = group.create_task(found.orchestrator.execute_task(held))
            await found.service.arrived.wait()
            with pytest.raises(TaskBusyError) as raised:
                await found.orchestrator.execute_task(held)
            found.service.hold.set()
    assert raised.value.exit_code == 3
    assert told(first.result()) == ("done", "done", "")


async def test_checks_hand_on_what_they_captured_and_nothing_of_it_is_stored(
    tmp_path: Path,
) -> None:
    """They are one step, in their order; one whose predecessor captured nothing is not done."""
    login = {"url": "/a", "capture": {"token": "json $.token"}}
    use = {"url": "/b", "headers": {"Authorization": "Bearer ${ captured.token }"}}
    async with parts(tmp_path) as found:
        done = await found.orchestrator.execute_task(task(live_checks=[login, use]))
        steps = await steps_of(found, done)
        events = await found.orchestrator.host.journal.read(done.run_id)
    assert told(done) == ("done", "done", "")
    assert [name for name in steps if name.startswith("check.")] == ["check.1"]
    assert "t-1" not in json.dumps([event.as_json() for event in events])


async def test_promise_task_a_part_is_replaced_while_a_task_is_under_way(tmp_path: Path) -> None:
    """Checks that are under way end with the old one, later ones begin with the new."""
    async with parts(tmp_path) as found:
        lifecycle, bound = found.orchestrator.host.lifecycle, asyncio.Event()
        other = Candidate("adapter:validator", "other", PlainValidator, version="8.1")
        lifecycle.resolver.register(other)
        lifecycle.hook("post_swap", lambda _: bound.set())
        found.service.hold = asyncio.Event()
        found.service.answers["/held"] = 200
        chain: list[dict[str, Any]] = [
            {"url": "/held", "capture": {"token": "json $.token"}},
            {"url": "/a", "headers": {"X-Token": "${ captured.token }"}},
        ]
        async with asyncio.TaskGroup() as group:
            first = group.create_task(
                found.orchestrator.execute_task(task(live_checks=chain, standard_checks=[]))
            )
            await found.service.arrived.wait()
            swapping = group.create_task(lifecycle.swap("adapter:validator", provider="other"))
            await bound.wait()
            found.service.hold.set()
        done = first.result()
    assert swapping.result().ok
    assert told(done) == ("done", "done", "")
    by = [proof.evidence.by for proof in done.proofs if proof.evidence]
    assert [(each.provider, each.version) for each in by[1:]] == [("mine", "7.0"), ("other", "8.1")]
    assert len({each.decision_digest for each in by}) == 3


class Lenient:
    """A gatekeeper that lets everything pass."""

    def check(self, _asked: GateQuestion, /) -> Verdict:
        """Allow it."""
        return Verdict(Effect.ALLOW, GateCode.OPEN)


async def test_promise_task_no_gatekeeper_lets_a_task_be_done_that_production_did_not_prove(
    tmp_path: Path,
) -> None:
    """Whoever decides: without a proof from production that passed the gate stays shut."""
    async with parts(tmp_path) as found:
        found.service.answers.clear()
        register = found.orchestrator.host.lifecycle.resolver.register
        register(Candidate("adapter:gatekeeper", "lenient", Lenient, stack_level=5))
        done = await found.orchestrator.execute_task(task())
    assert told(done) == ("prod_fail", "failed", "no-live-proof")


async def test_promise_task_a_ledger_that_was_touched_stops_the_task(tmp_path: Path) -> None:
    """Entries that are gone show at the next gate, however the task stands."""
    folder = tmp_path / ".oneiric_cache" / "ledger"
    async with parts(tmp_path) as found:
        first = await found.orchestrator.execute_task(task())
        ledger = folder / "deploy-auth.jsonl"
        lines = ledger.read_bytes().splitlines(keepends=True)
        assert len(lines) == len(first.proofs)
        ledger.write_bytes(b"".join([*lines[:1], *lines[2:]]))
        second = await found.orchestrator.execute_task(task())
    assert told(second) == ("local_fail", "failed", "ledger-broken")
    assert second.error == "the ledger of the task was touched"


async def test_a_proof_that_only_the_ledger_knows_counts_for_nothing(tmp_path: Path) -> None:
    """A step that was killed after it wrote, and before it ended, is done again."""
    async with parts(tmp_path) as found:
        found.service.answers["/a"] = 500
        check = LiveCheck(url=f"{found.service.url}/a")
        orphan = KernelProof(
            claim="x",
            subject=check.url,
            kind="live",
            outcome=ProofOutcome.PASSED,
            at=now(),
            facts={"check": check.identity},
        )
        host = found.orchestrator.host
        async with host.lifecycle.use("adapter:ledger") as ledger:
            ledger.append("deploy-auth", "some-run", [orphan])
        done = await found.orchestrator.execute_task(task())
    assert told(done) == ("prod_fail", "failed", "required-check-failed")


async def test_a_run_that_is_over_is_not_resumed_and_others_are_not_tasks(tmp_path: Path) -> None:
    """To try again is another run."""
    async with parts(tmp_path) as found:
        done = await found.orchestrator.execute_task(task())
        with pytest.raises(InvalidError, match="is succeeded"):
            await found.orchestrator.resume(done.run_id)
        with pytest.raises(NotFoundError):
            await found.orchestrator.resume("no-such-run")


async def test_knowledge_is_what_serves_it_by_the_words_of_the_port(tmp_path: Path) -> None:
    """Each method is that of whoever serves when it is called."""
    async with parts(tmp_path) as found:
        kept = await found.orchestrator.snipara.remember("x", type="fact", category="c")
    assert (kept, found.notebook.kept) == ({"memory_id": "1"}, ["fact/c: x"])
