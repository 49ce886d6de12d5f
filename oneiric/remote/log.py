"""Log what becomes of sources: one event with keys for each turn."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from oneiric.text.redaction import redacted

if TYPE_CHECKING:
    from oneiric.errors import OneiricError
    from oneiric.remote.report import SourceReport, SyncReport

_log = logging.getLogger("oneiric.remote")


def log_sync(report: SyncReport) -> None:
    """Log `remote-synced` or `remote-failed` for each source, and what could not follow."""
    for each in report.sources:
        if each.error is not None:
            _failed(each, each.error)
        elif each.serving is not None:
            change, serving = each.change, each.serving
            _emit(
                logging.INFO,
                "remote-synced",
                source=each.source.name,
                version=serving.version,
                added=len(change.added),
                changed=len(change.changed),
                removed=len(change.removed),
                quarantined=len(serving.quarantined),
                duration_ms=round(each.duration_ms, 3),
            )
    for name, change in report.withdrawn.items():
        _emit(logging.INFO, "remote-withdrawn", source=name, removed=len(change.removed))
    for ref in report.succeeded.deferred:
        _emit(logging.INFO, "swap-deferred", ref=ref)
    for ref in report.succeeded.orphaned:
        _emit(logging.WARNING, "component-orphaned", ref=ref)


def log_pruned(count: int) -> None:
    """Log `artifacts-pruned`: some that nobody has needed for long were deleted."""
    _emit(logging.INFO, "artifacts-pruned", count=count)


def log_status_failed(error: OneiricError) -> None:
    """Log `remote-status-failed`: the file of the status cannot be written."""
    _emit(logging.ERROR, "remote-status-failed", reason=error.message)


def _failed(report: SourceReport, error: OneiricError) -> None:
    keys = {"source": report.source.name, "code": error.code, "reason": error.message}
    _emit(logging.WARNING, "remote-failed", **keys, duration_ms=round(report.duration_ms, 3))


def _emit(level: int, event: str, **keys: object) -> None:
    """Log the keys as fields, and as text for whom fields are nothing."""
    if _log.isEnabledFor(level):
        safe = {name: redacted(value) for name, value in keys.items()}
        text = " ".join((event, *(f"{name}={value!r}" for name, value in safe.items())))
        _log.log(level, "%s", text, extra={"event": event, **safe})
