"""Look at every source, apply what it publishes, and tell of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from oneiric.core.registry import SourceChange
from oneiric.errors import LockedError, OneiricError
from oneiric.remote.disk import in_thread
from oneiric.remote.heap import settling
from oneiric.remote.log import log_pruned, log_sync
from oneiric.remote.obtain import Obtained, Obtainer, Progress, Secret
from oneiric.remote.preview import preview_of
from oneiric.remote.report import Preview, SourceReport, SyncReport
from oneiric.remote.serving import Serving, serving_of
from oneiric.remote.sources import ManifestSource
from oneiric.remote.succession import Running, Succeeded, Succession
from oneiric.remote.telling import Ledger

if TYPE_CHECKING:
    from oneiric.core.lifecycle import LifecycleManager
    from oneiric.remote.artifacts import ArtifactStore
    from oneiric.remote.fetch import Fetcher
    from oneiric.remote.hydration import Hydration
    from oneiric.remote.status import RemoteStatus, StatusFile

_ATTEMPTS = 20
_AT_ONCE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a sync needs of its surroundings.

    Args:
        artifacts: where artifacts are kept.
        secret: gives the value of a secret by its name.
        fetcher: makes who fetches; all it makes share what is known of failing servers.
        running: knows which components are up.
        file: where the status is kept.
        heard: called with the report of each sync.
    """

    artifacts: ArtifactStore
    secret: Secret
    fetcher: Callable[[], Fetcher]
    running: Running
    file: StatusFile
    heard: Callable[[SyncReport], object] = bool


