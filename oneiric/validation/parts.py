"""Ask parts that anybody may have made, and take nothing from them that is no answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from oneiric.core.guard import Guard, Outcome, attempt
from oneiric.core.policy import Effect, Verdict
from oneiric.errors import JSONValue, OneiricError, Problem
from oneiric.ports.drift import DriftReport
from oneiric.ports.errors import UnavailableError
from oneiric.ports.executor import CommandResult
from oneiric.ports.validator import Evidence
from oneiric.runs.proof import Proof
from oneiric.validation.checks.attempts import LONGEST_WAIT_SECONDS
from oneiric.validation.checks.reading import read_check
from oneiric.validation.checks.spec import LiveCheck

if TYPE_CHECKING:
    from oneiric.core.policy import Policy
    from oneiric.ports.drift import DriftDetector
    from oneiric.ports.executor import Command, Executor
    from oneiric.ports.gatekeeper import GateQuestion
    from oneiric.ports.validator import Validator

T = TypeVar("T")

MORE_SECONDS = 900.0
"""For how long beyond what it may take itself somebody is waited for; then they hang."""
_USUAL_SECONDS = 300.0
_GATE_SECONDS = 30.0


def check_seconds(check: Mapping[str, JSONValue]) -> float:
    """Return for how many seconds at most a validator is waited for.

    It is no limit of the check, which whoever does it keeps to: it is where a validator that
    never answers is given up. So it counts the most that the check allows: each attempt its
    whole time, and the longest wait that a service may ask for before the next one; or each
    measurement of an analysis, which begins an interval after the one before or when that has
    ended. `MORE_SECONDS` are for what no check can say: waiting for a place among the checks of
    other tasks, or for a browser to start.

    >>> check_seconds({"url": "/health", "timeout": 30})
    930.0

    Raises:
        InvalidRequestError: it is no check.
    """
    read = read_check(check)
    most = read.timeout
    if isinstance(read, LiveCheck) and (analysis := read.analysis) is not None:
        each = max(read.timeout, analysis.interval_seconds)
        most = analysis.initial_delay_seconds + analysis.count * each
    elif isinstance(read, LiveCheck):
        most = read.retry.attempts * (read.timeout + LONGEST_WAIT_SECONDS) - LONGEST_WAIT_SECONDS
    return most + MORE_SECONDS


async def report_of(detector: DriftDetector, asked: Mapping[str, JSONValue]) -> DriftReport:
    """Return what a detector found, within the time that the question allows, and some more.

    Raises:
        OneiricError: the one that it raised.
        UnavailableError: it raised another, took too long, or gave what is no report.
    """
    total = asked.get("total_timeout")
    limit = (total if isinstance(total, int | float) else _USUAL_SECONDS) + MORE_SECONDS
    outcome = await Guard().call(partial(detector.detect, asked), limit=limit)
    report = _answered("drift", outcome, DriftReport)
    return _answered("drift", attempt(lambda: DriftReport.from_json(report.as_json())), DriftReport)


async def evidence_of(
    validator: Validator, check: Mapping[str, JSONValue], captured: Mapping[str, JSONValue]
) -> Evidence:
    """Return what a validator found, within `check_seconds`.

    Raises:
        OneiricError: the one that it raised.
        UnavailableError: it raised another, took too long, or gave what is no evidence.
    """
    asked = partial(validator.prove, dict(check), captured=dict(captured))
    outcome = await Guard().call(asked, limit=check_seconds(check))
    evidence = _answered("validator", outcome, Evidence)
    _answered("validator", Outcome(evidence.proof), Proof)
    _answered("validator", Outcome(evidence.captured), Mapping)  # type: ignore[type-abstract]
    return evidence


async def result_of(executor: Executor, command: Command) -> CommandResult:
    """Return how a program ended, within its own time and `MORE_SECONDS`.

    Its time begins when it has a place among others, which is not for it to say.

    Raises:
        OneiricError: the one that the executor raised.
        UnavailableError: it raised another, took too long, or gave what is no result.
    """
    limit = (command.timeout or _USUAL_SECONDS) + MORE_SECONDS
    outcome = await Guard().call(partial(executor.run, command), limit=limit)
    return _whole("executor", outcome, CommandResult, _RESULT)


async def verdict_of(gatekeeper: Policy[GateQuestion], question: GateQuestion) -> Verdict:
    """Return what a gatekeeper says; it is asked in a thread, so that nobody else waits for it.

    Raises:
        OneiricError: the one that it raised.
        UnavailableError: it raised another, took longer than 30 s, or gave what is no verdict.
    """
    asked = partial(gatekeeper.check, question)
    outcome = await Guard().call(asked, limit=_GATE_SECONDS, blocking=True)
    return _whole("gatekeeper", outcome, Verdict, _VERDICT)


async def known_of(knowledge: Any, verb: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what whoever knows says: one of the methods of the port, with its arguments.

    Raises:
        OneiricError: the one that it raised.
        UnavailableError: it raised another, took too long, or gave what is no table.
    """
    found = await Guard().call(lambda: getattr(knowledge, verb)(**asked), limit=_USUAL_SECONDS)
    return _answered("knowledge", found, Mapping)  # type: ignore[type-abstract]


