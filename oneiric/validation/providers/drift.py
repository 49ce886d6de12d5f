"""Drift, found by comparing production with the repository and with what was recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Protocol, cast

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from oneiric.clock import Clock, SystemClock, rfc3339
from oneiric.core.health import HealthReport
from oneiric.errors import JSONValue, NotFoundError, Problem
from oneiric.ports.drift import DriftReport, Unchecked
from oneiric.ports.errors import InvalidRequestError, UnavailableError
from oneiric.ports.executor import Command, CommandResult, Executor, OutputCallback
from oneiric.tls import read_trust
from oneiric.validation.drift.accepting import check_overrides, judged, read_accepted
from oneiric.validation.drift.baseline import DEFAULT, Accepted, Baseline, Baselines
from oneiric.validation.drift.checkers import checkers, run_checkers
from oneiric.validation.drift.cleaning import Cleaner
from oneiric.validation.drift.findings import Checker
from oneiric.validation.drift.probe import Prober
from oneiric.validation.drift.question import DriftQuestion, read_question
from oneiric.validation.drift.recording import look
from oneiric.validation.drift.view import View
from oneiric.validation.hosts import Hosts
from oneiric.validation.providers.database import database_drift
from oneiric.validation.resolving import AllowedResolver

BACKEND = "drift"


FURTHER: Mapping[str, Checker] = MappingProxyType({"database": database_drift})
"""Who compares kinds that need more than requests and files."""


class ComparingDetectorSettings(BaseModel):
    """Bound what a detection may do, and say where baselines are kept.

    `allow_hosts` are asked besides production, for every question. `ca_file` names the
    authorities to trust instead of the system's. `database_url` is the database that is compared
    where a question names none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    baselines: Path = Path(".oneiric_cache/baselines")
    allow_hosts: tuple[str, ...] = ()
    max_at_once: int = Field(default=8, ge=1, le=100)
    ca_file: Path | None = None
    database_url: SecretStr | None = None


class ExecutorLink(Protocol):
    """What reaches an executor, as a `Link` on `adapter:executor` does."""

    def use(self) -> AbstractAsyncContextManager[Executor]:
        """Return what holds the executor for one block."""
        ...


