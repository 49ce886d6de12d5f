"""How a running orchestrator stands, in a file for whoever looks from another process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from oneiric.clock import rfc3339
from oneiric.core.activity import ActivityState
from oneiric.core.ref import ComponentRef
from oneiric.documents import canonical, parse
from oneiric.errors import JSONValue, OneiricError
from oneiric.files import own_folder, read_bounded, write_atomic
from oneiric.runtime.process import is_alive

if TYPE_CHECKING:
    from oneiric.core.activity import Activity
    from oneiric.core.status import ComponentStatus
    from oneiric.remote.report import SyncReport
    from oneiric.runtime.loops import LoopStatus
    from oneiric.runtime.supervision import SupervisorStatus

SCHEMA = "oneiric.runtime-health/1"
LATE = 3
"""Intervals after which a process that wrote nothing is late."""
_LIMIT = 64 << 20
_LEAST_SECONDS = 2.0


class ServingState(StrEnum):
    """How far an orchestrator is."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"
    """It did not start, a part of it failed too often, or it did not end in order."""


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One part of an orchestrator: `started`, `off`, `failed` or `ended`, and what it took."""

    name: str
    state: str
    duration_ms: float = 0.0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `{"name", "state", "duration_ms"}`."""
        duration = round(self.duration_ms, 3)
        return {"name": self.name, "state": self.state, "duration_ms": duration}


@dataclass(frozen=True, slots=True)
class RemoteNews:
    """What the last sync of this process came to; `error` is empty after a good one."""

    at: str = ""
    error: str = ""
    registered: int = 0
    per_domain: Mapping[str, int] = field(default_factory=dict)
    skipped: int = 0
    duration_ms: float = 0.0

    @classmethod
    def of(cls, report: SyncReport, now: datetime) -> RemoteNews:
        """Return the news of a sync that ended *now*."""
        per_domain: dict[str, int] = {}
        for each in report.sources:
            for domain, count in (each.serving.per_domain if each.serving else {}).items():
                per_domain[domain] = per_domain.get(domain, 0) + count
        skipped = sum(len(each.serving.quarantined) for each in report.sources if each.serving)
        return cls(
            at=rfc3339(now),
            error=report.errors[0].message if report.errors else "",
            registered=sum(per_domain.values()),
            per_domain=dict(sorted(per_domain.items())),
            skipped=skipped,
            duration_ms=round(report.duration_ms, 3),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeHealthSnapshot:
    """An orchestrator at one moment: its parts, loops, sources and components.

    Only what this process knows of itself is in it; nothing is taken over from an earlier one.
    """

    state: ServingState
    pid: int
    born: str
    started_at: datetime
    updated_at: datetime
    interval_seconds: float
    profile: str
    problem: str = ""
    addresses: Mapping[str, str] = field(default_factory=dict)
    parts: Sequence[PartStatus] = ()
    loops: Mapping[str, LoopStatus] = field(default_factory=dict)
    watchers_running: bool = False
    watch: Mapping[str, JSONValue] | None = None
    remote_enabled: bool = False
    remote: RemoteNews = RemoteNews()
    registered: Mapping[str, int] = field(default_factory=dict)
    supervisor: SupervisorStatus | None = None
    activity: Mapping[str, Activity] = field(default_factory=dict)
    lifecycle: Sequence[ComponentStatus] = ()

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.runtime-health/1`."""
        return {
            "schema": SCHEMA,
            "state": str(self.state),
            "ready": self.state is ServingState.READY,
            "orchestrator_pid": self.pid,
            "born": self.born,
            "started_at": rfc3339(self.started_at),
            "updated_at": rfc3339(self.updated_at),
            "interval_seconds": self.interval_seconds,
            "profile": self.profile,
            "problem": self.problem,
            "addresses": dict(self.addresses),
            "parts": [part.as_json() for part in self.parts],
            "loops": {name: loop.as_json() for name, loop in self.loops.items()},
            "watchers_running": self.watchers_running,
            "watch": self.watch,
            "remote_enabled": self.remote_enabled,
            "last_remote_sync_at": self.remote.at or None,
            "last_remote_error": self.remote.error or None,
            "last_remote_registered": self.remote.registered,
            "last_remote_per_domain": dict(self.remote.per_domain),
            "last_remote_skipped": self.remote.skipped,
            "last_remote_duration_ms": self.remote.duration_ms,
            "registered": dict(self.registered),
            "supervisor": self.supervisor.as_json() if self.supervisor else None,
            "activity_state": _by_domain(
                {ref: _activity(activity) for ref, activity in self.activity.items()}
            ),
            "lifecycle_state": _by_domain({each.ref: each.as_json() for each in self.lifecycle}),
        }


def _activity(activity: Activity) -> dict[str, JSONValue]:
    return {
        "paused": activity.state is ActivityState.PAUSED,
        "draining": activity.state is ActivityState.DRAINING,
        "note": activity.note,
    }


def _by_domain(told: Mapping[str, JSONValue]) -> dict[str, JSONValue]:
    """Return *told* by domain and then by key, an offer by `key@provider`."""
    found: dict[str, dict[str, JSONValue]] = {}
    for text, value in told.items():
        ref: ComponentRef[object] = ComponentRef(text)
        found.setdefault(ref.domain, {})[ref.partition(":")[2]] = value
    return {domain: found[domain] for domain in sorted(found)}


class HealthFile:
    """A snapshot in a file, written whole.

    Args:
        path: where it lies.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, snapshot: RuntimeHealthSnapshot) -> None:
        """Write it; it blocks.

        Raises:
            OneiricError: it cannot be written.
        """
        own_folder(self.path.parent)
        write_atomic(self.path, canonical(snapshot.as_json()) + b"\n")

    def read(self) -> Mapping[str, JSONValue] | None:
        """Return what was written last, or None where nothing can be read; it blocks."""
        try:
            told = parse(read_bounded(self.path, limit=_LIMIT), "json", source=str(self.path))
        except OneiricError:  # what cannot be read is as good as none
            return None
        if not isinstance(told, Mapping) or told.get("schema") != SCHEMA:
            return None
        return told


def stale(told: Mapping[str, JSONValue], now: datetime) -> str:
    """Return why a snapshot is not of today, or an empty text; one of an end never is stale."""
    if told.get("state") in (ServingState.STOPPED, ServingState.FAILED):
        return ""
    pid, interval = told.get("orchestrator_pid"), told.get("interval_seconds")
    if not isinstance(pid, int) or not is_alive(pid, since=str(told.get("born") or "")):
        return f"the process {pid} that wrote it has ended, and said nothing"
    try:
        age = now - datetime.fromisoformat(str(told.get("updated_at")))
    except (ValueError, TypeError):
        return "it does not say when it was written"
    seconds = interval if isinstance(interval, int | float) else 0.0
    if age > timedelta(seconds=max(LATE * seconds, _LEAST_SECONDS)):
        return f"the process {pid} last wrote it {age.total_seconds():.0f} s ago"
    return ""
