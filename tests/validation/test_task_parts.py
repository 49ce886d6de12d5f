"""What a task is done with: each part does its share, and can be replaced."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from oneiric.core.candidate import Candidate
from oneiric.core.policy import Effect, Verdict
from oneiric.errors import UnavailableError
from oneiric.ports.gatekeeper import GateCode, GateQuestion
from oneiric.reports.forms import report_text
from oneiric.reports.report import RunReport
from oneiric.runs.proof import Proof as KernelProof
from oneiric.runs.proof import ProofOutcome
from oneiric.validation.models import (
    DriftCriteria,
    LiveCheck,
)
from tests.validation.parts import Notebook, PlainValidator, now, parts, served
from tests.validation.tasks import steps_of, task, told


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
    assert told(first) == ("local_ok", "error", "unavailable")
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


async def test_defect_validation_c3_what_a_task_says_in_secret_is_shown_nowhere(
    tmp_path: Path,
) -> None:
    """Neither in a proof, nor in a report, nor where somebody prints the task."""
    told_in_secret = {
        "headers": {"Authorization": "Bearer sekrit-1"},
        "body": {"password": "sekrit-2"},
    }
    login = {"url": "/a", "method": "POST", **told_in_secret}
    test = {"command": "true", "env": {"DB_PASSWORD": "sekrit-3"}}
    async with parts(tmp_path) as found:
        done = await found.orchestrator.execute_task(
            task(live_checks=[login, {"url": "/b"}], local_tests=[test])
        )
        report = RunReport.of(await found.orchestrator.host.journal.read(done.run_id))
    ledger = (tmp_path / ".oneiric_cache" / "ledger" / "deploy-auth.jsonl").read_text()
    forms = [report_text(report, form) for form in ("html", "markdown", "junit", "json")]
    assert told(done) == ("done", "done", "")
    assert not [text for text in (ledger, repr(done), *forms) if "sekrit" in text]


@pytest.mark.parametrize("found", [None, [], {"sections": [3]}, {"sections": 7}, "<html>"])
async def test_knowledge_that_answers_nonsense_stops_nothing(tmp_path: Path, found: object) -> None:
    """It is told as a warning at the most."""

    class Odd(Notebook):
        async def query_context(self, query: str, *, max_tokens: int = 6000) -> Any:
            return found

    async with parts(tmp_path) as here:
        here.orchestrator.host.lifecycle.resolver.register(
            Candidate("adapter:knowledge", "odd", Odd, stack_level=9)
        )
        done = await here.orchestrator.execute_task(task())
    assert told(done) == ("done", "done", "")


async def test_knowledge_that_hangs_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has its time, and no more; the task is done beside it."""
    monkeypatch.setattr("oneiric.validation.steps.note_step.KNOWLEDGE_SECONDS", 0.2)

    class Hanging(Notebook):
        async def query_context(self, query: str, *, max_tokens: int = 6000) -> Any:
            await asyncio.Event().wait()

        async def remember(self, content: str, **more: Any) -> Any:
            await asyncio.Event().wait()

    async with parts(tmp_path) as here:
        here.orchestrator.host.lifecycle.resolver.register(
            Candidate("adapter:knowledge", "hanging", Hanging, stack_level=9)
        )
        done = await here.orchestrator.execute_task(task())
    assert told(done) == ("done", "done", "")
    assert len(done.metadata["warnings"]) == 2  # type: ignore[arg-type]


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
    assert "captured-sekrit" not in json.dumps([event.as_json() for event in events])


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


@pytest.mark.parametrize(
    ("gone", "code"),
    [
        (["/a", "/b"], "no-live-proof"),  # the page of health alone is up
        (["/a"], "required-check-failed"),
        (["/health"], "required-check-failed"),
    ],
)
async def test_promise_task_no_gatekeeper_passes_a_check_that_is_required(
    tmp_path: Path, gone: list[str], code: str
) -> None:
    """What the task requires of production is its own to say, whoever decides the rest."""
    async with parts(tmp_path) as found:
        for path in gone:
            found.service.answers[path] = 500
        register = found.orchestrator.host.lifecycle.resolver.register
        register(Candidate("adapter:gatekeeper", "lenient", Lenient, stack_level=5))
        done = await found.orchestrator.execute_task(task())
    assert told(done) == ("prod_fail", "failed", code)
    assert str(done.error).endswith("whatever the gatekeeper says")


class Forgetful(Lenient):
    """Let every task pass, and strike from the question what did not."""

    def check(self, asked: GateQuestion, /) -> Verdict:
        """Return that it may go on."""
        passed = [proof.facts["check"] for proof in asked.seen if proof.outcome == "pass"]
        checks: Any = asked.checks
        with suppress(TypeError):
            checks[:] = [check for check in checks if check.kind == "local" or check.id in passed]
        return super().check(asked)