class ComparingDetector:
    """Compare production with the repository: its routes, schema, health, version, configuration.

    The question's fields are those of `oneiric.validation.drift.question.DriftQuestion`. Production
    is asked by GET, HEAD and OPTIONS only, at allowed hosts, a few requests at once.

    Args:
        settings: what a detection may do.
        executor: runs git, and what reads the routes of an application.
        further: who compares kinds that this does not know, or knows worse.
        clock: tells when.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset(
        {"routes", "openapi", "database", "health", "version", "config", "baseline"}
    )

    def __init__(
        self,
        settings: ComparingDetectorSettings | None = None,
        *,
        executor: ExecutorLink,
        further: Mapping[str, Checker] = FURTHER,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings or ComparingDetectorSettings()
        self._executor = _Linked(executor)
        self._further = further
        self._clock = clock or SystemClock()
        self._session: aiohttp.ClientSession | None = None
        self._baselines = Baselines(self._settings.baselines)

    async def init(self) -> None:
        """Read the authorities to trust, and open what asks production.

        Raises:
            InvalidRequestError: `ca_file` cannot be read or holds no certificate.
        """
        if self._session is not None:
            return
        trust = await read_trust(self._settings.ca_file, backend=BACKEND)
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    ssl=trust,
                    limit=self._settings.max_at_once,
                    resolver=AllowedResolver(Hosts(listed=self._settings.allow_hosts)),
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                trust_env=False,
            )

    async def health(self) -> HealthReport:
        """Tell whether it is up; whom it would ask is known by the question alone."""
        is_up = self._session is not None
        return HealthReport(is_up, detail="" if is_up else "the detector is not up")

    async def cleanup(self) -> None:
        """Close all connections; detections under way find production silent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def detect(self, asked: Mapping[str, JSONValue]) -> DriftReport:
        """Compare, and return what was found.

        Raises:
            InvalidRequestError: the question itself is wrong; nothing was compared.
            UnavailableError: the detector is not up.
        """
        question = self._asked(asked)
        return await self._detect(question, self._view(question))

    def problems(self, asked: Mapping[str, JSONValue]) -> list[Problem]:
        """Return what is wrong with a question, before anything is compared."""
        try:
            _checked(asked)
        except InvalidRequestError as error:
            return [Problem("", error.reason, BACKEND)]
        return []

    async def record(self, asked: Mapping[str, JSONValue]) -> Baseline:
        """Look at production as *asked*, and keep what it is like as the baseline that it names.

        Raises:
            InvalidRequestError: the question itself is wrong.
            UnavailableError: production gives no answer, or the baseline cannot be kept.
        """
        question = self._asked(asked)
        seen = await look(self._view(question))
        told = cast("dict[str, JSONValue]", Cleaner(question).value(seen.as_json()))
        baseline = Baseline.model_validate(told)
        await self._keep(baseline)
        return baseline

    async def show(self, name: str = DEFAULT) -> Baseline:
        """Return the baseline of this name.

        Raises:
            NotFoundError: none was recorded.
            InvalidError: what is there is no baseline.
        """
        return await asyncio.to_thread(self._baselines.read, name)

    async def accept(self, asked: Mapping[str, JSONValue]) -> Baseline:
        """Compare, and note every difference in the baseline as one that is as it should be.

        Raises:
            InvalidRequestError: the question itself is wrong.
            NotFoundError: no baseline was recorded.
        """
        question = self._asked(asked)
        view = self._view(question)
        kept = await view.baseline()
        if kept.baseline is None:
            hint = "record it first"
            raise NotFoundError("baseline", question.baseline or DEFAULT, hint=hint)
        report = await self._detect(question, view)
        accepted = [Accepted.of(each, report.at) for each in report.items]
        told = [*kept.baseline.accepted, *accepted]
        baseline = kept.baseline.model_copy(update={"accepted": told})
        await self._keep(baseline)
        return baseline

    def _asked(self, asked: Mapping[str, JSONValue]) -> DriftQuestion:
        question, url = _checked(asked), self._settings.database_url
        if question.database.url is not None or url is None:
            return question
        database = question.database.model_copy(update={"url": url})
        return question.model_copy(update={"database": database})

    async def _detect(self, question: DriftQuestion, view: View) -> DriftReport:
        limit = question.total_timeout + question.timeout
        table = checkers(view, self._further)
        items, unchecked, checked, absent = await run_checkers(
            table, question, self._executor, limit=limit
        )
        ignored, problem = await read_accepted(question)
        if problem:
            file = question.ignore or "ignore file"
            unchecked.append(Unchecked(kind="ignore", place=file, reason=problem))
        kept = await view.baseline()
        if kept.is_broken and question.checks.config is False:
            unchecked.append(Unchecked(kind="config", place="baseline", reason=kept.problem))
        cleaner = Cleaner(question)
        counted, left_out = judged(
            map(cleaner.item, items),
            question,
            ignored=ignored,
            baseline=kept.baseline,
            today=view.at[:10],
        )
        return DriftReport(
            at=view.at,
            items=tuple(counted),
            unchecked=tuple(map(cleaner.unchecked, unchecked)),
            checked=checked,
            absent={kind: cleaner.text(reason) for kind, reason in absent.items()},
            ignored=left_out,
            fail_on=question.fail_on,
        )

    def _view(self, question: DriftQuestion) -> View:
        if self._session is None:
            raise UnavailableError(BACKEND, "the detector is not up")
        prober = Prober(
            self._session,
            question,
            most_at_once=self._settings.max_at_once,
            allow=self._settings.allow_hosts,
        )
        at = rfc3339(self._clock.now())
        return View(
            question, prober=prober, executor=self._executor, baselines=self._baselines, at=at
        )

    async def _keep(self, baseline: Baseline) -> None:
        try:
            await asyncio.to_thread(self._baselines.write, baseline)
        except OSError as error:
            reason = f"the baseline cannot be kept: {error.strerror}"
            raise UnavailableError(BACKEND, reason) from error


class _Linked:
    """An executor that is held for each call only, so that it can be swapped between them."""

    capabilities: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, link: ExecutorLink) -> None:
        self._link = link

    async def run(
        self, command: Command, *, on_output: OutputCallback | None = None
    ) -> CommandResult:
        """Run it on whoever serves now."""
        async with self._link.use() as executor:
            return await executor.run(command, on_output=on_output)


def _checked(asked: Mapping[str, JSONValue]) -> DriftQuestion:
    question = read_question(asked)
    check_overrides(question)
    return question
