"""What the proofs in a step's result say: a step that was done may have found what is not so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from oneiric.errors import JSONValue
from oneiric.runs.proof import ProofOutcome


@dataclass(frozen=True, slots=True)
class Finding:
    """What was checked, what came of it, and why if that is no pass."""

    outcome: str
    subject: str = ""
    error: str = ""
    check: str = ""

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.subject, self.error)))


def findings(result: JSONValue) -> tuple[Finding, ...]:
    """Return what the proofs of a result say, in their order; none where it holds none.

    >>> told = {"outcome": "fail", "digest": "sha256:0", "subject": "/users", "error": "it is 404"}
    >>> [str(each) for each in findings({"proofs": [told]})]
    ['/users: it is 404']
    """
    told = result.get("proofs") if isinstance(result, Mapping) else None
    return tuple(_read(told if isinstance(told, list) else []))


def _read(told: list[Any]) -> Iterator[Finding]:
    for each in told:
        if isinstance(each, Mapping) and "digest" in each and each.get("outcome") in _OUTCOMES:
            texts = (str(each.get(name) or "") for name in ("outcome", "subject", "error", "check"))
            yield Finding(*texts)


def refutation(found: tuple[Finding, ...]) -> dict[str, JSONValue] | None:
    """Return what was found not to be so, or not to be known, as errors are; None if all is so.

    Of several findings of one check the last counts.
    """
    last = {each.check or at: each for at, each in enumerate(found)}
    bad = [each for each in last.values() if each.outcome != ProofOutcome.PASSED]
    if not bad:
        return None
    is_known = any(each.outcome == ProofOutcome.FAILED for each in bad)
    code = "failed" if is_known else str(ProofOutcome.INCONCLUSIVE)
    message = "; ".join(str(each) or each.outcome for each in bad)
    return {"code": code, "message": message, "type": "Proof"}


_OUTCOMES = frozenset(map(str, ProofOutcome))