class RemoteSync:
    """Bring what sources publish into this process, and keep it there as it changes.

    A source is applied whole or not at all, and applying it again changes nothing. Whatever is
    wrong with one source stops no other, and takes nothing away that serves. One sync is done
    at a time.

    Args:
        hydration: knows the sources, and what each of them brings.
        lifecycle: whose running components follow.
        means: what is needed besides.
    """

    def __init__(self, hydration: Hydration, lifecycle: LifecycleManager, means: Means) -> None:
        self.hydration = hydration
        self._lifecycle = lifecycle
        self._means = means
        self._clock = hydration.clock
        self._obtainer = Obtainer(
            hydration, artifacts=means.artifacts, secret=means.secret, clock=hydration.clock
        )
        self._succession = Succession(lifecycle, means.running)
        self._ledger = Ledger(hydration, means.file)
        self._turn = asyncio.Lock()
        self._bin: list[object] = []

    def hydrate(self) -> None:
        """Register what every source brought when it was last looked at; no network, no writing."""
        self.hydration.hydrate()

    async def sync(
        self,
        source: str = "",
        *,
        told: Callable[[SyncReport], object] = log_sync,
        progress: Progress | None = None,
    ) -> SyncReport:
        """Look at every source, or at one, apply what is new, and swap who has to follow.

        What fails is in the report and in the status, and is tried again at the next sync.
        *told* hears of the report too; by default that is the log.

        Raises:
            NotFoundError: there is no source of that name.
        """
        async with self._turn:
            started = self._clock.monotonic()
            wanted, astray = await in_thread(partial(self.hydration.looked_for, source))
            reports = [SourceReport(_astray(name), error=astray[name]) for name in astray]
            async with self._means.fetcher() as fetcher:
                reports += await self._looked_at(wanted, fetcher, progress)
                breakers = {state.origin: state.as_json() for state in fetcher.breakers.states()}
            withdrawn = {} if source else await self._withdrawn()
            succeeded = await self._succession.follow()
            spent = self._ms_since(started)
            budget = self.hydration.settings.latency_budget_ms
            report = SyncReport(tuple(reports), succeeded, withdrawn, spent, budget)
            await in_thread(partial(self._ledger.enter, report, breakers))
            await in_thread(self._bin.clear)
            if not source:
                await in_thread(self._prune)
        self._means.heard(report)
        told(report)
        return report

    async def preview(self, source: str = "") -> tuple[Preview, ...]:
        """Tell what a sync would do: entries, decisions, running components; nothing is written.

        Raises:
            NotFoundError: there is no source of that name.
        """
        async with self._turn:
            wanted, astray = await in_thread(partial(self.hydration.listed, source))
            lost = [Preview(_astray(name), error=astray[name]) for name in astray]
            async with self._means.fetcher() as fetcher:
                return (*lost, *[await self._previewed(each, fetcher) for each in wanted])

    async def watch(
        self,
        interval: float = 0.0,
        *,
        source: str = "",
        told: Callable[[SyncReport], object] = log_sync,
        progress: Progress | None = None,
    ) -> None:
        """Sync every *interval* seconds, or as configured, without end; *told* hears of each.

        Raises:
            NotFoundError: there is no source of that name.
        """
        seconds = interval or self.hydration.settings.refresh_interval
        self._ledger.refresh_interval = seconds
        while True:
            await self.sync(source, told=told, progress=progress)
            await self._clock.sleep(seconds)

    async def resumed(self, ref: str) -> Succeeded:
        """Do the swap that was put off while *ref* took no work."""
        return await self._succession.follow(ref)

    def status(self) -> RemoteStatus:
        """Return how every source stands now."""
        return self._ledger.present(self._succession.standing())

    async def _looked_at(
        self, sources: Sequence[ManifestSource], fetcher: Fetcher, progress: Progress | None
    ) -> list[SourceReport]:
        """Look at several sources at once, so that a slow one holds up no other."""
        slots = asyncio.Semaphore(_AT_ONCE)

        async def look(source: ManifestSource) -> SourceReport:
            async with slots:
                return await self._looked(source, fetcher, progress)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(look(each)) for each in sources]
        return [task.result() for task in tasks]

    async def _looked(
        self, source: ManifestSource, fetcher: Fetcher, progress: Progress | None
    ) -> SourceReport:
        """Look at one source and apply it; whatever fails is in the report."""
        started = self._clock.monotonic()
        before = self.hydration.serving.get(source.name)
        try:
            report = await self._applied(source, fetcher, progress)
        except OneiricError as error:
            report = SourceReport(source, before, error=error)
        return replace(
            report,
            duration_ms=self._ms_since(started),
            is_configured=self.hydration.is_configured(source.name),
        )

    async def _applied(
        self, source: ManifestSource, fetcher: Fetcher, progress: Progress | None
    ) -> SourceReport:
        before = self.hydration.serving.get(source.name)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                found = await self._obtainer.obtain(source, fetcher, progress=progress)
                obtained = await self._obtainer.fetch_artifacts(found, fetcher, progress=progress)
                if before is not None and before.is_of(obtained.verified):
                    serving = before
                else:
                    serving = await in_thread(partial(self._serving, obtained))
                await self._obtainer.remember(obtained)
                break
            except LockedError:  # another process looked at the same time
                if attempt == _ATTEMPTS:
                    raise
        self._bin += (obtained, before)  # what is large goes away in a thread
        facts = SourceReport(
            source,
            serving,
            digests=obtained.digests,
            roots=obtained.roots,
            not_modified=obtained.not_modified,
        )
        if serving is before:
            return replace(facts, change=await in_thread(partial(_nothing_of, serving)))
        old = before.candidates if before else ()
        change = await self._succession.replace(serving.source, serving.candidates, old=old)
        self.hydration.serving[source.name] = serving
        return replace(facts, change=change)

    def _serving(self, obtained: Obtained) -> Serving:
        """Return what was obtained as candidates, its wheels unpacked; it blocks."""
        hydration, verified = self.hydration, obtained.verified
        entries = [each for each in verified.manifest.entries if each.artifact is not None]
        refusals = hydration.shelf().unpacked(entries) if entries else {}
        with settling():
            return serving_of(
                verified, allowed=hydration.allowed, shelf=hydration.shelf, refusals=refusals
            )

    async def _withdrawn(self) -> dict[str, SourceChange]:
        """Withdraw what sources brought that are there no more."""
        found = {}
        for name in await in_thread(self.hydration.gone):
            old = self.hydration.serving.pop(name)
            found[name] = await self._succession.replace(old.source, (), old=old.candidates)
        return found

    def _prune(self) -> None:
        """Delete artifacts that nobody has needed for long; it blocks."""
        needed = self._succession.wheels().union(
            *(each.artifacts for each in self.hydration.serving.values())
        )
        grace = self.hydration.settings.artifact_grace_seconds
        before = self._clock.now().timestamp() - grace
        if count := self._means.artifacts.prune(needed, before=before):
            log_pruned(count)

    async def _previewed(self, source: ManifestSource, fetcher: Fetcher) -> Preview:
        before = self.hydration.serving.get(source.name)
        try:
            obtained = await self._obtainer.obtain(source, fetcher, dry=True)
        except OneiricError as error:
            return Preview(source, before, error=error)
        serving = await in_thread(partial(self._would_serve, obtained))
        here = self._means.artifacts.place
        fetches = {
            each.artifact.uri: each.artifact.length
            for each in obtained.verified.manifest.entries
            if each.artifact and not here(each.artifact.sha256).exists()
        }
        return await in_thread(
            partial(
                preview_of,
                source,
                serving,
                before=before.candidates if before else (),
                lifecycle=self._lifecycle,
                running=self._means.running,
                fetches=fetches,
            )
        )

    def _would_serve(self, obtained: Obtained) -> Serving:
        hydration = self.hydration
        with settling():
            return serving_of(obtained.verified, allowed=hydration.allowed, shelf=hydration.shelf)

    def _ms_since(self, started: float) -> float:
        return (self._clock.monotonic() - started) * 1000


def _astray(name: str) -> ManifestSource:
    """Return a source that leads nowhere, as far as it can be told of."""
    return ManifestSource(name, name)


def _nothing_of(serving: Serving) -> SourceChange:
    """Return the change that leaves all offers of *serving* as they are."""
    return SourceChange(unchanged=tuple(sorted(each.offer for each in serving.candidates)))
