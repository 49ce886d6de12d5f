"""Take parts as users hand them over: a face of this package, or a provider of a port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from types import MappingProxyType
from typing import Any, cast

from oneiric.core.guard import Guard
from oneiric.errors import JSONValue
from oneiric.ports.drift import DriftItem, DriftReport, Severity
from oneiric.ports.validator import Evidence
from oneiric.runs import proof as kernel
from oneiric.runs.body import NOBODY
from oneiric.validation.checks.spec import LiveCheck, SpecCheck, UICheck
from oneiric.validation.models import DriftCriteria
from oneiric.validation.parts import check_seconds, report_of
from oneiric.validation.proving import Held, proofs_of


async def asked_of(
    validator: Any,
    checks: Sequence[Mapping[str, Any]],
    *,
    user: str,
    now: Callable[[], str],
    is_one_enough: bool = False,
) -> list[kernel.Proof]:
    """Have *checks* done, and return the proofs that were seen made.

    A validator that gives no evidence has shown nothing: that is inconclusive.
    """
    if validator is not None and not hasattr(validator, "prove"):
        face = _Faced(validator)
        validator = face if is_one_enough or len(checks) == 1 else await face.group(checks)
    return await proofs_of(
        checks, lend=partial(_lent, validator), user=user, now=now, is_one_enough=is_one_enough
    )


@asynccontextmanager
async def _lent(validator: Any, _kind: str) -> AsyncIterator[Held]:
    yield validator, NOBODY


class _Faced:
    """The port's method, done by the methods that the brief names."""

    def __init__(
        self,
        face: Any,
        proofs: Mapping[str, Any] = MappingProxyType({}),
        error: BaseException | None = None,
    ) -> None:
        self._face = face
        self._proofs = proofs
        self._error = error

    async def group(self, checks: Sequence[Mapping[str, Any]]) -> _Faced:
        """Return one that has done *checks*, which hand something on, all together.

        Where that failed, or took longer than they all may, so does each of them.
        """
        live = [each for each in checks if each["kind"] == "live"]

        async def done() -> dict[str, Any]:
            models = [LiveCheck.model_validate(each) for each in live]
            found = await self._face.run_all_live_checks(models, parallel=False)
            return dict(zip([str(each["id"]) for each in live], found, strict=True))

        outcome = await Guard().call(done, limit=sum(map(check_seconds, live)))
        return _Faced(self._face, cast("dict[str, Any]", outcome.value or {}), outcome.error)

    async def prove(self, check: Mapping[str, Any], *, captured: Mapping[str, JSONValue]) -> Any:
        """Return what was found, with what it may have captured; None without evidence."""
        found: Any
        if self._error is not None:
            raise self._error
        if check["id"] in self._proofs:
            found = self._proofs[check["id"]]
        elif check["kind"] == "live":
            found = await self._face.run_live_check(LiveCheck.model_validate(check))
        else:
            kind = UICheck if check["kind"] == "ui" else SpecCheck
            found = await self._face.run_ui_test(kind.model_validate(check))
        evidence = getattr(found, "evidence", None)
        if not isinstance(evidence, kernel.Proof):
            return None
        taken = dict.fromkeys(check.get("capture") or ())
        return Evidence(proof=evidence, captured=taken)


async def drift_of(
    detector: Any, where: Mapping[str, JSONValue], drift: DriftCriteria, *, at: str
) -> DriftReport:
    """Return the report of a detector, whichever face it has."""
    routes = {} if drift.routes is None else {"routes": drift.routes}
    if hasattr(detector, "detect"):
        return await report_of(detector, {**where, **routes, **drift.ask})
    told = await detector.full_drift_check(routes=drift.routes)
    report = getattr(told, "report", told)
    if isinstance(report, DriftReport):
        return report
    return _read(told, at)


def _read(told: Any, at: str) -> DriftReport:
    """Return the report of somebody who says no more than that, and which, issues there are."""
    issues = list(told.issues) or (["nobody says how"] if told.has_drift else [])
    items = tuple(
        DriftItem(
            kind="other",
            code="issue",
            severity=Severity.BREAKING,
            place="environment",
            message=str(issue),
        )
        for issue in issues
    )
    return DriftReport(at=at, items=items, checked={"other": max(1, len(items))})
