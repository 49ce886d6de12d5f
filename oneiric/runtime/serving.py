"""A runtime at work for as long as its process lives: parts that start in order, and end so."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeAlias

from oneiric.core.guard import attempt_async
from oneiric.errors import OneiricError
from oneiric.remote.log import log_sync
from oneiric.remote.settings import RemoteSettings
from oneiric.runtime.end_failed import EndFailedError, reasons
from oneiric.runtime.health import (
    HealthFile,
    PartStatus,
    RemoteNews,
    RuntimeHealthSnapshot,
    ServingState,
)
from oneiric.runtime.lock import FolderLock, OrchestratorRunsError
from oneiric.runtime.loops import Loops
from oneiric.runtime.notify import ServiceManager
from oneiric.runtime.process import born
from oneiric.runtime.serving_log import (
    log_gave_up,
    log_health_failed,
    log_part_failed,
    log_ready,
    log_starting,
    log_stopped,
    log_stopping,
)
from oneiric.runtime.serving_parts import PARTS
from oneiric.runtime.settings import OrchestratorSettings, WatchSettings

if TYPE_CHECKING:
    from types import TracebackType

    from oneiric.remote.report import SyncReport
    from oneiric.runtime.orchestrator import RuntimeOrchestrator
    from oneiric.runtime.supervision import SupervisorStatus
    from oneiric.runtime.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """What one start of an orchestrator may say beside the configuration.

    Args:
        manifest: the address or path of a manifest to apply, as a source of this process.
        trust: its trust root, where that is not configured.
        syncs: whether sources are looked at; without, what they brought before still serves.
        refresh_interval: seconds between two looks; 0 for what is configured.
        http_host: the address to serve HTTP at; empty for what is configured.
        http_port: the port of HTTP; None for what is configured, 0 for any that is free.
        http: whether HTTP is served at all.
        health_path: the file of the health; None for what is configured.
        checkpoints: whether runs outlive the process.
        works: whether work is begun; without, everything is up and idle.
    """

    manifest: str = ""
    trust: str = ""
    syncs: bool = True
    refresh_interval: float = 0.0
    http_host: str = ""
    http_port: int | None = None
    http: bool = True
    health_path: Path | None = None
    checkpoints: bool = True
    works: bool = True


class Serving:
    """An orchestrator at work: one a folder, ready only when everything is up.

    Entering starts the parts in order; whichever fails, those before it are ended, nothing is
    left and the health file says why. Leaving ends them in reverse. A stop that is asked for
    while it still starts ends it as well; it then was never `ready`.

    Args:
        runtime: what is put to work; it is entered and left by this.
        options: what this start says beside the configuration.
        parts: what is started, in order; by default everything there is.
    """

    def __init__(
        self,
        runtime: RuntimeOrchestrator,
        options: ServeOptions | None = None,
        *,
        parts: Sequence[tuple[str, PartMaker]] = PARTS,
    ) -> None:
        self.runtime = runtime
        self.options = options or ServeOptions()
        self.clock = runtime.clock
        self.lock = FolderLock(runtime.paths.lock)
        self.loops = Loops(self.clock, self.give_up)
        self.manager = ServiceManager(runtime.config.process, self.clock)
        self.addresses: dict[str, str] = {}
        """Where it can be asked, by the name of the part that listens."""
        self.work: Work
        """What does work, as soon as that part is up."""
        self.state = ServingState.STOPPED
        self.failure: OneiricError | None = None
        """Why it ends, where nobody asked for that."""
        settings = runtime.config.section("orchestrator")
        assert isinstance(settings, OrchestratorSettings)
        self.health_interval = settings.health_interval
        self.health_file = HealthFile(health_path(runtime, self.options).absolute())
        self.statuses: dict[str, PartStatus] = {}
        self._parts = parts
        self._started_at = self.clock.now()
        self._begun = self.clock.monotonic()
        self._remote = RemoteNews()
        self._ended = asyncio.Event()
        self._up = asyncio.Event()
        self._reload_asked = asyncio.Event()
        self._at_stop: list[Callable[[], object]] = []
        self._at_hurry: list[Callable[[], object]] = []
        self._starting: asyncio.Timeout | None = None
        self._stack = AsyncExitStack()
        self._problems: list[str] = []
        self._writing = threading.Lock()

    # -- asking -------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether every part is up and no end was asked for."""
        return self.state is ServingState.READY and not self.is_stopping

    @property
    def is_stopping(self) -> bool:
        """Whether an end was asked for, or a part failed too often."""
        return self._ended.is_set()

    @property
    def follows_sources(self) -> bool:
        """Whether configured sources of manifests are looked at."""
        settings = self.runtime.config.section("remote")
        assert isinstance(settings, RemoteSettings)
        return self.options.syncs and settings.enabled

    def stop(self) -> None:
        """Take no more work and end; asked again, what is under way is let go of at once."""
        if self.is_stopping:
            for hurry in self._at_hurry:
                hurry()
            return
        self._ended.set()
        if self._starting is not None:
            self._starting.reschedule(asyncio.get_running_loop().time())
        for stop in self._at_stop:
            stop()

    def give_up(self, error: OneiricError) -> None:
        """End because of *error*, which `until_stopped` raises."""
        log_gave_up(error)
        self.failure = self.failure or error
        if not self.is_stopping:
            self.stop()

    def reload(self) -> None:
        """Have the configuration read anew, and the sources looked at once."""
        self._reload_asked.set()

    async def until_reload(self) -> None:
        """Wait until a reload is asked for; one that comes too early counts when all is up."""
        await self._up.wait()
        await self._reload_asked.wait()
        self._reload_asked.clear()

    async def until_stopped(self) -> None:
        """Wait until an end is asked for.

        Raises:
            LoopFailedError: a part in the background failed too often.
            StateGoneError: the state was removed or replaced.
        """
        await self._ended.wait()
        if self.failure is not None:
            raise self.failure

    # -- what parts need ----------------------------------------------------------------

    def at_stop(
        self, stop: Callable[[], object], *, hurry: Callable[[], object] | None = None
    ) -> None:
        """Have *stop* called as soon as an end is asked for, and *hurry* when it is again."""
        self._at_stop.append(stop)
        if hurry is not None:
            self._at_hurry.append(hurry)

    def loop(
        self,
        name: str,
        run: Callable[[], Awaitable[object]],
        *,
        stop: Callable[[], object] | None = None,
    ) -> AbstractAsyncContextManager[None]:
        """Return a loop as a part: it is begun again when it fails; *stop* ends it in order."""
        return self.loops.running(name, run, stop=stop)

    async def sync(self, source: str = "") -> SyncReport:
        """Look at every source, or at one, once; what fails is told and in the report."""
        return await self.runtime.remote.sync(source, told=self.synced)

    def synced(self, report: SyncReport) -> None:
        """Log a sync, and remember what it came to."""
        log_sync(report)
        self._remote = RemoteNews.of(report, self.clock.now())

    def snapshot(self, supervised: SupervisorStatus | None = None) -> RuntimeHealthSnapshot:
        """Return how everything stands now, *supervised* being asked on the loop before.

        Any thread may ask, and it blocks a little.
        """
        runtime = self.runtime
        watch = runtime.config.section("watch")
        assert isinstance(watch, WatchSettings)
        is_watching = self.loops.is_running("watcher")
        counts: dict[str, int] = {}
        for ref in runtime.resolver.registry.refs():
            offers = len(runtime.resolver.registry.offers(ref))
            counts[ref.domain] = counts.get(ref.domain, 0) + offers
        return RuntimeHealthSnapshot(
            state=self.state,
            pid=os.getpid(),
            born=born(os.getpid()),
            started_at=self._started_at,
            updated_at=self.clock.now(),
            interval_seconds=self.health_interval,
            profile=runtime.config.profile,
            problem=self.failure.message if self.failure else "; ".join(self._problems),
            addresses=dict(self.addresses),
            parts=tuple(self.statuses.values()),
            loops=self.loops.statuses,
            watchers_running=is_watching and watch.enabled,
            watch=runtime.watcher.status().as_json() if is_watching else None,
            remote_enabled=self.follows_sources,
            remote=self._remote,
            registered=dict(sorted(counts.items())),
            supervisor=supervised,
            activity=runtime.lifecycle.activity.snapshot(),
            lifecycle=runtime.lifecycle.statuses(),
        )

    async def standing(self) -> RuntimeHealthSnapshot:
        """Return how everything stands now."""
        return await asyncio.to_thread(self.snapshot, self._supervised())

    async def tell_health(self) -> None:
        """Write the health file; what keeps it from being written is logged.

        Where the state was removed, it may be another orchestrator's by now and is left alone.
        """
        if self.lock.is_lost:
            return
        outcome = await attempt_async(asyncio.to_thread(self._write, self._supervised()))
        if outcome.error is not None:
            log_health_failed(outcome.reason)

    async def keep_telling(self) -> None:
        """Write the health file at every interval, without end."""
        while True:
            await self.clock.sleep(self.health_interval)
            await self.tell_health()

    # -- starting and ending ------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Start everything.

        Raises:
            OrchestratorRunsError: there is one in the folder already.
            OneiricError: a part could not be started.
        """
        self.state = ServingState.STARTING
        log_starting(os.getpid(), str(self.runtime.paths.root))
        starting = self._starting = asyncio.timeout(None)
        try:
            async with starting:
                for name, maker in self._parts:
                    if self.is_stopping:
                        break
                    await self._start(name, maker)
        except TimeoutError as error:
            if not starting.expired():
                await self._fail(error)
                raise
        except BaseException as error:
            await self._fail(error)
            raise
        finally:
            self._starting = None
        if self.is_stopping:
            await self._end()
            return self
        self.state = ServingState.READY
        await self.tell_health()
        log_ready(os.getpid(), self._spent_ms(self._begun))
        self.manager.ready("ready")
        self._up.set()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.state not in _OVER:
            if not self.is_stopping:
                self.stop()
            await self._end()
        if self._problems and error is None:
            raise EndFailedError(self._problems)

    async def _start(self, name: str, maker: PartMaker) -> None:
        begun = self.clock.monotonic()
        self.statuses[name] = PartStatus(name, "failed")
        part = maker(self)
        if part is None:
            self.statuses[name] = PartStatus(name, "off")
            return
        await part.__aenter__()
        self._stack.push_async_callback(self._stop_part, name, part)
        self.statuses[name] = PartStatus(name, "started", self._spent_ms(begun))

    async def _stop_part(self, name: str, part: AbstractAsyncContextManager[object]) -> None:
        """End a part; what goes wrong stops no other from ending."""
        outcome = await attempt_async(part.__aexit__(None, None, None))
        self.statuses[name] = PartStatus(name, "ended", self.statuses[name].duration_ms)
        if outcome.error is not None:
            why = reasons(outcome)
            self._problems += [f"{name}: {each}" for each in why]
            log_part_failed(name, "end", "; ".join(why))

    async def _fail(self, error: BaseException) -> None:
        """End what was started before a part failed."""
        name = next(reversed(self.statuses), "")
        reason = error.message if isinstance(error, OneiricError) else f"{error!r}"
        self._ended.set()
        self._problems.append(f"{name}: {reason}")
        if not isinstance(error, OrchestratorRunsError):
            log_part_failed(name, "start", reason)
        await self._end()
        self.state = ServingState.FAILED

    async def _end(self) -> None:
        begun = self.clock.monotonic()
        log_stopping(self.failure.message if self.failure else "it was asked for")
        self.manager.stopping()
        self.state = ServingState.STOPPING
        if "health" in self.statuses and self.statuses["health"].state == "started":
            await self.tell_health()
        await self._stack.aclose()
        self.conclude()
        log_stopped(self._spent_ms(begun))

    def conclude(self) -> None:
        """Say that everything has ended, in order or not."""
        failed = self.failure is not None or self._problems
        self.state = ServingState.FAILED if failed else ServingState.STOPPED

    def _supervised(self) -> SupervisorStatus | None:
        is_supervising = self.loops.is_running("supervisor")
        return self.runtime.supervisor.status() if is_supervising else None

    def _write(self, supervised: SupervisorStatus | None) -> None:
        with self._writing:  # a write that nobody waits for any more comes before the next
            self.health_file.write(self.snapshot(supervised))

    def _spent_ms(self, begun: float) -> float:
        return (self.clock.monotonic() - begun) * 1000


_OVER = (ServingState.STOPPED, ServingState.FAILED)

PartMaker: TypeAlias = Callable[[Serving], AbstractAsyncContextManager[object] | None]
"""Makes a part for a serving, or returns None where it is not wanted."""


def serves_of(runtime: RuntimeOrchestrator) -> Callable[[ServeOptions], Serving]:
    """Return what puts *runtime* to work."""
    return partial(Serving, runtime)


def health_path(runtime: RuntimeOrchestrator, options: ServeOptions | None = None) -> Path:
    """Return the file of the health that an orchestrator of *runtime* writes, or would write."""
    if options is not None and options.health_path is not None:
        return options.health_path
    holder = None if options else FolderLock(runtime.paths.lock).holder()
    if holder is not None and holder.health:
        return Path(holder.health)
    settings = runtime.config.section("orchestrator")
    assert isinstance(settings, OrchestratorSettings)
    return Path(settings.health_path) if settings.health_path else runtime.paths.health