async def test_promise_task_no_gatekeeper_changes_what_is_required(tmp_path: Path) -> None:
    """What it is asked is for reading: a check that it strikes must have passed all the same."""
    async with parts(tmp_path) as found:
        found.service.answers["/b"] = 500
        register = found.orchestrator.host.lifecycle.resolver.register
        register(Candidate("adapter:gatekeeper", "forgetful", Forgetful, stack_level=5))
        done = await found.orchestrator.execute_task(task())
    assert told(done) == ("prod_fail", "failed", "required-check-failed")


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({"local_tests": ["false"]}, ("local_fail", "failed", "local-test-failed")),
        ({"local_tests": ["true", "false"]}, ("local_fail", "failed", "local-test-failed")),
        (
            {"local_tests": ["no-such-program"]},
            ("in_progress", "inconclusive", "local-test-inconclusive"),
        ),
        ({"local_tests": []}, ("local_fail", "failed", "no-local-tests")),
        ({"local_tests": [], "without_local_tests": "it is a page"}, ("done", "done", "")),
    ],
)
async def test_promise_task_no_gatekeeper_passes_local_tests_that_did_not_pass(
    tmp_path: Path, criteria: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    """What was declared must have passed, and where nothing was there must be a reason."""
    async with parts(tmp_path) as found:
        register = found.orchestrator.host.lifecycle.resolver.register
        register(Candidate("adapter:gatekeeper", "lenient", Lenient, stack_level=5))
        done = await found.orchestrator.execute_task(task(**criteria))
        asked = list(found.service.asked)
    assert told(done) == expected
    if expected[0] != "done":
        assert asked == []
        assert str(done.error).endswith("whatever the gatekeeper says")


class Sly(Verdict):
    """A verdict that allows, seems to deny, and enforces nothing."""

    def __bool__(self) -> bool:
        return False

    def enforce(self, *_args: Any, **_more: Any) -> None:
        """Let it pass."""


@pytest.mark.parametrize("answer", [True, None, "open", Sly(Effect.ALLOW, GateCode.OPEN)])
async def test_what_is_no_verdict_opens_no_gate(tmp_path: Path, answer: object) -> None:
    """The gate stays shut, and the run says why."""

    class Odd:
        def check(self, _asked: GateQuestion, /) -> object:
            return answer

    async with parts(tmp_path) as found:
        register = found.orchestrator.host.lifecycle.resolver.register
        register(Candidate("adapter:gatekeeper", "odd", Odd, stack_level=5))
        done = await found.orchestrator.execute_task(task())
    assert told(done) == ("in_progress", "error", "unavailable")
    assert "which is no Verdict" in str(done.error)


async def test_promise_task_a_ledger_that_was_touched_stops_the_task(tmp_path: Path) -> None:
    """Entries that are gone show at the next gate, however the task stands."""
    folder = tmp_path / ".oneiric_cache" / "ledger"
    async with parts(tmp_path) as found:
        first = await found.orchestrator.execute_task(task())
        ledger = folder / "deploy-auth.jsonl"
        lines = ledger.read_bytes().splitlines(keepends=True)
        assert len(lines) == len(first.proofs) + 1  # and the word of the gate
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


async def test_knowledge_is_what_serves_it_by_the_words_of_the_port(tmp_path: Path) -> None:
    """Each method is that of whoever serves when it is called."""
    async with parts(tmp_path) as found:
        kept = await found.orchestrator.snipara.remember("x", type="fact", category="c")
    assert (kept, found.notebook.kept) == ({"memory_id": "1"}, ["fact/c: x"])


async def test_a_run_without_a_session_takes_no_other_host_for_production(tmp_path: Path) -> None:
    """Whoever took it up by its id alone does not know which hosts may be asked besides."""
    async with parts(tmp_path) as found, served() as other:
        headers, capture = {"Authorization": other.url}, {"auth": "json $.auth"}
        asks = [
            {"id": "home", "url": "/a", "headers": headers, "capture": capture},
            {"id": "away", "url": "${ captured.auth }/b"},
        ]
        engine = found.orchestrator.host.engine
        compiled = await found.orchestrator.compile(task(live_checks=asks, required_proofs=1))
        run = await (await engine.start(compiled.plan, compiled.input))
    results: Any = run.steps["check.1"].result
    outcomes = {each["check"]: each["outcome"] for each in results["proofs"]}
    assert outcomes == {"home": "pass", "away": "inconclusive"}
    assert other.asked == ["GET /b"]