def problems_of(validator: Validator, checks: Sequence[Mapping[str, JSONValue]]) -> list[Problem]:
    """Return what a validator finds wrong with checks.

    Raises:
        OneiricError: the one that it raised.
        UnavailableError: it raised another, or gave what is no list of problems.
    """
    return _listed("validator", attempt(partial(validator.problems, checks)))


def question_problems_of(detector: DriftDetector, asked: Mapping[str, JSONValue]) -> list[Problem]:
    """Return what a detector finds wrong with a question; one that has no `problems` finds none.

    Raises:
        OneiricError: the one that it raised.
        UnavailableError: it raised another, or gave what is no list of problems.
    """
    find = getattr(detector, "problems", None)
    return [] if find is None else _listed("drift", attempt(partial(find, asked)))


def _listed(part: str, outcome: Outcome[Any]) -> list[Problem]:
    found = _answered(part, outcome, list)
    for each in found:
        _answered(part, Outcome(each), Problem)
    return found


def _answered(part: str, outcome: Outcome[object], kind: type[T]) -> T:
    if isinstance(outcome.error, OneiricError):
        raise outcome.error
    if outcome.error is not None:
        raise UnavailableError(part, f"it failed: {outcome.reason}") from outcome.error
    if not isinstance(outcome.value, kind):
        raise _refused(part, outcome.value, kind)
    return outcome.value


def _whole(part: str, outcome: Outcome[object], kind: type[T], fields: Mapping[str, Any]) -> T:
    """Return an answer of that very class, for another may say anything of itself; all fields fit.

    Raises:
        OneiricError: as for `_answered`.
    """
    answer = _answered(part, outcome, kind)
    if type(answer) is not kind:
        raise _refused(part, answer, kind)
    for name, wanted in fields.items():
        value = getattr(answer, name)
        is_number = not isinstance(value, float) or math.isfinite(value)
        if not isinstance(value, wanted) or not is_number:
            what = f"it answered with {kind.__name__}, whose {name} is no such thing"
            raise UnavailableError(part, f"{what}: {type(value).__name__}")
    return answer


def _refused(part: str, value: object, kind: type[object]) -> UnavailableError:
    given = type(value).__name__
    return UnavailableError(part, f"it answered with {given}, which is no {kind.__name__}")


_RESULT: Mapping[str, Any] = {
    "exit_code": int | None,
    "signal": str | None,
    "timed_out": bool,
    "duration_ms": int | float,
    "stdout": bytes,
    "stderr": bytes,
    "stdout_dropped": int,
    "stderr_dropped": int,
    "cpu_seconds": int | float,
    "peak_memory_bytes": int | None,
}
_VERDICT: Mapping[str, Any] = {"effect": Effect, "code": StrEnum, "reason": str, "facts": Mapping}
