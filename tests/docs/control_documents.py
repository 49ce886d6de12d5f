"""One real document of the control interface for each section of `docs/reference/json.md`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from oneiric.core.health import HealthReport
from oneiric.runtime.control_answers import Ping, ProbeAnswer, ReloadAnswer, StopAnswer
from oneiric.runtime.watchers import WatchStatus

_AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
_FILE = "/srv/shop/oneiric.toml"


def control_documents() -> dict[str, Any]:
    """Return a document for each section."""
    late = ("the sources of manifests were not looked at yet",)
    since = "2026-11-21T09:30:00.000000Z"
    watched = WatchStatus("notices", _FILE, _AT, None, ("adapter:cache",), (), ("logging",))
    full = HealthReport(healthy=False, detail="it is full", data={"entries": 10_000})
    return {
        "Ping": Ping(4711, "0.1.0", since, "/srv/shop", _FILE, "default", late).as_json(),
        "Probe": ProbeAnswer("adapter:cache", full).as_json(),
        "Reload": ReloadAnswer(watched).as_json(),
        "Stop request": StopAnswer(4711).as_json(),
    }
