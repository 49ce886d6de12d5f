"""What a look at the sources found and did, or would do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oneiric.core.registry import SourceChange
from oneiric.errors import JSONValue, OneiricError
from oneiric.remote.succession import Succeeded

if TYPE_CHECKING:
    from oneiric.core.decision import DecisionDiff
    from oneiric.remote.serving import Serving
    from oneiric.remote.sources import ManifestSource

SYNC = "oneiric.remote-sync/1"
NOTHING = SourceChange()


@dataclass(frozen=True, slots=True)
class SourceReport:
    """One source: what it publishes, what that changed, or why nothing of it was taken.

    `serving` is what is in force afterwards; without an `error` it is what was looked at.
    """

    source: ManifestSource
    serving: Serving | None = None
    change: SourceChange = NOTHING
    error: OneiricError | None = None
    duration_ms: float = 0.0
    digests: int = 0
    roots: int = 0
    not_modified: bool = False
    is_configured: bool = True

    @property
    def applied(self) -> str:
        """Where it holds: `stored` where later commands have it, else `local`, or nowhere."""
        if self.error is not None:
            return ""
        return "stored" if self.source.is_signed and self.is_configured else "local"

    def as_json(self) -> dict[str, JSONValue]:
        """Return the source, what serves, and the offers that were added, changed and so on."""
        return {
            "source": self.source.name,
            "uri": self.source.shown,
            "signed": self.source.is_signed,
            "applied": self.applied or None,
            **serving_json(self.serving),
            **change_json(self.change),
            "new_roots": self.roots,
            "not_modified": self.not_modified,
            "digest_checks": self.digests,
            "duration_ms": round(self.duration_ms, 3),
            "error": self.error.as_json()["error"] if self.error else None,
        }


@dataclass(frozen=True, slots=True)
class SyncReport:
    """One sync of some or all sources, and what became of the running components."""

    sources: tuple[SourceReport, ...]
    succeeded: Succeeded = field(default_factory=Succeeded)
    withdrawn: Mapping[str, SourceChange] = field(default_factory=dict)
    duration_ms: float = 0.0
    latency_budget_ms: float = 0.0

    @property
    def errors(self) -> tuple[OneiricError, ...]:
        """Why sources were not taken, refusals first."""
        found = [report.error for report in self.sources if report.error is not None]
        return tuple(sorted(found, key=lambda error: error.exit_code != _REFUSED))

    @property
    def exit_code(self) -> int:
        """What a command ends with: that of the first error, 1 for a swap that did not hold."""
        if self.errors:
            return self.errors[0].exit_code
        return 1 if self.succeeded.failed else 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.remote-sync/1`."""
        return {
            "schema": SYNC,
            "error": self.errors[0].as_json()["error"] if self.errors else None,
            "duration_ms": round(self.duration_ms, 3),
            "latency_budget_ms": self.latency_budget_ms,
            "within_budget": self.duration_ms <= self.latency_budget_ms,
            "sources": [report.as_json() for report in self.sources],
            "withdrawn": {name: list(each.removed) for name, each in self.withdrawn.items()},
            **self.succeeded.as_json(),
        }


@dataclass(frozen=True, slots=True)
class Preview:
    """What a sync of a source would do.

    `swaps` are the running components that would be swapped now, `deferred` those that would
    wait, `orphaned` those that would serve on though nobody offers them. `fetches` are the
    artifacts that are not here yet, as bytes by address.
    """

    source: ManifestSource
    serving: Serving | None = None
    change: SourceChange = NOTHING
    decisions: tuple[DecisionDiff, ...] = ()
    swaps: tuple[str, ...] = ()
    deferred: tuple[str, ...] = ()
    orphaned: tuple[str, ...] = ()
    fetches: Mapping[str, int] = field(default_factory=dict)
    error: OneiricError | None = None

    def as_json(self) -> dict[str, JSONValue]:
        """Return what one source would change."""
        return {
            "source": self.source.name,
            "uri": self.source.shown,
            "signed": self.source.is_signed,
            **serving_json(self.serving),
            **change_json(self.change),
            "decisions": [each.as_json() for each in self.decisions],
            "swaps": list(self.swaps),
            "deferred": list(self.deferred),
            "orphaned": list(self.orphaned),
            "fetches": dict(self.fetches),
            "error": self.error.as_json()["error"] if self.error else None,
        }


_REFUSED = 3


def serving_json(serving: Serving | None) -> dict[str, JSONValue]:
    """Return what is told of the manifest that serves, or would serve."""
    if serving is None:
        return {"version": 0, "digest": "", "expires": "", "signers": [], "quarantined": []}
    return {
        "version": serving.version,
        "digest": serving.digest,
        "expires": serving.until,
        "signers": list(serving.signers),
        "quarantined": [each.as_json() for each in serving.quarantined],
    }


def change_json(change: SourceChange) -> dict[str, JSONValue]:
    """Return the offers that changed, and how many did not."""
    return {
        "added": list(change.added),
        "changed": list(change.changed),
        "removed": list(change.removed),
        "unchanged": len(change.unchanged),
    }
