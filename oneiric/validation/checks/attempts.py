"""Do one live check: ask as often as it says, and gather what was found."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from oneiric.backoff import Backoff
from oneiric.errors import JSONValue, OneiricError, Problem
from oneiric.expressions import Condition, ExpressionError
from oneiric.ports.errors import DependencyMissingError
from oneiric.ports.http import retry_after
from oneiric.runs.proof import ProofOutcome
from oneiric.validation.checks.accounts import Account
from oneiric.validation.checks.analysis import Phase, Tally, phase_of
from oneiric.validation.checks.answer import Answer, UnansweredError
from oneiric.validation.checks.captures import Source
from oneiric.validation.checks.judge import (
    NOTHING,
    Finding,
    judged,
    percentiles,
    status_fits,
)
from oneiric.validation.checks.spec import Conformance, is_status
from oneiric.validation.hosts import begin_of
from oneiric.validation.providers.patterns import PatternTooSlowError

if TYPE_CHECKING:
    from oneiric.clock import Clock
    from oneiric.validation.checks.ask import Asker
    from oneiric.validation.checks.pace import Pace
    from oneiric.validation.checks.spec import Analysis, LiveCheck, Retries

LONGEST_WAIT_SECONDS = 600.0
"""For how long at most a check waits before its next attempt; a service may ask for more."""
_INLINE_BYTES = 64 << 10
_SLOW = frozenset({"matches", "valid"})


class Contract(Protocol):
    """Hold an answer to the document that a check names."""

    def __call__(self, wanted: Conformance, *, method: str, answer: Answer) -> Sequence[Problem]:
        """Return what about *answer* the document does not allow.

        Raises:
            OneiricError: there is no such document, it cannot be read, or what that takes is
                not installed: the check is inconclusive.
        """


@dataclass(frozen=True, slots=True)
class LiveProver:
    """Do live checks, a bounded number at once; who asks decides which."""

    asker: Asker
    pace: Pace
    slots: asyncio.Semaphore
    clock: Clock
    contract: Contract | None = None

    async def prove(self, check: LiveCheck) -> tuple[Account, dict[str, JSONValue]]:
        """Return what happened, and what was captured; nothing is unless the check passed.

        Raises:
            HostRefusedError: its host may not be asked; nothing was sent.
            InvalidRequestError: it cannot be sent.
        """
        account = Account()
        taken: dict[str, JSONValue] = {}
        if check.analysis is None:
            await self._tried(check, account)
        else:
            await self._analysed(check, account)
        if check.capture and account.outcome is ProofOutcome.PASSED:
            findings, taken = await asyncio.to_thread(_captured, check, account.answer)
            account.add(findings)
            taken = taken if all(each.ok for each in findings) else {}
        return account, taken

    async def _tried(self, check: LiveCheck, account: Account) -> None:
        """Ask until the check passes, or there is no reason to ask again."""
        policy = check.retry
        while True:
            silence = await self._once(check, account)
            reason = _again(policy, account, silence)
            if not reason or account.attempts >= policy.attempts:
                return
            backoff = Backoff(base_seconds=policy.delay_seconds, max_seconds=LONGEST_WAIT_SECONDS)
            pause = backoff.delay(account.attempts)
            asked = retry_after(account.answer.headers) if account.answer else None
            if asked is not None and asked > LONGEST_WAIT_SECONDS:
                account.retries.append(f"{reason}, and no sooner than in {asked:g} s: given up")
                return
            account.retries.append(reason)
            await self.clock.sleep(max(pause, asked or 0.0))

    async def _analysed(self, check: LiveCheck, account: Account) -> None:
        """Measure until the outcome is certain."""
        policy = check.analysis
        assert policy is not None
        account.tally = tally = Tally(policy)
        conditions = _Conditions.of(policy)
        if policy.initial_delay_seconds:
            await self.clock.sleep(policy.initial_delay_seconds)
        begin = self.clock.monotonic()
        is_done = False
        while not is_done:
            silence = await self._once(check, account, percentiles=False)
            answer = account.answer
            if answer is None:
                phase, why = Phase.ERROR, account.silence
            else:
                tally.samples.append(answer.duration_ms)
                phase, why = _phase(account, answer, conditions)
            told = _measurement(phase, answer, why if not silence else silence.message)
            is_done = tally.add(phase, told=told)
            due = begin + policy.interval_seconds * account.attempts
            if not is_done and (pause := due - self.clock.monotonic()) > 0:
                await self.clock.sleep(pause)
        unanswered = tally.counts[Phase.ERROR]
        account.overall = tuple(percentiles(check, tally.samples, unanswered=unanswered))

    async def _once(
        self, check: LiveCheck, account: Account, *, percentiles: bool = True
    ) -> UnansweredError | None:
        """Ask once, and note what was found; return why there was no answer."""
        account.attempts += 1
        account.answer, account.findings, account.silence = None, (), ""
        await self.pace.take(self.slots, begin_of(check.url))
        try:
            account.answer = answer = await self.asker.ask(check)
        except UnansweredError as error:
            account.silence = error.message
            return error
        finally:
            self.slots.release()
        judge = partial(self._judged, check, answer, percentiles=percentiles)
        account.findings = await asyncio.to_thread(judge) if _is_slow(check, answer) else judge()
        return None

    def _judged(
        self, check: LiveCheck, answer: Answer, *, percentiles: bool
    ) -> tuple[Finding, ...]:
        findings = tuple(judged(check, answer, percentiles=percentiles))
        if check.conforms_to is None:
            return findings
        return (*findings, self._conforms(check, check.conforms_to, answer))

    def _conforms(self, check: LiveCheck, wanted: Conformance, answer: Answer) -> Finding:
        what = "conforms_to"
        if self.contract is None:
            why = "nobody here reads contracts"
            return Finding(what, wanted.document, NOTHING, ok=None, why=why)
        try:
            problems = self.contract(wanted, method=check.method, answer=answer)
        except OneiricError as error:
            return Finding(what, wanted.document, NOTHING, ok=None, why=error.message)
        told = "; ".join(f"{each.key}: {each.what}" for each in problems)
        return Finding(what, wanted.document, told or "it does", ok=not problems, why=told)


def _is_slow(check: LiveCheck, answer: Answer) -> bool:
    """Tell whether others should run while the answer is judged."""
    if len(answer.body) > _INLINE_BYTES or check.conforms_to is not None:
        return True
    return bool(check.asserts) and any(each.op in _SLOW or "(" in each.at for each in check.asserts)


def _again(policy: Retries, account: Account, silence: UnansweredError | None) -> str:
    """Return why a check is to be tried again, or an empty text."""
    if silence is not None:
        return silence.message if silence.kind in policy.on else ""
    if account.outcome is ProofOutcome.PASSED or account.answer is None:
        return ""
    status = account.answer.status
    if any(is_status(on) and status_fits(status, on) for on in policy.on if _can_be(on)):
        return f"it answered {status}"
    return account.error if "assert" in policy.on else ""


def _can_be(on: object) -> bool:
    return on not in ("timeout", "connection", "assert")


@dataclass(frozen=True, slots=True)
class _Conditions:
    """What an analysis judges a measurement by, and which names they speak of."""

    success: Condition | None
    failure: Condition | None
    names: frozenset[str]

    @classmethod
    def of(cls, policy: Analysis) -> _Conditions:
        success, failure = (
            Condition.parse(text) if text else None for text in (policy.success, policy.failure)
        )
        given = [each for each in (success, failure) if each is not None]
        names = frozenset(path[0] for each in given for path in each.references)
        return cls(success, failure, names)

    @property
    def are_none(self) -> bool:
        return self.success is None and self.failure is None

    def unspoken(self, findings: Sequence[Finding]) -> list[Finding]:
        """Return the findings that have to be so besides, for no condition speaks of them."""
        if "ok" in self.names:
            return []
        return [each for each in findings if each.what != "status" or "status" not in self.names]


def _phase(account: Account, answer: Answer, conditions: _Conditions) -> tuple[Phase, str]:
    """Return what one measurement found, and why it is no success."""
    outcome = account.outcome_of_findings
    if conditions.are_none:
        return _PHASES[outcome], account.error
    scope = answer.scope(ok=outcome is ProofOutcome.PASSED)
    success, failure = conditions.success, conditions.failure
    try:
        succeeds = None if success is None else success.evaluate(scope)
        fails = None if failure is None else failure.evaluate(scope)
    except ExpressionError as error:
        return Phase.INCONCLUSIVE, error.message
    phase = phase_of(succeeds=succeeds, fails=fails)
    if phase is not Phase.SUCCESSFUL:
        return phase, _CONDITIONS[phase]
    besides = Account(findings=conditions.unspoken(account.findings))
    return (_PHASES[besides.outcome], besides.error) if besides.findings else (phase, "")


_PHASES: Mapping[ProofOutcome, Phase] = MappingProxyType(
    {
        ProofOutcome.PASSED: Phase.SUCCESSFUL,
        ProofOutcome.FAILED: Phase.FAILED,
        ProofOutcome.INCONCLUSIVE: Phase.INCONCLUSIVE,
    }
)
_CONDITIONS: Mapping[Phase, str] = MappingProxyType(
    {
        Phase.FAILED: "the condition says so",
        Phase.INCONCLUSIVE: "neither condition holds",
    }
)


def _measurement(phase: Phase, answer: Answer | None, why: str) -> dict[str, JSONValue]:
    told: dict[str, JSONValue] = {"phase": str(phase)}
    if answer is not None:
        told |= {"status": answer.status, "duration_ms": answer.duration_ms}
    return {**told, "why": why} if why else told


def _captured(
    check: LiveCheck, answer: Answer | None
) -> tuple[list[Finding], dict[str, JSONValue]]:
    """Return what could be captured, and a finding for each; none of them shows a value."""
    findings: list[Finding] = []
    ok: bool | None
    taken: dict[str, JSONValue] = {}
    for name, text in check.capture.items():
        value, ok, why = None, False, "it is not there"
        try:
            value = Source.of(text).take(answer) if answer else None
        except (DependencyMissingError, PatternTooSlowError) as error:
            ok, why = None, "; ".join(filter(None, (error.message, error.hint)))
        except OneiricError as error:
            why = error.message
        if value is not None:
            taken[name], ok, why = value, True, ""
        findings.append(Finding(f"capture {name}", "exists", NOTHING, ok=ok, why=why))
    return findings, taken
