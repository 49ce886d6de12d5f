"""The proof of what a check found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from oneiric.clock import rfc3339
from oneiric.documents import digest
from oneiric.errors import JSONValue
from oneiric.runs.body import Provenance
from oneiric.runs.proof import Proof, ProofOutcome
from oneiric.text.redaction import MASK, is_secret_name
from oneiric.validation.checks.grammar import is_number
from oneiric.validation.checks.judge import NOTHING, Finding
from oneiric.validation.checks.masks import Masks

if TYPE_CHECKING:
    from datetime import datetime

    from oneiric.validation.checks.analysis import Tally
    from oneiric.validation.checks.answer import Answer
    from oneiric.validation.checks.spec import LiveCheck

_MOST = 80
_ENCODED = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


@dataclass(slots=True, kw_only=True)
class Account:
    """What happened to a check, from its first attempt to its last.

    Args:
        attempts: how many requests were begun.
        retries: why there was more than one.
        answer: the last answer, if there was any.
        findings: what was found of it.
        silence: why there was none.
        unchecked: why the check could not be done at all.
        tally: the measurements, where there were several.
        overall: what was found of all measurements together.
    """

    attempts: int = 0
    retries: list[str] = field(default_factory=list)
    answer: Answer | None = None
    findings: Sequence[Finding] = ()
    silence: str = ""
    unchecked: str = ""
    tally: Tally | None = None
    overall: Sequence[Finding] = ()

    @property
    def outcome(self) -> ProofOutcome:
        """What was found; nothing that could not be checked is a pass."""
        if self.unchecked:
            return ProofOutcome.INCONCLUSIVE
        if self.tally is None:
            return self.outcome_of_findings
        verdict = self.tally.verdict or ProofOutcome.INCONCLUSIVE
        return verdict if verdict is not ProofOutcome.PASSED else _worst(self.overall, verdict)

    @property
    def outcome_of_findings(self) -> ProofOutcome:
        """What was found of the last answer alone."""
        if self.silence:
            return ProofOutcome.FAILED
        return _worst(self.findings, ProofOutcome.INCONCLUSIVE)

    @property
    def error(self) -> str:
        """Why it did not pass, or an empty text."""
        return self.error_by(_wrong)

    def error_by(self, told: Callable[[Finding], str]) -> str:
        """Why it did not pass, each finding in the words of *told*, or an empty text."""
        if self.outcome is ProofOutcome.PASSED:
            return ""
        wrong = [told(each) for each in (*self.findings, *self.overall) if not each.ok]
        reason = self.tally.reason if self.tally else ""
        return "; ".join(filter(None, (self.unchecked, reason, self.silence, *wrong)))

    def add(self, findings: Iterable[Finding]) -> None:
        """Add what was found later, which counts as what was found before."""
        if self.tally is None:
            self.findings = (*self.findings, *findings)
        else:
            self.overall = (*self.overall, *findings)


def _worst(findings: Sequence[Finding], alone: ProofOutcome) -> ProofOutcome:
    """Return the worst that was found, or *alone* where nothing was looked for."""
    found = {each.ok for each in findings}
    if False in found:
        return ProofOutcome.FAILED
    if None in found:
        return ProofOutcome.INCONCLUSIVE
    return ProofOutcome.PASSED if found else alone


def _wrong(each: Finding) -> str:
    if each.why:
        return f"{each.what}: {each.why}"
    if is_number(each.actual) and not is_secret_name(each.at):
        return f"{each.what} {each.expected}: it is {each.actual}"
    return f"{each.what}: it is not so"


def _shown(each: Finding, masks: Masks) -> str:
    """Return what is wrong with what was found, of which nothing shows that is secret."""
    actual = None if each.why else _actual(each, masks)
    if actual is None or actual == MASK or each.what.startswith(("status", "body")):
        return _wrong(each)
    expected = _expected(each, masks)
    if expected == "valid":
        return f"{each.what}: {actual}"
    asked = "" if expected in ("exists", "absent") else f" {_short(expected)}"
    return f"{each.what}{asked}: it is {_short(actual)}"


def _short(value: JSONValue) -> str:
    text = _ENCODED(value)
    return text if len(text) <= _MOST else f"{text[:_MOST]} …"


def proof_of(
    check: LiveCheck,
    account: Account,
    masks: Masks,
    *,
    at: datetime,
    user: str,
    by: Provenance,
    took_ms: float,
) -> Proof:
    """Return the proof of *account*, which holds no secret that *masks* know of."""
    answer = account.answer
    asked = masks.url(check.url)
    url = masks.url(answer.url) if answer and answer.url != check.url else asked
    outcome = account.outcome
    error = masks.text(account.error_by(partial(_shown, masks=masks)))
    facts: dict[str, JSONValue] = {
        "check": check.identity,
        "user": user,
        "duration_ms": answer.duration_ms if answer else took_ms,
        "attempts": account.attempts,
        "method": check.method,
        "status": answer.status if answer else None,
        "asserts": [_told(each, masks) for each in (*account.findings, *account.overall)],
        "curl": masks.curl(check, asked),
    }
    if error:
        facts["error"] = error
    if account.retries:
        facts["retries"] = [masks.text(each) for each in account.retries]
    if check.capture:
        facts["captures"] = sorted(check.capture)
    if account.tally is not None:
        facts["analysis"] = account.tally.as_json()
    if answer is not None and answer.redirect:
        facts["redirect"] = masks.url(answer.redirect)
    if answer is not None and answer.certificate_days is not None:
        facts["certificate_days"] = answer.certificate_days
    return Proof(
        claim=f"{check.method} {url} answers as expected",
        subject=url,
        kind=check.kind,
        outcome=outcome,
        at=rfc3339(at),
        by=by,
        digests=_digests(check, asked, answer, masks),
        excerpts={"response": masks.excerpt(answer)} if answer else {},
        facts=facts,
    )


def _told(each: Finding, masks: Masks) -> dict[str, JSONValue]:
    told: dict[str, JSONValue] = {
        "what": each.what,
        "expected": _expected(each, masks),
        "actual": _actual(each, masks),
        "ok": each.ok is True,
    }
    if each.why:
        told["why"] = masks.text(each.why)
    if each.ok is None:
        told["unchecked"] = True
    return told


def _expected(each: Finding, masks: Masks) -> JSONValue:
    if each.expected in ("exists", "absent", "valid"):
        return each.expected
    if isinstance(each.expected, list) and each.what == "status":
        return each.expected
    return masks.shown(each.expected, name=each.at)


def _actual(each: Finding, masks: Masks) -> JSONValue:
    if each.actual is NOTHING:
        return None
    if each.what.startswith("redirect"):
        return masks.url(str(each.actual))
    if is_secret_name(each.at):
        return MASK
    return masks.shown(each.actual, name=each.at)


def _digests(check: LiveCheck, url: str, answer: Answer | None, masks: Masks) -> dict[str, str]:
    """Return the digests of the request as it may be shown, and of the answer as it came."""
    request: dict[str, JSONValue] = {
        "method": check.method,
        "url": url,
        "headers": masks.headers(check.headers),
        "body": None,
    }
    if check.body is None:  # texts alone, whose canonical form is this one
        data = _ENCODED(request).encode()
        found = {"request": f"sha256:{hashlib.sha256(data).hexdigest()}"}
    else:
        found = {"request": digest({**request, "body": masks.body(check.body)})}
    if answer is not None:
        found["response"] = f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
    return found
