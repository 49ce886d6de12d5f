"""Manifests from afar, composed: what a runtime brings back at its start, and what it syncs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from oneiric.ports.secrets import SECRETS
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

    async def secret(name: str) -> str:
        async with runtime.lifecycle.use(SECRETS) as secrets:
            value = await secrets.get_secret(name)
        assert value is not None  # a missing one is an error, as nothing else was allowed
        return value

    artifacts = ArtifactStore(runtime.paths.artifacts, most_bytes=settings.max_artifact_bytes)
    means = Means(
        artifacts=artifacts,
        secret=secret,
        fetcher=partial(Fetcher, clock=clock, limits=limits, breakers=Breakers(clock)),
        running=runtime.running,
        file=StatusFile(runtime.paths.remote_status),
    )
    return RemoteSync(hydration, runtime.lifecycle, means)
