"""What a run of a task knows in this process beyond its journal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oneiric.clock import SystemClock, rfc3339
from oneiric.core.candidate import SourceKind
from oneiric.domains.steps import decision_digest
from oneiric.runs.body import NOBODY, Provenance

if TYPE_CHECKING:
    from oneiric.core.candidate import Candidate
    from oneiric.core.handle import Handle
    from oneiric.core.lifecycle import LifecycleManager


@dataclass(frozen=True, slots=True)
class Session:
    """One run under way here: who brings up its parts, and which texts nobody may see."""

    lifecycle: LifecycleManager | None = None
    mask: Sequence[str] = field(default=(), repr=False)


_NOWHERE = Session()


class Sessions:
    """Know the runs of tasks that are under way in this process, by id.

    A run that another process took up has no session here: its steps are done all the same, and
    its proofs do not say which decision chose who made them.
    """

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._open: dict[str, Session] = {}
        self._digests: dict[tuple[Candidate, int], str] = {}

    @contextmanager
    def held(self, run_id: str, session: Session) -> Iterator[None]:
        """Let the steps of a run find its session, until it is over or let go."""
        self._open[run_id] = session
        try:
            yield
        finally:
            self._open.pop(run_id, None)

    def of(self, run_id: str) -> Session:
        """Return the session of a run, or one that knows nothing."""
        return self._open.get(run_id, _NOWHERE)

    def now(self) -> str:
        """Return the time as proofs write it."""
        return rfc3339(self._clock.now())

    def provenance(self, handle: Handle[Any], run_id: str) -> Provenance:
        """Return who is held, and the digests of what chose them."""
        candidate = handle.candidate
        if candidate is None:
            return NOBODY
        is_from_afar = candidate.source.kind is SourceKind.MANIFEST
        return Provenance(
            candidate.provider,
            candidate.version or candidate.source.version,
            candidate.source.detail if is_from_afar else "",
            self._decision(candidate, self.of(run_id).lifecycle),
        )

    def _decision(self, candidate: Candidate, lifecycle: LifecycleManager | None) -> str:
        if lifecycle is None:
            return ""
        resolver = lifecycle.resolver
        asked = candidate, resolver.registry.generation
        if asked not in self._digests:
            if any(generation != asked[1] for _, generation in self._digests):
                self._digests.clear()
            decision = resolver.explain(candidate.ref)
            if decision.winner != candidate:
                decision = resolver.explain(candidate.offer)
            self._digests[asked] = decision_digest(decision)
        return self._digests[asked]
