"""Tasks are runs: what came of them, and why."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from oneiric.errors import ClosedError, InvalidError, NotFoundError
from oneiric.runs.plan import Plan, Step
from oneiric.validation.errors import TaskBusyError, TaskError
from oneiric.validation.models import (
    Deployment,
    OrchestratorConfig,
    Proof,
    StandardCheck,
    TaskStatus,
    ValidationCriteria,
)
from oneiric.validation.orchestrator import Orchestrator
from tests.validation.parts import Parts, parts
from tests.validation.tasks import steps_of, task, told

HEALTH = StandardCheck(name="health", paths=["/health"])


async def test_promise_task_a_task_is_done_when_production_has_proved_it(tmp_path: Path) -> None:
    """Local tests, drift, checks, cutover: each a step, and the task is done at the end."""
    heard: list[int] = []
    async with parts(tmp_path) as found:
        done = await found.orchestrator.execute_task(
            task(), tell=lambda event: heard.append(event.seq)
        )
        steps = await steps_of(found, done)
    assert told(done) == ("done", "done", "")
    assert heard == list(range(1, heard[-1] + 1))
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
    assert (done.has_minimum_proofs(), more.has_minimum_proofs()) == (True, False)


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


async def test_defect_validation_a5_another_name_makes_no_other_check(tmp_path: Path) -> None:
    """It is asked as often as the task says, and counts once, however long it waits."""
    again = [{"url": "/a", "id": "a2"}, {"url": "/a#x"}, {"url": "/a", "timeout": 5}]
    tests = ["true", {"command": "true", "name": "again"}]
    async with parts(tmp_path) as found:
        given = task(live_checks=[{"url": "/a"}, *again], local_tests=tests, required_proofs=2)
        done = await found.orchestrator.execute_task(given)
        more = given.criteria.model_copy(update={"required_proofs": 3})
        lacks = await found.orchestrator.execute_task(given.model_copy(update={"criteria": more}))
    assert told(done) == ("done", "done", "")
    assert found.service.asked.count("GET /a") == 8
    assert told(lacks) == ("prod_fail", "failed", "not-enough-proofs")
    assert lacks.error == "2 checks proved, 3 required"


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


async def test_another_process_keeps_a_second_run_out_too(tmp_path: Path) -> None:
    """By the journal, which both of them read; its refusal names the run that is under way."""
    async with parts(tmp_path) as found, parts(tmp_path) as other:
        found.service.hold = asyncio.Event()
        found.service.answers["/held"] = 200
        held = task(live_checks=[{"url": "/held"}, {"url": "/a"}])
        async with asyncio.TaskGroup() as group:
            first = group.create_task(found.orchestrator.execute_task(held))
            await found.service.held.wait()
            with pytest.raises(TaskBusyError) as raised:
                await other.orchestrator.execute_task(held)
            found.service.hold.set()
        assert raised.value.run_id == first.result().run_id
        again = await other.orchestrator.execute_task(task())
    assert told(first.result()) == told(again) == ("done", "done", "")


async def left_open(found: Parts) -> str:
    """Begin a run of a task, let go of it in the middle, and return which it is."""
    found.service.hold = asyncio.Event()
    found.service.answers["/held"] = 200
    held = task(live_checks=[{"url": "/held"}, {"url": "/a"}])
    trying = asyncio.ensure_future(found.orchestrator.execute_task(held))
    await found.service.held.wait()
    await found.orchestrator.close()
    with pytest.raises(ClosedError, match="was left open") as raised:
        await trying
    found.service.hold.set()
    await found.orchestrator.initialize()
    found.offer()
    (record,) = await found.orchestrator.host.journal.runs()
    assert record.run_id in raised.value.message
    return record.run_id


async def test_a_run_that_was_let_go_is_told_so_and_goes_on_later(tmp_path: Path) -> None:
    """Closing waits for no check; what was recorded stays."""
    async with parts(tmp_path) as found:
        run_id = await left_open(found)
        done = await found.orchestrator.resume(run_id)
    assert told(done) == ("done", "done", "")


async def test_a_second_run_that_begins_while_one_is_taken_up_is_noticed_too(
    tmp_path: Path,
) -> None:
    """It is looked for once more when the run is taken up, as when one is begun, and it ends."""
    second = Plan("validation:deploy-auth", (Step("ask", signal="go"),))
    async with parts(tmp_path) as found, parts(tmp_path) as other:
        run_id = await left_open(found)
        engine, journal = other.orchestrator.host.engine, other.orchestrator.host.journal
        claim = await journal.claim(run_id, holder="somebody", seconds=60)
        assert claim is not None
        waits = asyncio.Event()
        resuming = asyncio.ensure_future(
            found.orchestrator.resume(run_id, notice=lambda _line: waits.set())
        )
        await waits.wait()
        begun = await engine.start(second)
        await journal.release(claim)
        with pytest.raises(TaskBusyError) as raised:
            await resuming
        last = (await journal.read(run_id))[-1]
    assert raised.value.run_id == begun.run_id
    assert (last.kind, last.data["state"]) == ("run-ended", "canceled")


async def test_whoever_stops_waiting_does_not_stop_the_run(tmp_path: Path) -> None:
    """It is carried to its end all the same."""
    async with parts(tmp_path) as found:
        found.service.hold = asyncio.Event()
        found.service.answers["/held"] = 200
        held = task(live_checks=[{"url": "/held"}, {"url": "/a"}])
        trying = asyncio.ensure_future(found.orchestrator.execute_task(held))
        await found.service.held.wait()
        trying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await trying
        (run,) = found.orchestrator.host.engine.under_way
        found.service.hold.set()
        await (await found.orchestrator.host.engine.resume(run.run_id))
        done = await found.orchestrator.task(run.run_id)
    assert told(done) == ("done", "done", "")


async def test_a_run_that_is_over_is_not_resumed_and_others_are_not_tasks(tmp_path: Path) -> None:
    """To try again is another run."""
    async with parts(tmp_path) as found:
        done = await found.orchestrator.execute_task(task())
        with pytest.raises(InvalidError, match="is succeeded"):
            await found.orchestrator.resume(done.run_id)
        with pytest.raises(NotFoundError):
            await found.orchestrator.resume("no-such-run")


def test_an_orchestrator_is_closed_on_the_loop_that_brought_it_up(tmp_path: Path) -> None:
    """On another one it is told so, by an error of the house, and can still be closed there."""
    orchestrator = Orchestrator(OrchestratorConfig(prod_url="", repo_path=tmp_path))
    with asyncio.Runner() as first:
        first.run(orchestrator.initialize())
        for work in (orchestrator.initialize, orchestrator.close):
            with asyncio.Runner() as second, pytest.raises(ClosedError, match="another event loop"):
                second.run(work())
        first.run(orchestrator.close())
    asyncio.run(orchestrator.close())
    with pytest.raises(ClosedError, match="not up"):
        _ = orchestrator.host
