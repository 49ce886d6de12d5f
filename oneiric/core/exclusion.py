"""Keep offers out of resolution, each for as long as any reason holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oneiric.core.decision import Reason, Rejection
    from oneiric.core.resolver import Resolver


class Exclusions:
    """Collect why offers may not serve for now, so that one reason's end leaves the others.

    An offer may be paused and quarantined at once; the reason that came first is shown.
    """

    __slots__ = ("_reasons", "_resolver")

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._reasons: dict[str, dict[Reason, Rejection]] = {}

    def add(self, offer: str, rejection: Rejection) -> None:
        """Exclude *offer* until the rejection's reason is lifted."""
        reasons = self._reasons.setdefault(offer, {})
        reasons[rejection.reason] = rejection
        self._resolver.exclude(offer, next(iter(reasons.values())))

    def lift(self, offer: str, reason: Reason) -> None:
        """End one reason; when it was the last, the offer may serve again."""
        reasons = self._reasons.get(offer, {})
        if reasons.pop(reason, None) is None:
            return
        if reasons:
            self._resolver.exclude(offer, next(iter(reasons.values())))
        else:
            del self._reasons[offer]
            self._resolver.admit(offer)
