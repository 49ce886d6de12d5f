"""Judge many measurements as one: how many may fail, and how many have to succeed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from oneiric.errors import JSONValue
from oneiric.runs.proof import ProofOutcome
from oneiric.validation.checks.judge import percentile
from oneiric.validation.checks.spec import Analysis

HISTORY = 10
"""How many of the last measurements a proof tells of."""


class Phase(StrEnum):
    """What one measurement found."""

    SUCCESSFUL = "successful"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"


@dataclass(slots=True)
class Tally:
    """Count measurements, and tell when no further one could change the outcome.

    >>> tally = Tally(Analysis(count=3, failure_limit=1))
    >>> tally.add(Phase.FAILED), tally.add(Phase.FAILED), tally.verdict
    (False, True, <ProofOutcome.FAILED: 'fail'>)
    """

    policy: Analysis
    counts: Counter[Phase] = field(default_factory=Counter)
    samples: list[float] = field(default_factory=list)
    last: list[JSONValue] = field(default_factory=list)
    errors_in_a_row: int = 0
    reason: str = ""
    verdict: ProofOutcome | None = None

    def add(self, phase: Phase, *, told: JSONValue = None) -> bool:
        """Count one measurement, and tell whether it was the last one that is needed."""
        self.counts[phase] += 1
        self.errors_in_a_row = self.errors_in_a_row + 1 if phase is Phase.ERROR else 0
        self.last = [*self.last[1 - HISTORY :], told]
        policy, counts = self.policy, self.counts
        if counts[Phase.FAILED] > policy.failure_limit:
            return self._end(
                ProofOutcome.FAILED, f"more than {policy.failure_limit} measurements failed"
            )
        if self.errors_in_a_row > policy.error_limit:
            return self._end(
                ProofOutcome.FAILED, f"more than {policy.error_limit} in a row got no answer"
            )
        if counts[Phase.INCONCLUSIVE] > policy.inconclusive_limit:
            what = f"more than {policy.inconclusive_limit} measurements were inconclusive"
            return self._end(ProofOutcome.INCONCLUSIVE, what)
        if counts.total() < policy.count:
            return False
        if counts[Phase.SUCCESSFUL] < policy.needed:
            what = f"fewer than {policy.needed} measurements succeeded"
            return self._end(ProofOutcome.INCONCLUSIVE, what)
        return self._end(ProofOutcome.PASSED, "")

    def _end(self, verdict: ProofOutcome, reason: str) -> bool:
        self.verdict, self.reason = verdict, reason
        return True

    def as_json(self) -> dict[str, JSONValue]:
        """Return how many measurements there were of each phase, and the last ones."""
        counts: dict[str, JSONValue] = {str(phase): self.counts[phase] for phase in Phase}
        durations: dict[str, JSONValue] = {
            f"p{percent}": percentile(self.samples, percent, unanswered=self.counts[Phase.ERROR])
            for percent in (50, 95, 100)
            if self.samples
        }
        return {
            "count": self.policy.count,
            "measured": self.counts.total(),
            **counts,
            "duration_ms": durations,
            "reason": self.reason,
            "last": list(self.last),
        }


def phase_of(*, succeeds: bool | None, fails: bool | None) -> Phase:
    """Return what a measurement found, None standing for a condition that was not given.

    >>> str(phase_of(succeeds=False, fails=None)), str(phase_of(succeeds=False, fails=False))
    ('failed', 'inconclusive')
    """
    if fails:
        return Phase.FAILED
    if succeeds:
        return Phase.SUCCESSFUL
    if succeeds is None:
        return Phase.INCONCLUSIVE if fails is None else Phase.SUCCESSFUL
    return Phase.FAILED if fails is None else Phase.INCONCLUSIVE
