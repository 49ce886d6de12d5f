"""Exclude what fails its health again and again, for longer each time."""

from __future__ import annotations

from dataclasses import dataclass, field

from oneiric.backoff import Backoff
from oneiric.core.decision import Reason, Rejection
from oneiric.core.resolver import Resolver


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinePolicy:
    """After how many failures in a row an offer is excluded, and for how long."""

    failures: int = 3
    backoff: Backoff = field(
        default_factory=lambda: Backoff(base_seconds=5.0, factor=2.0, max_seconds=300.0)
    )


class Quarantine:
    """Count failures of offers and keep the bad ones out of resolution.

    An offer that was excluded before is excluded again, for longer, at its first failure,
    until a probe finds it healthy. Coming up is not enough: what comes up well and fails
    soon after would otherwise be tried at the same pace for ever.
    """

    def __init__(self, resolver: Resolver, policy: QuarantinePolicy) -> None:
        self._resolver = resolver
        self._policy = policy
        self._excluded: set[str] = set()
        self._failures: dict[str, int] = {}
        self._terms: dict[str, int] = {}

    def started(self, offer: str) -> None:
        """End a row of failures: the offer came up."""
        self._failures.pop(offer, None)

    def passed(self, offer: str) -> None:
        """Forget all failures of an offer that a probe found healthy."""
        self._failures.pop(offer, None)
        self._terms.pop(offer, None)

    def failed(self, offer: str, reason: str) -> float:
        """Count a failure; when it is one too many, exclude the offer.

        Failures while it is excluded do not count.

        Returns:
            The seconds after which to `release` it, or 0.0 when nothing changed.
        """
        if offer in self._excluded:
            return 0.0
        failures = self._failures[offer] = self._failures.get(offer, 0) + 1
        term = self._terms.get(offer, 0)
        if not term and failures < self._policy.failures:
            return 0.0
        self._terms[offer] = term + 1
        self._excluded.add(offer)
        seconds = self._policy.backoff.delay(term + 1)
        count = "once" if failures == 1 else f"{failures} times"
        detail = f"quarantined for {seconds:g} s: failed {count}, last: {reason}"
        self._resolver.exclude(offer, Rejection(Reason.QUARANTINE, detail))
        return seconds

    def release(self, offer: str) -> None:
        """Let the offer be tried again."""
        self._excluded.discard(offer)
        self._resolver.admit(offer, reason=Reason.QUARANTINE)
