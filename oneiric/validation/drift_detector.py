"""The drift detector as the brief's users know it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oneiric.errors import JSONValue
from oneiric.ports.drift import DriftItem, DriftReport
from oneiric.ports.executor import Executor
from oneiric.runs.proof import ProofOutcome
from oneiric.validation.programs import own_programs
from oneiric.validation.providers.drift import ComparingDetector, ComparingDetectorSettings


@dataclass(frozen=True, slots=True)
class DriftSummary:
    """What was found, in words; `report` has all of it.

    >>> summary = DriftSummary(DriftReport(at="2026-11-20T09:30:00.000000Z"))
    >>> summary.has_drift, summary.outcome.value, summary.summary()
    (False, 'inconclusive', 'nothing was compared')
    """

    report: DriftReport

    @property
    def has_drift(self) -> bool:
        """Whether a difference is bad enough to count; see `outcome` for what was not checked."""
        return self.report.has_drift

    @property
    def outcome(self) -> ProofOutcome:
        """`pass`, `fail`, or `inconclusive` where something, or everything, was not checked."""
        return self.report.outcome

    @property
    def issues(self) -> list[str]:
        """Every difference that counts as drift, the worst first."""
        counted = [each for each in self.report.items if each.severity.reaches(self.report.fail_on)]
        return [_line(each) for each in counted]

    @property
    def recommendations(self) -> list[str]:
        """What to do about it, and about what could not be checked."""
        hints = [each.hint for each in self.report.items if each.hint]
        for each in self.report.unchecked:
            hint = f"; {each.hint}" if each.hint else ""
            hints.append(f"{each.place} could not be checked: {each.reason}{hint}")
        return list(dict.fromkeys(hints))

    def summary(self) -> str:
        """Return one line for all of it."""
        report = self.report
        compared = sum(report.checked.values())
        if not compared and not report.items and not report.unchecked:
            return "nothing was compared"
        parts = [f"{compared} compared", f"{len(self.issues)} drifted"]
        parts += [f"{len(report.unchecked)} not checked"] if report.unchecked else []
        parts += [f"{report.ignored} accepted"] if report.ignored else []
        return ", ".join(parts)


class DriftDetector:
    """Compare production with a repository, without a runtime around it.

    Each check opens what it needs, and closes it again.

    Args:
        prod_url: the address of production.
        repo_path: the repository.
        executor: who runs git and the like; processes of this machine when left out.
        ask: further fields of the question, such as `openapi`, `app`, `headers` or `values`.
    """

    def __init__(
        self,
        prod_url: str,
        repo_path: str | Path = ".",
        executor: Executor | None = None,
        **ask: Any,
    ) -> None:
        self.prod_url = prod_url
        self.repo_path = str(repo_path)
        self._executor = executor
        self._asked = {"prod_url": prod_url, "repo_path": str(repo_path), **ask}
        folder = Path(repo_path) / ".oneiric_cache" / "baselines"
        self._settings = ComparingDetectorSettings(baselines=folder)

    async def full_drift_check(
        self,
        routes: Iterable[str] | None = None,
        check_schema: bool | None = None,  # noqa: FBT001  the brief's own signature
        check_health: bool | None = None,  # noqa: FBT001
        check_version: bool | None = False,  # noqa: FBT001, FBT002
    ) -> DriftSummary:
        """Compare everything: true demands a kind, false leaves it out, None takes what applies.

        Without *routes*, those of the contract are compared.

        Raises:
            InvalidRequestError: says everything that is wrong with what was asked.
        """
        checks = {"schema": check_schema, "health": check_health, "version": check_version}
        return await self._detect(checks, routes)

    async def check_route_drift(self, routes: Iterable[str] | None = None) -> DriftSummary:
        """Compare routes: those, else those of the contract."""
        return await self._detect({**_NOTHING, "routes": True}, routes)

    async def check_schema_drift(self) -> DriftSummary:
        """Compare the OpenAPI documents and the database, one of them at least."""
        return await self._detect({**_NOTHING, "schema": True})

    async def check_health_endpoints(self) -> DriftSummary:
        """Ask whether production is well."""
        return await self._detect({**_NOTHING, "health": True})

    async def check_version_drift(self) -> DriftSummary:
        """Compare the commit that production tells with the repository's."""
        return await self._detect({**_NOTHING, "version": True})

    async def detect(self, asked: Mapping[str, JSONValue]) -> DriftReport:
        """Compare as *asked*, and return the whole report; what it leaves out is as it was made.

        Raises:
            InvalidRequestError: says everything that is wrong with what was asked.
        """
        told = {**self._asked, **asked}
        folder = str(told.get("repo_path") or ".")
        if "\0" not in folder:
            told["repo_path"] = folder = str(await asyncio.to_thread(Path(folder).resolve))
        detector = ComparingDetector(self._settings, executor=_Held(self._executor, folder))
        await detector.init()
        try:
            return await detector.detect(told)
        finally:
            await detector.cleanup()

    async def _detect(
        self, checks: Mapping[str, bool | None], routes: Iterable[str] | None = None
    ) -> DriftSummary:
        own = self._asked.get("checks", {})
        asked: dict[str, Any] = {"checks": {**own, **checks}}
        if routes is not None:
            asked["routes"] = list(routes)
        return DriftSummary(await self.detect(asked))


_NOTHING: Mapping[str, bool] = {
    "routes": False,
    "schema": False,
    "health": False,
    "version": False,
    "config": False,
}


class _Held:
    """Reach the executor that was given, or one of our own for one command, in *folder*."""

    def __init__(self, executor: Executor | None, folder: str) -> None:
        self._executor = executor
        self._folder = folder

    def use(self) -> AbstractAsyncContextManager[Executor]:
        """Return what holds it for one block."""
        given = self._executor
        return own_programs(self._folder) if given is None else nullcontext(given)


def _line(item: DriftItem) -> str:
    return f"{item.place}: {item.message}"
