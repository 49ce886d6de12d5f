"""Keep account of how the looks at each source went, in this process and in those before it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from oneiric.clock import rfc3339
from oneiric.errors import InvalidError, JSONValue, OneiricError, RefusedError
from oneiric.remote.errors import AddressError, ExpiredError
from oneiric.remote.log import log_status_failed
from oneiric.remote.origin import Origin
from oneiric.remote.sources import ManifestSource
from oneiric.remote.status import (
    SCHEMA,
    RemoteStatus,
    SourceState,
    SourceStatus,
    StatusFile,
    error_keys,
)

if TYPE_CHECKING:
    from datetime import datetime

    from oneiric.remote.hydration import Hydration
    from oneiric.remote.report import SourceReport, SyncReport
    from oneiric.remote.serving import Serving
    from oneiric.remote.succession import Succeeded


class Ledger:
    """Make the status of what is known, and write it.

    Args:
        hydration: knows what each source brings.
        file: where the status is kept.
    """

    def __init__(self, hydration: Hydration, file: StatusFile) -> None:
        self.refresh_interval = 0.0
        self._hydration = hydration
        self._file = file
        self._counters: Counter[str] = Counter()

    def enter(
        self, report: SyncReport, breakers: Mapping[str, Mapping[str, JSONValue]]
    ) -> RemoteStatus:
        """Count a sync, and write the status; it blocks.

        A status that cannot be written is logged, and stops nothing.
        """
        self._count(report)
        now = self._hydration.clock.now()
        before = self._file.read() or RemoteStatus(schema=SCHEMA)
        known = dict(before.sources)
        for each in report.sources:
            known[each.source.name] = self._entered(
                known.get(each.source.name, SourceStatus()), each, breakers, now
            )
        for name in known.keys() - self._names():
            del known[name]
        last = report.sources[-1].source.shown if report.sources else before.last_source
        update = {
            "pid": os.getpid(),
            "written_at": rfc3339(now),
            "refresh_interval": self.refresh_interval,
            "latency_budget_ms": report.latency_budget_ms,
            "within_budget": report.duration_ms <= report.latency_budget_ms,
            "last_source": last,
            "last_duration_ms": round(report.duration_ms, 3),
            "last_digest_checks": sum(each.digests for each in report.sources),
            "counters": dict(sorted(self._counters.items())),
            "sources": self._with_followers(known, report.succeeded),
        }
        status = before.model_copy(update=update).summed()
        try:
            self._file.write(status)
        except OneiricError as error:
            log_status_failed(error)
        return status

    def present(self, standing: Succeeded) -> RemoteStatus:
        """Return how every source stands now, as far as any process has told; it blocks."""
        now, before = self._hydration.clock.now(), self._file.read() or RemoteStatus(schema=SCHEMA)
        known = {
            source.name: self._standing(source, before.sources.get(source.name), now)
            for source in self._hydration.sources()
        }
        for name, error in self._hydration.problems.items():
            status = known.get(name) or SourceStatus(uri=name)
            told = {} if status.last_error else error_keys(error)
            state = _state(self._hydration.serving.get(name), error, now)
            known[name] = status.model_copy(update={"state": state, **told})
        sources = self._with_followers(known, standing)
        return before.model_copy(update={"sources": sources}).summed()

    def _names(self) -> set[str]:
        """Return the names of all sources that there are, or that serve though they are away."""
        listed, astray = self._hydration.listed()
        return {*(each.name for each in listed), *astray, *self._hydration.serving}

    def _entered(
        self,
        status: SourceStatus,
        report: SourceReport,
        breakers: Mapping[str, Mapping[str, JSONValue]],
        now: datetime,
    ) -> SourceStatus:
        """Return the status of a source after a look at it."""
        error, source = report.error, report.source
        update: dict[str, object] = {
            "uri": source.shown,
            "signed": source.is_signed,
            "state": _state(report.serving, error, now),
            "last_duration_ms": round(report.duration_ms, 3),
            "last_digest_checks": report.digests,
            "breaker": breakers.get(_origin(source)),
            **_served(report.serving),
            **error_keys(error),
        }
        if error is None:
            update |= {"last_success_at": rfc3339(now), "consecutive_failures": 0}
        else:
            update["last_failure_at"] = rfc3339(now)
            update["consecutive_failures"] = status.consecutive_failures + 1
        return status.model_copy(update=update)

    def _standing(
        self, source: ManifestSource, told: SourceStatus | None, now: datetime
    ) -> SourceStatus:
        """Return the status of a source that this process may not have looked at."""
        serving = self._hydration.serving.get(source.name)
        status = told or SourceStatus()
        if told is not None and serving is not None and told.digest == serving.digest:
            state = SourceState.EXPIRED if serving.expires <= now else told.state
        elif serving is not None and source.is_signed:
            state = SourceState.EXPIRED if serving.expires <= now else SourceState.OFFLINE
        else:
            state = _state(serving, None, now) if told is None or serving else told.state
        update = {"uri": source.shown, "signed": source.is_signed, "state": state}
        return status.model_copy(update={**update, **_served(serving)})

    def _with_followers(
        self, known: Mapping[str, SourceStatus], succeeded: Succeeded
    ) -> dict[str, SourceStatus]:
        """Return the sources with the running components that could not follow each."""
        failed = {each.ref: str(each.error.message) for each in succeeded.failed if each.error}
        sources = {}
        for name, status in known.items():
            mine = {ref for ref, cause in succeeded.causes.items() if cause == name}
            update = {
                "deferred": tuple(ref for ref in succeeded.deferred if ref in mine),
                "orphaned": tuple(ref for ref in succeeded.orphaned if ref in mine),
                "outdated": tuple(ref for ref in succeeded.outdated if ref in mine),
                "failed_swaps": {ref: why for ref, why in failed.items() if ref in mine},
            }
            sources[name] = status.model_copy(update=update)
        return sources

    def _count(self, report: SyncReport) -> None:
        """Add a sync to what this process has counted."""
        count = self._counters
        count["syncs"] += 1
        for each in report.sources:
            count["failures"] += each.error is not None
            count["refusals"] += isinstance(each.error, RefusedError | InvalidError)
            count["successes"] += each.error is None
            count["not_modified"] += each.not_modified
            count["digest_checks"] += each.digests
            count["new_roots"] += each.roots
            change = each.change
            for name in ("added", "changed", "removed"):
                count[f"entries_{name}"] += len(getattr(change, name))
        count["swaps"] += sum(swap.ok for swap in report.succeeded.swaps)
        count["failed_swaps"] += len(report.succeeded.failed)


def _state(serving: Serving | None, error: OneiricError | None, now: datetime) -> SourceState:
    if isinstance(error, ExpiredError) or (serving is not None and serving.expires <= now):
        return SourceState.EXPIRED
    if error is None:
        return SourceState.FRESH if serving is not None else SourceState.NEW
    refused = isinstance(error, RefusedError | InvalidError)
    return SourceState.REFUSED if refused else SourceState.OFFLINE


def _served(serving: Serving | None) -> dict[str, object]:
    if serving is None:
        return {"version": 0, "registered": 0, "per_domain": {}, "quarantined": ()}
    per_domain = serving.per_domain
    return {
        "version": serving.version,
        "digest": serving.digest,
        "issued": rfc3339(serving.issued),
        "expires": serving.until,
        "signers": serving.signers,
        "root": serving.root,
        "registered": sum(per_domain.values()),
        "per_domain": per_domain,
        "quarantined": tuple(each.as_json() for each in serving.quarantined),
    }


def _origin(source: ManifestSource) -> str:
    """Return the origin of a source, or an empty text for a local one."""
    if source.path is not None:
        return ""
    try:
        return str(Origin.of(source.uri))
    except AddressError:
        return ""
