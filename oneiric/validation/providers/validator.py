"""The built-in validator: asks services that run, and gives a proof of each answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from importlib_metadata import version
from pydantic import BaseModel, ConfigDict, Field

from oneiric.clock import Clock, SystemClock, rfc3339
from oneiric.core.health import HealthReport
from oneiric.errors import JSONValue, Problem
from oneiric.expressions import ExpressionError
from oneiric.ports.errors import InvalidRequestError, PermissionDeniedError, UnavailableError
from oneiric.ports.validator import Evidence
from oneiric.runs.body import Provenance
from oneiric.runs.proof import Proof, ProofOutcome
from oneiric.validation.addresses import shown_address
from oneiric.validation.checks.accounts import proof_of
from oneiric.validation.checks.ask import Asker
from oneiric.validation.checks.attempts import Contract, LiveProver
from oneiric.validation.checks.captures import ORIGIN, filled, template
from oneiric.validation.checks.masks import Masks, secrets_among
from oneiric.validation.checks.pace import Pace
from oneiric.validation.checks.reading import (
    BACKEND,
    absolute,
    check_problems,
    read_check,
    refuse,
)
from oneiric.validation.checks.spec import SAFE, LiveCheck, SpecCheck, UICheck
from oneiric.validation.hosts import HostRefusedError, Hosts
from oneiric.validation.providers.browser import BrowserProver, BrowserSettings
from oneiric.validation.providers.contracts import RepositoryContract
from oneiric.validation.providers.specs import SpecProver

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.ports.executor import Executor

PROVIDER = "live"


class LiveValidatorSettings(BaseModel):
    """Whom checks may ask, how many at once, and as whom."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    prod_url: str = ""
    """The address of production, below which checks name paths; its host may be asked."""
    repo_path: str = ""
    """The repository, where contracts and files of tests are; empty for the working folder."""
    test_user: str = "test@example.com"
    """As whom checks say that they test; nobody is logged in by it."""
    allow_hosts: list[str] = Field(default_factory=list, max_length=1_000)
    """Hosts that may be asked besides production: `host` on 80 and 443, `host:port`, `*.host`."""
    read_only: bool = False
    """Whether only GET, HEAD and OPTIONS may be sent."""
    max_concurrent: int = Field(default=20, ge=1, le=1_000)
    """How many requests are under way at once."""
    requests_per_second: float = Field(default=200.0, ge=0, le=100_000)
    """How many requests one host gets in a second; 0 for any number."""
    user_agent: str = Field(default="oneiric-validation", min_length=1, max_length=200)
    """What services are told of who asks."""
    ca_file: Path | None = None
    """The authorities to trust besides the system's, for private ones; a browser has its own."""
    browser: BrowserSettings = BrowserSettings()
    """How pages are looked at."""


class Prover(Protocol):
    """Do checks of one kind that is not `live`."""

    async def prove(
        self,
        check: Any,
        *,
        user: str,
        prod_url: str,
        repo_path: str,
        captured: Mapping[str, JSONValue],
    ) -> Proof:
        """Do one check and return its proof, whatever it found."""

    async def cleanup(self) -> None:
        """Let go of everything that it began."""


