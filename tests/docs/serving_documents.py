"""One real document about an orchestrator for each section of `docs/reference/json.md`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from oneiric.core.activity import Activity, ActivityState
from oneiric.core.candidate import Candidate
from oneiric.core.health import HealthReport
from oneiric.core.lifecycle import LifecycleManager
from oneiric.core.resolver import Resolver
from oneiric.runtime.health import PartStatus, RemoteNews, RuntimeHealthSnapshot, ServingState
from oneiric.runtime.health_answers import (
    HealthAnswer,
    ManifestProof,
    Probe,
    ProfileToggles,
    SupervisorAnswer,
    Toggle,
)
from oneiric.runtime.lock import Holder
from oneiric.runtime.loops import LoopStatus
from oneiric.runtime.process_answers import ProcessStatus, StartAnswer, StopAnswer
from oneiric.runtime.secrets_status import SecretsStatus, StoreStanding
from oneiric.runtime.serve_answers import CheckAnswer, InspectAnswer
from oneiric.runtime.watchers import WatchStatus
from tests.reports.runs import ZERO

_HTTP = "http://127.0.0.1:8080"
_PARTS = (PartStatus("lock", "started", 0.4), PartStatus("worker", "off"))


def _snapshot() -> RuntimeHealthSnapshot:
    offers = Resolver()
    offers.register(Candidate("service:mailer", "outbox", dict))
    watch = WatchStatus("notices", "/srv/app/oneiric.toml", ZERO, None, (), (), ())
    return RuntimeHealthSnapshot(
        state=ServingState.READY,
        pid=4711,
        born="204114",
        started_at=ZERO,
        updated_at=ZERO + timedelta(seconds=5),
        interval_seconds=5.0,
        profile="default",
        addresses={"http": _HTTP},
        parts=_PARTS,
        loops={"worker": LoopStatus()},
        watchers_running=True,
        watch=watch.as_json(),
        remote_enabled=True,
        remote=RemoteNews("2026-01-01T00:00:00.000000Z", "", 20, {"task": 20}, 0, 12.5),
        registered={"service": 1, "task": 20},
        activity={"service:mailer": Activity(ActivityState.PAUSED, "new certificate", "ada")},
        lifecycle=[LifecycleManager(offers).status("service:mailer")],
    )


def _profile() -> tuple[ProfileToggles, SecretsStatus]:
    off, on = Toggle(is_on=False, origin="profile serverless"), "profile serverless"
    toggles = ProfileToggles(
        name="serverless",
        watchers=off,
        remote=off,
        inline_manifest_only=Toggle(is_on=True, origin=on),
        supervisor=Toggle(is_on=True, origin=on),
    )
    return toggles, SecretsStatus(
        ref="adapter:secrets",
        order=(StoreStanding("env", "provider", "selected", "the only candidate"),),
        cache_ttl_seconds=600.0,
        stale_seconds=0.0,
        refresh_interval=0.0,
        inline=0,
        cached=0,
    )


def serving_documents() -> dict[str, Any]:
    """Return a document for each section."""
    told = _snapshot().as_json()
    proof = ManifestProof(
        "build/shop.json",
        "shop",
        7,
        "sha256:00586e18",
        ("ed25519:9c1f",),
        1,
        "2027-01-01T00:00:00.000000Z",
        20,
        {"task": 20},
        (),
    )
    probe = Probe("service:mailer", "outbox", HealthReport(healthy=True), 3.2)
    health = HealthAnswer(None, "", *_profile(), probes=(probe,), proofs=(proof,))
    holder = Holder(4711, "204114", "2026-01-01T00:00:00.000000Z")
    return {
        "Runtime health": told,
        "Health": health.as_json(),
        "Supervisor": SupervisorAnswer(*_profile(), "/srv/app/activity.sqlite", "").as_json(),
        "Orchestrator check": CheckAnswer(_PARTS, 41.2, {"http": _HTTP}, "default").as_json(),
        "Orchestrator inspection": InspectAnswer(None, ("order",), ()).as_json(),
        "Orchestrator start": StartAnswer(4711, 642.0, {"http": _HTTP}, "/srv/log").as_json(),
        "Orchestrator stop": StopAnswer(4711, 88.5).as_json(),
        "Orchestrator process": ProcessStatus(holder, told).as_json(),
    }
