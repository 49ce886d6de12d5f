"""Log what components go through: one event with keys for each turn."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from oneiric.core.observer import Observer
from oneiric.errors import ComponentError
from oneiric.text.redaction import redacted

if TYPE_CHECKING:
    from oneiric.core.candidate import Candidate
    from oneiric.core.generation import Generation
    from oneiric.core.ref import ComponentRef
    from oneiric.core.swap import SwapReport
    from oneiric.errors import OneiricError
    from oneiric.runtime.discovery import Discovered

_components = logging.getLogger("oneiric.lifecycle")
_plugins = logging.getLogger("oneiric.plugins")


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