class LiveValidator:
    """Do live checks over one pool of connections; other kinds go to whoever does those.

    A check that fails, or that cannot be done, is a proof that says so.

    Args:
        settings: whom checks may ask.
        executor: who runs programs, for the provers of other kinds.
        provers: who does the checks of each other kind; else a browser, and Playwright for Node
            where there is an *executor*.
        contract: who holds answers to OpenAPI documents; else those of the repository.
        clock: the source of time.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({PROVIDER, "ui", "spec"})

    def __init__(
        self,
        settings: LiveValidatorSettings | None = None,
        executor: Link[Executor] | None = None,
        *,
        provers: Mapping[str, Prover] | None = None,
        contract: Contract | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings = settings or LiveValidatorSettings()
        self._clock = clock or SystemClock()
        self._by = Provenance(PROVIDER, version("oneiric"))
        self._provers = self._usual(executor) if provers is None else provers
        self._hosts = Hosts(settings.prod_url, settings.allow_hosts)
        self._asker = Asker(
            self._hosts,
            self._clock,
            user_agent=settings.user_agent,
            max_connections=settings.max_concurrent,
            ca_file=settings.ca_file,
        )
        self._live = LiveProver(
            asker=self._asker,
            pace=Pace(settings.requests_per_second, self._clock),
            slots=asyncio.Semaphore(settings.max_concurrent),
            clock=self._clock,
            contract=contract or RepositoryContract(Path(settings.repo_path)),
        )

    def _usual(self, executor: Link[Executor] | None) -> dict[str, Prover]:
        settings, clock, by = self._settings, self._clock, self._by
        hosts = [*settings.browser.allow_hosts, *settings.allow_hosts]
        browser = settings.browser.model_copy(update={"allow_hosts": hosts})
        found: dict[str, Prover] = {"ui": BrowserProver(browser, clock=clock, by=by)}
        if executor is not None:
            found["spec"] = SpecProver(executor, clock=clock, by=by)
        return found

    async def init(self) -> None:
        """Make the pool of connections.

        Raises:
            InvalidRequestError: `ca_file` cannot be read or holds no certificate.
        """
        await self._asker.open()

    async def health(self) -> HealthReport:
        """Tell whether it is up; nobody is asked, for production is only asked by checks."""
        up = self._asker.is_open
        return HealthReport(up, detail="" if up else "the validator is not up")

    async def cleanup(self) -> None:
        """Close every connection, and end what the provers began."""
        await self._asker.close()
        for prover in self._provers.values():
            await prover.cleanup()

    def problems(self, checks: Sequence[Mapping[str, JSONValue]]) -> list[Problem]:
        """Return everything that is wrong with *checks*, before any of them is done."""
        read, problems = check_problems(checks)
        for number, check in enumerate(read):
            if isinstance(check, LiveCheck):
                problems += self._refusals(number, check)
            elif check is not None and (why := self._refusal(check)):
                key = "path" if isinstance(check, SpecCheck) else "url"
                problems.append(Problem(f"{number}.{key}", why, ORIGIN))
        return problems

    def _refusal(self, check: UICheck | SpecCheck) -> str:
        prover = self._provers.get(check.kind)
        if isinstance(prover, BrowserProver) and isinstance(check, UICheck):
            return prover.refusal(check, self._settings.prod_url)
        if isinstance(prover, SpecProver) and isinstance(check, SpecCheck):
            return prover.refusal(check)
        return ""

    def _refusals(self, number: int, check: LiveCheck) -> list[Problem]:
        found = []
        if self._settings.read_only and check.method not in SAFE:
            what = f"{check.method} may not be sent: only {', '.join(sorted(SAFE))} may"
            found.append(Problem(f"{number}.method", what, ORIGIN))
        try:
            if "${" not in check.url:
                self._hosts.check(absolute(check, self._settings.prod_url).url)
            else:
                template(check)
        except ExpressionError:
            pass  # it is told with the captures
        except (InvalidRequestError, HostRefusedError) as error:
            found.append(Problem(f"{number}.url", error.message, ORIGIN))
        return found

    async def prove(
        self,
        check: Mapping[str, JSONValue],
        *,
        captured: Mapping[str, JSONValue] = MappingProxyType({}),
    ) -> Evidence:
        """Do one check and return what it found.

        Raises:
            InvalidRequestError: the check itself is wrong; nothing was sent.
            PermissionDeniedError: it asks for a host or method that is not allowed.
            UnavailableError: the validator is not up.
        """
        return await self.prove_check(read_check(check), captured=captured)

    async def prove_check(
        self,
        check: LiveCheck | UICheck | SpecCheck,
        *,
        captured: Mapping[str, JSONValue] = MappingProxyType({}),
    ) -> Evidence:
        """Do one check that was read already; see `prove`."""
        if isinstance(check, LiveCheck):
            return await self._prove_live(check, captured)
        prover = self._provers.get(check.kind)
        if prover is None:
            what = f"nobody here does checks of kind {check.kind}"
            return Evidence(proof=self.undone(check, what))
        settings = self._settings
        proof = await prover.prove(
            check,
            user=settings.test_user,
            prod_url=settings.prod_url,
            repo_path=settings.repo_path,
            captured=captured,
        )
        return Evidence(proof=proof)

    async def _prove_live(self, declared: LiveCheck, captured: Mapping[str, JSONValue]) -> Evidence:
        try:
            check = absolute(filled(declared, captured), self._settings.prod_url)
        except ExpressionError as error:
            raise InvalidRequestError(BACKEND, f"the check is wrong: {error.message}") from None
        refuse(check)
        if self._settings.read_only and check.method not in SAFE:
            raise PermissionDeniedError(BACKEND, f"{check.method} may not be sent: it is read-only")
        if not self._asker.is_open:
            raise UnavailableError(BACKEND, "it is not up")
        at, begun = self._clock.now(), self._clock.monotonic()
        try:
            account, taken = await self._live.prove(check)
        except HostRefusedError as error:
            raise PermissionDeniedError(BACKEND, error.message, hint=error.hint) from error
        proof = proof_of(
            check,
            account,
            Masks(check, [*secrets_among(captured), *secrets_among(taken)]),
            at=at,
            user=self._settings.test_user,
            by=self._by,
            took_ms=round((self._clock.monotonic() - begun) * 1e3, 3),
        )
        return Evidence(proof=proof, captured=taken)

    def undone(self, check: LiveCheck | UICheck | SpecCheck, why: str) -> Proof:
        """Return the proof of a check that was not done, and why; it is no pass."""
        subject = check.path if isinstance(check, SpecCheck) else shown_address(check.url)
        return Proof(
            claim=f"{subject} is as expected",
            subject=subject,
            kind="live" if isinstance(check, LiveCheck) else "ui",
            outcome=ProofOutcome.INCONCLUSIVE,
            at=rfc3339(self._clock.now()),
            by=self._by,
            facts={
                "check": check.identity,
                "user": self._settings.test_user,
                "duration_ms": 0,
                "attempts": 0,
                "error": why,
            },
        )
