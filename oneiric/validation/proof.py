"""A proof as users of validation see it: a view of the kernel's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from oneiric.documents.copies import plain
from oneiric.errors import JSONValue
from oneiric.runs import proof as kernel

CUTOVER = "cutover."
"""How the names of steps begin, and of their checks, that every task gets."""

RESPONSE = "response"
"""Under which digest and excerpt of a proof the answer stands."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was tested, as whom, and what came of it.

    One that was made by hand, without `evidence`, is a claim: no gate counts it.

    >>> Proof("https://api.example.com/health", "test@example.com", "pass").passed
    True

    Args:
        endpoint: the URL, or the name of a local test.
        user_tested: as whom it was tested.
        result: `pass`, `fail` or `inconclusive`.
        response_code: the status of the answer.
        response_body: the answer, where it was JSON and short enough to keep; masked.
        error_message: why it did not pass.
        timestamp: when, as RFC 3339; empty for a claim.
        screenshot_path: the picture of a page, seen from the repository, where there is one.
        evidence: the proof of the kernel that this is a view of.
    """

    endpoint: str
    user_tested: str
    result: str
    response_code: int | None = None
    response_body: JSONValue = None
    error_message: str | None = None
    timestamp: str = ""
    screenshot_path: str | None = None
    evidence: kernel.Proof | None = field(default=None, repr=False, compare=False)

    @property
    def passed(self) -> bool:
        """Whether what was claimed was found to be so."""
        return self.result == kernel.ProofOutcome.PASSED

    @property
    def check(self) -> str:
        """The id of the check, by which repeats of it are known; empty for a mere claim."""
        return str(self.evidence.facts.get("check", "")) if self.evidence else ""

    @classmethod
    def of(cls, proof: kernel.Proof) -> Proof:
        """Return the view of *proof*, whose facts name the status, the user and the error."""
        facts: Mapping[str, Any] = proof.facts
        return cls(
            endpoint=proof.subject,
            user_tested=str(facts.get("user", "")),
            result=str(proof.outcome),
            response_code=facts.get("status"),
            response_body=_json(proof.excerpts.get(RESPONSE, "")),
            error_message=facts.get("error") or None,
            timestamp=proof.at,
            screenshot_path=facts.get("screenshot"),
            evidence=proof,
        )

    def as_json(self) -> dict[str, JSONValue]:
        """Return the fields that users know, and the digest of the evidence."""
        return {
            "endpoint": self.endpoint,
            "user_tested": self.user_tested,
            "result": self.result,
            "response_code": self.response_code,
            "response_body": plain(self.response_body),
            "error_message": self.error_message,
            "timestamp": self.timestamp,
            "screenshot_path": self.screenshot_path,
            "check": self.check,
            "digest": self.evidence.digest if self.evidence else "",
        }


def proved(proofs: Iterable[Proof]) -> int:
    """Return how many different checks passed; those that every task gets prove none.

    Which of them ask the same by other names, a gate alone tells.
    """
    passed = {each.check or each.endpoint for each in proofs if each.passed}
    return sum(not each.startswith(CUTOVER) for each in passed)


def _json(text: str) -> JSONValue:
    try:
        value: JSONValue = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value
