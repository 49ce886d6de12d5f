"""Ask parts that anybody may have made, and take nothing from them that is no answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from oneiric.core.guard import Guard, Outcome, attempt
from oneiric.errors import JSONValue, OneiricError, Problem
from oneiric.ports.drift import DriftReport
from oneiric.ports.errors import UnavailableError
from oneiric.ports.validator import Evidence
from oneiric.runs.proof import Proof

if TYPE_CHECKING:
    from oneiric.ports.drift import DriftDetector
    from oneiric.ports.validator import Validator

T = TypeVar("T")

_DRIFT_SECONDS = 300.0
_MORE_SECONDS = 900.0


async def report_of(detector: DriftDetector, asked: Mapping[str, JSONValue]) -> DriftReport:
    """Return what a detector found, within the time that the question allows, and some more.

    Raises:
        OneiricError: the one that it raised.
        UnavailableError: it raised another, took too long, or gave what is no report.
    """
    total = asked.get("total_timeout")
    limit = (total if isinstance(total, int | float) else _DRIFT_SECONDS) + _MORE_SECONDS
    outcome = await Guard().call(partial(detector.detect, asked), limit=limit)
    report = _answered("drift", outcome, DriftReport)
    return _answered("drift", attempt(lambda: DriftReport.from_json(report.as_json())), DriftReport)


async def evidence_of(
    validator: Validator, check: Mapping[str, JSONValue], captured: Mapping[str, JSONValue]
) -> Evidence:
    """Return what a validator found.

    Raises:
        OneiricError: the one that it raised.
        UnavailableError: it raised another, or gave what is no evidence.
    """
    asked = partial(validator.prove, dict(check), captured=dict(captured))
    evidence = _answered("validator", await Guard().call(asked, limit=math.inf), Evidence)
    _answered("validator", Outcome(evidence.proof), Proof)
    _answered("validator", Outcome(evidence.captured), Mapping)  # type: ignore[type-abstract]
    return evidence


async def known_of(knowledge: Any, verb: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what whoever knows says: one of the methods of the port, with its arguments.

    Raises:
        OneiricError: the one that it raised.
        UnavailableError: it raised another, or gave what is no table.
    """
    found = await Guard().call(lambda: getattr(knowledge, verb)(**asked), limit=math.inf)
    return _answered("knowledge", found, Mapping)  # type: ignore[type-abstract]


def problems_of(validator: Validator, checks: Sequence[Mapping[str, JSONValue]]) -> list[Problem]:
    """Return what a validator finds wrong with checks.

    Raises:
        OneiricError: the one that it raised.
        UnavailableError: it raised another, or gave what is no list of problems.
    """
    found = _answered("validator", attempt(partial(validator.problems, checks)), list)
    for each in found:
        _answered("validator", Outcome(each), Problem)
    return found


def _answered(part: str, outcome: Outcome[object], kind: type[T]) -> T:
    if isinstance(outcome.error, OneiricError):
        raise outcome.error
    if outcome.error is not None:
        raise UnavailableError(part, f"it failed: {outcome.reason}") from outcome.error
    if not isinstance(outcome.value, kind):
        given = type(outcome.value).__name__
        raise UnavailableError(part, f"it answered with {given}, which is no {kind.__name__}")
    return outcome.value
