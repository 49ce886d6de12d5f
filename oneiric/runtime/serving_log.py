"""Log what an orchestrator goes through: one event with keys for each turn."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from oneiric.text.redaction import redacted

if TYPE_CHECKING:
    from oneiric.errors import OneiricError

_log = logging.getLogger("oneiric.orchestrator")


def log_starting(pid: int, folder: str) -> None:
    """Log `orchestrator-starting`."""
    _emit(logging.INFO, "orchestrator-starting", pid=pid, folder=folder)


def log_ready(pid: int, duration_ms: float) -> None:
    """Log `orchestrator-ready`."""
    _emit(logging.INFO, "orchestrator-ready", pid=pid, duration_ms=round(duration_ms, 3))


def log_reloaded(*, configuration_is_well: bool, sources_are_well: bool) -> None:
    """Log `orchestrator-reloaded`: everything was read anew, and whether it was well."""
    keys = {"configuration_is_well": configuration_is_well, "sources_are_well": sources_are_well}
    _emit(logging.INFO, "orchestrator-reloaded", **keys)


def log_stopping(reason: str) -> None:
    """Log `orchestrator-stopping`."""
    _emit(logging.INFO, "orchestrator-stopping", reason=reason)


def log_stopped(duration_ms: float) -> None:
    """Log `orchestrator-stopped`."""
    _emit(logging.INFO, "orchestrator-stopped", duration_ms=round(duration_ms, 3))


def log_part_failed(part: str, phase: str, reason: str) -> None:
    """Log `part-failed`: a part did not start, or did not end in order."""
    _emit(logging.ERROR, "part-failed", part=part, phase=phase, reason=reason)


def log_loop_failed(loop: str, failures: int, seconds: float, reason: str) -> None:
    """Log `loop-failed`: a loop is begun again after so many seconds."""
    keys = {"loop": loop, "failures": failures, "seconds": seconds, "reason": reason}
    _emit(logging.ERROR, "loop-failed", **keys)


def log_gave_up(error: OneiricError) -> None:
    """Log `orchestrator-gave-up`: a loop failed too often, and everything ends."""
    _emit(logging.CRITICAL, "orchestrator-gave-up", reason=error.message)


def log_health_failed(reason: str) -> None:
    """Log `health-failed`: the file of the health cannot be written."""
    _emit(logging.ERROR, "health-failed", reason=reason)


def log_notify_failed(reason: str) -> None:
    """Log `notify-failed`: the service manager cannot be told."""
    _emit(logging.WARNING, "notify-failed", reason=reason)


def _emit(level: int, event: str, **keys: object) -> None:
    """Log the keys as fields, and as text for whom fields are nothing."""
    if _log.isEnabledFor(level):
        safe = {name: redacted(value) for name, value in keys.items()}
        text = " ".join((event, *(f"{name}={value!r}" for name, value in safe.items())))
        _log.log(level, "%s", text, extra={"event": event, **safe})
