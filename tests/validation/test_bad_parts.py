"""Parts of others that fail, or answer with what is no answer."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from oneiric.core.candidate import Candidate
from oneiric.core.policy import Verdict
from oneiric.errors import UnavailableError
from oneiric.ports.drift import DriftReport
from oneiric.ports.executor import CommandResult
from oneiric.ports.gatekeeper import GateCode, GateQuestion
from oneiric.ports.validator import Evidence
from oneiric.validation.gates import Gatekeeper
from oneiric.validation.models import TaskStatus
from oneiric.validation.parts import check_seconds, known_of
from tests.validation.parts import Parts, jump, now, parts
from tests.validation.tasks import task, told


def raising(*_args: Any, **_more: Any) -> Any:
    """Fail as code does that has a mistake."""
    raise RuntimeError("no such luck")


def giving(answer: object) -> Callable[..., Any]:
    """Return what gives the same answer to everybody."""
    return lambda *_args, **_more: answer


def offer(found: Parts, ref: str, **methods: Callable[..., Any]) -> None:
    """Offer a part with these methods; it outranks the others."""
    kind = type("Odd", (), {name: staticmethod(each) for name, each in methods.items()})
    found.orchestrator.host.lifecycle.resolver.register(
        Candidate(ref, "odd", kind, stack_level=9, capabilities=("live", "ui"))
    )


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (raising, "it failed: RuntimeError: no such luck"),
        (giving("nothing"), "it answered with str, which is no list"),
        (giving(None), "it answered with NoneType, which is no list"),
        (giving(["wrong"]), "it answered with str, which is no Problem"),
    ],
)
async def test_a_validator_that_cannot_read_checks_begins_nothing(
    tmp_path: Path, answer: Callable[..., Any], why: str
) -> None:
    """It is told that the validator is at fault, and the task is not."""
    async with parts(tmp_path) as found:
        offer(found, "adapter:validator", problems=answer)
        with pytest.raises(UnavailableError, match=f"validator: {why}"):
            await found.orchestrator.execute_task(task())
        assert list(await found.orchestrator.host.journal.runs()) == []


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (raising, "it failed: RuntimeError: no such luck"),
        (giving(True), "it answered with bool, which is no Evidence"),
        (giving(Evidence(proof={"outcome": "pass"})), "it answered with dict, which is no Proof"),  # type: ignore[arg-type]
        (giving(Evidence(proof=None)), "it answered with NoneType, which is no Proof"),  # type: ignore[arg-type]
    ],
)
async def test_a_validator_that_gives_no_evidence_has_shown_nothing(
    tmp_path: Path, answer: Callable[..., Any], why: str
) -> None:
    """The check is inconclusive, and says why."""
    async with parts(tmp_path) as found:
        offer(found, "adapter:validator", problems=giving([]), prove=answer)
        done = await found.orchestrator.execute_task(task())
    assert told(done) == ("validating", "inconclusive", "check-inconclusive")
    assert f"validator: {why}" in str(done.error)


def hanging(seconds: float) -> Callable[..., Any]:
    """Return what never answers; whenever it is asked, the time of the loop jumps by *seconds*."""

    async def hang(*_args: Any, **_more: Any) -> None:
        jump(seconds)
        await asyncio.Event().wait()

    return hang


async def test_a_validator_that_never_answers_does_not_hold_up_a_task(tmp_path: Path) -> None:
    """Beyond all that the check may take it is inconclusive, and says so."""
    seconds = check_seconds({"url": "/"})
    async with parts(tmp_path) as found:
        offer(found, "adapter:validator", problems=giving([]), prove=hanging(seconds + 1))
        done = await found.orchestrator.execute_task(task())
    assert told(done) == ("validating", "inconclusive", "check-inconclusive")
    assert f"validator: it failed: took longer than {seconds:g} s" in str(done.error)


async def test_an_executor_that_never_answers_does_not_hold_up_a_task(tmp_path: Path) -> None:
    """Beyond all that the program may take the local test is inconclusive, and says so."""
    async with parts(tmp_path) as found:
        offer(found, "adapter:executor", run=hanging(1_201))
        done = await found.orchestrator.execute_task(task())
    assert told(done) == ("in_progress", "inconclusive", "local-test-inconclusive")
    assert "took longer than 1200 s" in str(done.error)


@pytest.mark.parametrize(
    ("check", "seconds"),
    [
        ({"url": "/", "timeout": 30}, 30),
        ({"url": "/", "timeout": 30, "retry": {"attempts": 3}}, 3 * 30 + 2 * 600),
        ({"url": "/", "timeout": 5, "analysis": {"count": 4, "interval_seconds": 60}}, 4 * 60),
        (
            {
                "url": "/",
                "timeout": 90,
                "analysis": {"count": 4, "interval_seconds": 60, "initial_delay_seconds": 300},
            },
            300 + 4 * 90,
        ),
        ({"kind": "ui", "url": "/", "timeout": 60, "attempts": 5}, 60),
        ({"kind": "spec", "path": "a.spec.ts", "timeout": 400}, 400),
    ],
)
def test_a_check_may_take_all_that_it_asks_for(check: dict[str, Any], seconds: float) -> None:
    """Attempts, pauses and measurements count, and 15 minutes for what no check can say."""
    assert check_seconds(check) == seconds + 900


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (raising, "it failed: RuntimeError: no such luck"),
        (giving({"has_drift": False}), "it answered with dict, which is no DriftReport"),
        (giving(DriftReport(at=now(), unchecked=None)), "this is no report: unchecked"),  # type: ignore[arg-type]
        (giving(DriftReport(at=now(), checked={"route": "x"})), "this is no report: checked"),  # type: ignore[dict-item]
    ],
)
async def test_a_detector_that_gives_no_report_lets_nothing_pass(
    tmp_path: Path, answer: Callable[..., Any], why: str
) -> None:
    """The task stops before production is asked, and says who is at fault."""
    async with parts(tmp_path) as found:
        offer(found, "adapter:drift", detect=answer)
        done = await found.orchestrator.execute_task(task())
    assert str(done.outcome) == "error"
    assert f"drift: {why}" in str(done.error)
    assert found.service.asked == []


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (raising, "it failed: RuntimeError: no such luck"),
        (giving(0), "it answered with int, which is no CommandResult"),
        (
            giving(CommandResult(exit_code=0, stdout="text")),  # type: ignore[arg-type]
            "it answered with CommandResult, whose stdout is no such thing: str",
        ),
        (
            giving(CommandResult(exit_code="0")),  # type: ignore[arg-type]
            "it answered with CommandResult, whose exit_code is no such thing: str",
        ),
        (
            giving(CommandResult(exit_code=0, duration_ms=math.nan)),
            "it answered with CommandResult, whose duration_ms is no such thing: float",
        ),
    ],
)
async def test_an_executor_that_gives_no_result_has_run_nothing(
    tmp_path: Path, answer: Callable[..., Any], why: str
) -> None:
    """The local test is inconclusive, and says why."""
    async with parts(tmp_path) as found:
        offer(found, "adapter:executor", run=answer)
        done = await found.orchestrator.execute_task(task())
    assert told(done) == ("in_progress", "inconclusive", "local-test-inconclusive")
    assert f"executor: {why}" in str(done.error)


@pytest.mark.parametrize(
    ("methods", "why"),
    [
        ({"recall": raising}, "it failed: RuntimeError: no such luck"),
        ({"recall": giving(7)}, "it failed: TypeError"),
        ({}, "it failed: AttributeError"),
    ],
)
async def test_knowledge_that_gives_no_answer_is_at_fault_itself(
    tmp_path: Path, methods: dict[str, Callable[..., Any]], why: str
) -> None:
    """Whoever asks it by hand is told so."""
    async with parts(tmp_path) as found:
        offer(found, "adapter:knowledge", **methods)
        with pytest.raises(UnavailableError, match=f"knowledge: {why}"):
            await known_of(found.orchestrator.snipara, "recall", {"query": "x"})


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (raising, "it failed: RuntimeError: no such luck"),
        (giving(True), "it answered with bool, which is no Verdict"),
        (
            giving(Verdict("allow", GateCode.OPEN)),  # type: ignore[arg-type]
            "it answered with Verdict, whose effect is no such thing: str",
        ),
    ],
)
async def test_a_gatekeeper_that_gives_no_verdict_opens_no_gate(
    tmp_path: Path, answer: Callable[..., Any], why: str
) -> None:
    """Whoever asks: it is told that the gatekeeper is at fault."""
    async with parts(tmp_path) as found:
        offer(found, "adapter:gatekeeper", check=answer)
        done = await found.orchestrator.execute_task(task())
        face = Gatekeeper(prod_url=found.service.url, policy=SimpleNamespace(check=answer))
        stands = task().model_copy(update={"status": TaskStatus.PENDING})
        with pytest.raises(UnavailableError, match=f"gatekeeper: {why}"):
            await face.gate_local_to_validation(stands)
    assert told(done) == ("in_progress", "error", "unavailable")
    assert f"gatekeeper: {why}" in str(done.error)


async def test_a_gatekeeper_that_blocks_holds_up_nobody_else(tmp_path: Path) -> None:
    """The loop goes on while it thinks, and beyond 30 seconds it has said nothing."""
    begun, end = threading.Event(), threading.Event()

    def check(_question: GateQuestion) -> None:
        begun.set()
        end.wait(60)

    async with parts(tmp_path) as found:
        offer(found, "adapter:gatekeeper", check=check)
        trying = asyncio.create_task(found.orchestrator.execute_task(task()))
        await asyncio.to_thread(begun.wait, 30)
        jump(31)
        done = await trying
        end.set()
    assert told(done) == ("in_progress", "error", "unavailable")
    assert "gatekeeper: it failed: took longer than 30 s" in str(done.error)
