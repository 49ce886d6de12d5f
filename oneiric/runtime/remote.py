"""Manifests from afar, composed: what a runtime brings back at its start, and what it syncs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from oneiric.remote.artifacts import ArtifactStore
from oneiric.remote.breaker import Breakers
from oneiric.remote.fetch import Fetcher, FetchLimits
from oneiric.remote.status import StatusFile
from oneiric.remote.sync import Means, RemoteSync

if TYPE_CHECKING:
    from oneiric.runtime.orchestrator import RuntimeOrchestrator


def remote_of(runtime: RuntimeOrchestrator) -> RemoteSync:
    """Return who syncs the sources of *runtime*."""
    hydration, clock = runtime.hydration, runtime.clock
    settings = hydration.settings
    limits = FetchLimits(timeout=settings.timeout_seconds, retries=settings.retries)

    artifacts = ArtifactStore(runtime.paths.artifacts, most_bytes=settings.max_artifact_bytes)
    means = Means(
        artifacts=artifacts,
        secret=runtime.secrets.get,
        fetcher=partial(Fetcher, clock=clock, limits=limits, breakers=Breakers(clock)),
        running=runtime.running,
        file=StatusFile(runtime.paths.remote_status),
        heard=runtime.measures.synced,
    )
    return RemoteSync(hydration, runtime.lifecycle, means)
