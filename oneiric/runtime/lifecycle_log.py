"""Log what components go through: one event with keys for each turn."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from oneiric.core.observer import Observer
from oneiric.errors import ComponentError
from oneiric.text.redaction import redacted

if TYPE_CHECKING:
    from oneiric.core.activity import Activity
    from oneiric.core.candidate import Candidate
    from oneiric.core.generation import Generation
    from oneiric.core.ref import ComponentRef
    from oneiric.core.swap import SwapReport
    from oneiric.errors import OneiricError, StoreError
    from oneiric.runtime.discovery import Discovered
    from oneiric.runtime.supervision import ServiceNotice

_components = logging.getLogger("oneiric.lifecycle")
_activity = logging.getLogger("oneiric.activity")
_config = logging.getLogger("oneiric.config")
_plugins = logging.getLogger("oneiric.plugins")
_supervisor = logging.getLogger("oneiric.supervisor")
_SERVICES: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "started": (logging.INFO, "service-started"),
        "unhealthy": (logging.WARNING, "service-unhealthy"),
        "recovered": (logging.INFO, "service-recovered"),
        "restarting": (logging.WARNING, "service-restarting"),
        "restarted": (logging.INFO, "service-restarted"),
        "gave-up": (logging.ERROR, "service-given-up"),
    }
)
_secrets = logging.getLogger("oneiric.secrets")


class LifecycleLog(Observer):
    """Write each turn in the life of a component to the logger `oneiric.lifecycle`.

    The events and their keys are listed in `docs/reference/log-events.md`. They go through
    the standard library's logging, so that a program which logs nothing loads no more.
    """

    __slots__ = ()

    def activated(self, generation: Generation[Any], duration_ms: float) -> None:
        """Log `component-activated`."""
        _log_of(logging.INFO, "component-activated", generation, duration_ms=_rounded(duration_ms))

    def failed(self, candidate: Candidate, error: OneiricError, duration_ms: float) -> None:
        """Log `activation-failed`."""
        _write(
            logging.WARNING,
            "activation-failed",
            candidate.ref,
            provider=candidate.provider,
            duration_ms=_rounded(duration_ms),
            **_why(error),
        )

    def swapped(self, report: SwapReport) -> None:
        """Log `component-swapped`, `swap-failed` or `swap-rolled-back`."""
        keys: dict[str, object] = {
            "provider": report.after,
            "before": report.before,
            "generation": report.generation,
            "duration_ms": _rounded(report.duration_ms),
        }
        if report.error is None:
            _write(logging.INFO, "component-swapped", report.ref, **keys)
            return
        event = "swap-rolled-back" if report.rolled_back else "swap-failed"
        why = {**_why(report.error), "phase": report.failed_phase}
        _write(logging.WARNING, event, report.ref, **keys, **why)

    def quarantined(self, candidate: Candidate, reason: str, seconds: float) -> None:
        """Log `component-quarantined`."""
        keys = {"provider": candidate.provider, "seconds": seconds, "reason": reason}
        _write(logging.WARNING, "component-quarantined", candidate.ref, **keys)

    def forced(self, generation: Generation[Any], holders: Sequence[str]) -> None:
        """Log `drain-forced`."""
        _log_of(logging.WARNING, "drain-forced", generation, phase="drain", holders=list(holders))

    def closed(self, generation: Generation[Any], errors: Sequence[OneiricError]) -> None:
        """Log `cleanup-failed` for each error, then `component-closed`."""
        for error in errors:
            _log_of(logging.ERROR, "cleanup-failed", generation, **_why(error))
        _log_of(logging.INFO, "component-closed", generation)


def log_plugins(plugins: Iterable[Discovered]) -> None:
    """Log `plugin-failed`, to the logger `oneiric.plugins`, for each that brought nothing."""
    for plugin in plugins:
        if plugin.error:
            keys = {
                "distribution": plugin.distribution,
                "group": plugin.group,
                "reason": plugin.error,
            }
            _emit(_plugins, logging.WARNING, "plugin-failed", keys)


def log_activity(ref: ComponentRef[Any], activity: Activity) -> None:
    """Log `activity-changed`, to the logger `oneiric.activity`, for a component or an offer."""
    keys: dict[str, object] = {
        "domain": ref.domain,
        "key": ref.key,
        "provider": ref.provider,
        "state": str(activity.state),
        "note": activity.note,
        "actor": activity.actor,
    }
    _emit(_activity, logging.INFO, "activity-changed", keys)


def log_activity_phase_failed(ref: ComponentRef[Any], error: ComponentError) -> None:
    """Log `activity-phase-failed`, to the same logger, where a component's own part failed."""
    keys = {"domain": ref.domain, "key": ref.key, "provider": error.provider, **_why(error)}
    _emit(_activity, logging.ERROR, "activity-phase-failed", keys)


def log_activity_store_failed(error: StoreError) -> None:
    """Log `activity-store-failed`, to the same logger."""
    _emit(_activity, logging.ERROR, "activity-store-failed", {"reason": error.message})


def log_replay_failed(domain: str, key: str, reason: str) -> None:
    """Log `replay-failed`, to the same logger, when what waited could not be delivered."""
    keys = {"domain": domain, "key": key, "reason": reason}
    _emit(_activity, logging.ERROR, "replay-failed", keys)


def log_reloaded(
    file: str, *, sections: Sequence[str], concerned: Sequence[str], restart: Sequence[str]
) -> None:
    """Log `config-reloaded`, to the logger `oneiric.config`."""
    keys = {
        "file": file,
        "sections": list(sections),
        "concerned": list(concerned),
        "awaiting_restart": list(restart),
    }
    _emit(_config, logging.INFO, "config-reloaded", keys)


def log_rejected(file: str, error: OneiricError) -> None:
    """Log `config-rejected`, to the same logger, with every problem; the last good one holds."""
    keys = {"file": file, "reason": error.message, "problems": list(error.lines())}
    _emit(_config, logging.ERROR, "config-rejected", keys)


def log_watch_troubled(reason: str) -> None:
    """Log `config-watch-troubled`, to the same logger, where the system tells of no change."""
    _emit(_config, logging.WARNING, "config-watch-troubled", {"reason": reason})


def log_change_deferred(ref: ComponentRef[Any], activity: Activity) -> None:
    """Log `change-deferred`, to the same logger, for what takes no work at present."""
    keys = {"domain": ref.domain, "key": ref.key, "state": str(activity.state)}
    _emit(_config, logging.INFO, "change-deferred", keys)


def log_change_retried(ref: ComponentRef[Any], attempt: int, seconds: float, reason: str) -> None:
    """Log `change-retried`, to the same logger, for a swap that did not hold."""
    keys = {
        "domain": ref.domain,
        "key": ref.key,
        "attempt": attempt,
        "seconds": seconds,
        "reason": reason,
    }
    _emit(_config, logging.WARNING, "change-retried", keys)


def log_swaps_not_forgotten(error: StoreError) -> None:
    """Log `swaps-not-forgotten`, to the same logger, where ended selections stay stored."""
    _emit(_config, logging.WARNING, "swaps-not-forgotten", {"reason": error.message})


def log_service(ref: ComponentRef[Any], notice: ServiceNotice) -> None:
    """Log what a supervisor does, to the logger `oneiric.supervisor`; pauses are told elsewhere."""
    if notice.kind in _SERVICES:
        level, event = _SERVICES[notice.kind]
        keys = {
            "domain": ref.domain,
            "key": ref.key,
            "provider": notice.provider,
            "generation": notice.generation,
            "restarts": notice.restarts,
            "reason": notice.reason,
        }
        _emit(_supervisor, level, event, keys)


def log_supervisor_failed(reason: str) -> None:
    """Log `supervisor-failed`, to the same logger, for a fault of its own; it goes on."""
    _emit(_supervisor, logging.ERROR, "supervisor-failed", {"reason": reason})


def log_listener_failed(listener: str, reason: str) -> None:
    """Log `listener-failed`, to the same logger; the others are told all the same."""
    _emit(_supervisor, logging.WARNING, "listener-failed", {"listener": listener, "reason": reason})


def log_secret_stale(name: str, store: str, age_seconds: float, reason: str) -> None:
    """Log `secret-stale`, to the logger `oneiric.secrets`, where an old value counts longer."""
    keys = {"named": name, "store": store, "age_seconds": age_seconds, "reason": reason}
    _emit(_secrets, logging.WARNING, "secret-stale", keys)


def log_secrets_rotated(
    *, changed: int, swapped: Sequence[str], deferred: Sequence[str], failed: Sequence[str]
) -> None:
    """Log `secrets-rotated`, to the same logger: how many changed, and what followed."""
    keys = {
        "changed": changed,
        "swapped": list(swapped),
        "deferred": list(deferred),
        "failed": list(failed),
    }
    _emit(_secrets, logging.WARNING if failed else logging.INFO, "secrets-rotated", keys)


def _log_of(level: int, event: str, generation: Generation[Any], **keys: object) -> None:
    candidate = generation.candidate
    numbered = {"provider": candidate.provider, "generation": generation.number, **keys}
    _write(level, event, candidate.ref, **numbered)


def _write(level: int, event: str, ref: ComponentRef[Any], **keys: object) -> None:
    _emit(_components, level, event, {"domain": ref.domain, "key": ref.key, **keys})


def _emit(logger: logging.Logger, level: int, event: str, keys: Mapping[str, object]) -> None:
    """Log the keys as fields, and as text for whom fields are nothing."""
    if logger.isEnabledFor(level):
        safe = {name: redacted(value) for name, value in keys.items()}
        text = " ".join((event, *(f"{name}={value!r}" for name, value in safe.items())))
        logger.log(level, "%s", text, extra={"event": event, **safe})


def _why(error: OneiricError) -> dict[str, object]:
    if isinstance(error, ComponentError):
        return {"phase": error.phase, "reason": error.reason}
    return {"reason": error.message}


def _rounded(duration_ms: float) -> float:
    return round(duration_ms, 3)
