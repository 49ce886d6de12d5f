"""The parts of an orchestrator, in the order in which they start.

A part is made by a function that is given the `Serving`: an async context manager, or None where
it is not wanted. What starts after `work` may use it; what listens goes last, so that nobody is
answered before everything is up, and notes where in `serving.addresses`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from oneiric.errors import InvalidError, UnavailableError
from oneiric.remote.origin import local_path
from oneiric.runtime.control import ControlServer
from oneiric.runtime.export import LAST_SECONDS
from oneiric.runtime.lock import StateGoneError
from oneiric.runtime.own_log import OwnLog
from oneiric.runtime.remote_source import source_at
from oneiric.runtime.scheduler import SchedulerHTTPServer
from oneiric.runtime.serving_log import log_reloaded
from oneiric.runtime.settings import HttpSettings, WatchSettings
from oneiric.runtime.work import Work

if TYPE_CHECKING:
    from oneiric.remote.report import SyncReport
    from oneiric.runtime.serving import PartMaker, Serving

_PORTS = 65_536
_PACE_SECONDS = 0.5
_LOG_SECONDS = 5.0


@asynccontextmanager
async def _lock(serving: Serving) -> AsyncIterator[None]:
    await serving.lock.take(serving.clock, health=serving.health_file.path)
    try:
        yield
    finally:
        serving.lock.release()


@asynccontextmanager
async def _health(serving: Serving) -> AsyncIterator[None]:
    """Say in the file that it starts, and at the very end that it has ended."""
    await serving.tell_health()
    try:
        yield
    finally:
        serving.conclude()
        await serving.tell_health()


def _loops(serving: Serving) -> AbstractAsyncContextManager[object]:
    return serving.loops


def _log(serving: Serving) -> AbstractAsyncContextManager[object] | None:
    """Keep the log within its limit, where this process is one in the background that prints it."""
    log = OwnLog(serving.runtime.paths.log)

    async def limit() -> None:
        while True:
            log.limit()
            await serving.clock.sleep(_LOG_SECONDS)

    return serving.loop("log", limit) if log.printed() else None


def _hold(serving: Serving) -> AbstractAsyncContextManager[object]:
    """End at once when the state is removed, for another orchestrator may start beside this one."""

    async def hold() -> None:
        while not serving.lock.is_lost:
            await serving.clock.sleep(_PACE_SECONDS)
        serving.give_up(StateGoneError(serving.lock.path.parent))

    return serving.loop("hold", hold)


def _telling(serving: Serving) -> AbstractAsyncContextManager[object]:
    return serving.loop("health", serving.keep_telling)


def _runtime(serving: Serving) -> AbstractAsyncContextManager[object]:
    return serving.runtime


def _activity(serving: Serving) -> AbstractAsyncContextManager[object]:
    return serving.loop("activity", serving.runtime.followed)


@asynccontextmanager
async def _manifests(serving: Serving) -> AsyncIterator[None]:
    """Apply the manifest that was named, and look at every source once."""
    hydration, options, name = serving.runtime.hydration, serving.options, ""
    report: SyncReport | None = None
    if options.manifest:
        name = await asyncio.to_thread(
            source_at, serving.runtime, options.manifest, trust=options.trust
        )
    if serving.follows_sources and hydration.sources():
        report = await serving.sync()
    elif name and local_path(options.manifest) is not None:
        report = await serving.sync(name)
    if name and not _serves(serving, name):
        await asyncio.to_thread(hydration.hydrate, name)
        if not _serves(serving, name):
            failed = [each.error for each in report.sources if each.error] if report else []
            raise hydration.problems.get(name) or next(iter(failed), _unknown(options.manifest))
    yield


def _serves(serving: Serving, name: str) -> bool:
    """Tell whether anything of a source is applied, or of a member of a folder."""
    return any(f"{each}.".startswith(f"{name}.") for each in serving.runtime.hydration.serving)


def _unknown(manifest: str) -> UnavailableError:
    hint = "leave --no-remote out once, so that it is fetched"
    return UnavailableError(f"nothing was kept of {manifest}", hint=hint)


@asynccontextmanager
async def _work(serving: Serving) -> AsyncIterator[None]:
    checkpoints = serving.options.checkpoints
    async with Work(serving.runtime, checkpoints=checkpoints, is_entered=True) as serving.work:
        yield


def _secrets(serving: Serving) -> AbstractAsyncContextManager[object]:
    return serving.loop("secrets", serving.runtime.secrets.run)


@asynccontextmanager
async def _telemetry(serving: Serving) -> AsyncIterator[None]:
    recorder = serving.runtime.telemetry
    recorder.begin()
    async with serving.loop("telemetry", partial(recorder.follow, serving.work.journal.read)):
        yield


@asynccontextmanager
async def _exports(serving: Serving) -> AsyncIterator[None]:
    """Hand over spans and metrics, and at the end what has not been, unless that takes long."""
    exporter = serving.runtime.exporter
    async with serving.loop("exports", exporter.run):
        yield
    await exporter.flush(limit=LAST_SECONDS)


def _recovery(serving: Serving) -> AbstractAsyncContextManager[object] | None:
    run = serving.work.recovery().run
    return serving.loop("recovery", run) if serving.options.works else None


def _schedule(serving: Serving) -> AbstractAsyncContextManager[object] | None:
    run = serving.work.scheduler().run
    return serving.loop("schedule", run) if serving.options.works else None


def _notices(serving: Serving) -> AbstractAsyncContextManager[object] | None:
    return serving.loop("notices", serving.work.notices.run) if serving.options.works else None


def _worker(serving: Serving) -> AbstractAsyncContextManager[object] | None:
    worker = serving.work.worker()
    if not serving.options.works:
        return None
    serving.at_stop(worker.stop, hurry=worker.hurry)
    return serving.loop("worker", worker.run, stop=worker.stop)


def _deferred(serving: Serving) -> AbstractAsyncContextManager[object] | None:
    deliver = serving.runtime.deliver_deferred
    return serving.loop("deferred-events", deliver) if serving.options.works else None


def _supervisor(serving: Serving) -> AbstractAsyncContextManager[object] | None:
    supervisor = serving.runtime.supervisor
    is_wanted = supervisor.status().enabled and serving.options.works
    return serving.loop("supervisor", supervisor.run) if is_wanted else None


def _watcher(serving: Serving) -> AbstractAsyncContextManager[object] | None:
    settings = serving.runtime.config.section("watch")
    assert isinstance(settings, WatchSettings)
    return serving.loop("watcher", serving.runtime.watcher.watch) if settings.enabled else None


def _follow(serving: Serving) -> None:
    """Have what is up follow the configuration, also where no file is watched."""
    if not serving.loops.is_running("watcher"):
        serving.loops.begin("watcher", serving.runtime.watcher.watch)


def _sources(serving: Serving) -> AbstractAsyncContextManager[object] | None:
    runtime = serving.runtime
    if not (serving.follows_sources and runtime.hydration.sources()):
        return None
    seconds = serving.options.refresh_interval or runtime.hydration.settings.refresh_interval

    async def follow() -> None:
        await serving.clock.sleep(seconds)  # they were looked at just now
        await runtime.remote.watch(seconds, told=serving.synced)

    return serving.loop("sources", follow)


def _reloads(serving: Serving) -> AbstractAsyncContextManager[object]:
    async def reload() -> None:
        while True:
            await serving.until_reload()
            serving.manager.reloading()
            _follow(serving)
            is_well = await serving.runtime.watcher.refresh()
            errors = (await serving.sync()).errors if serving.follows_sources else ()
            log_reloaded(configuration_is_well=is_well, sources_are_well=not errors)
            await serving.tell_health()
            if serving.ready:  # no end was asked for meanwhile
                serving.manager.ready("ready" if is_well else "ready; the configuration is wrong")

    return serving.loop("reloads", reload)


def _alive(serving: Serving) -> AbstractAsyncContextManager[object] | None:
    manager = serving.manager
    return serving.loop("watchdog", manager.keep_alive) if manager.watchdog_seconds else None


@asynccontextmanager
async def _control(serving: Serving) -> AsyncIterator[None]:
    """Answer commands of other processes; until everything is up, they hear that too."""
    runtime = serving.runtime
    server = ControlServer(
        runtime,
        serving.work,
        ready=partial(_in_the_way, serving),
        stop=serving.stop,
        follow=partial(_follow, serving),
        standing=serving.standing,
    )
    async with server:
        serving.at_stop(bool, hurry=server.hurry)
        serving.addresses["control"] = str(server.path)
        yield


def _in_the_way(serving: Serving) -> Sequence[str]:
    return () if serving.ready else (f"the orchestrator is {serving.state}",)


def _http(serving: Serving) -> AbstractAsyncContextManager[object] | None:
    address = _http_address(serving)
    return None if address is None else _scheduler(serving, *address)


@asynccontextmanager
async def _scheduler(serving: Serving, host: str, port: int) -> AsyncIterator[None]:
    """Take callbacks over HTTP, from before everything is up: `/readyz` says what is in the way."""
    server = SchedulerHTTPServer(
        serving.work,
        ready=partial(_in_the_way, serving),
        metrics=serving.runtime.metrics.prometheus,
        host=host,
        port=port,
    )
    async with server:
        serving.addresses["http"] = server.where.url
        serving.at_stop(server.stop, hurry=server.hurry)
        yield


def _http_address(serving: Serving) -> tuple[str, int] | None:
    """Return where HTTP is to be served, or None: on Cloud Run that is told by `PORT`.

    Raises:
        InvalidError: `PORT` is no port.
    """
    options, process = serving.options, serving.runtime.config.process
    settings = serving.runtime.config.section("http")
    assert isinstance(settings, HttpSettings)
    host, port = options.http_host, options.http_port
    port = settings.port if port is None else port
    if port is None and process.get("K_SERVICE") and "PORT" in process:
        told = process["PORT"]
        if not (told.isascii() and told.isdecimal() and int(told) < _PORTS):
            hint = "a number from 0 to 65535, or --http-port"
            raise InvalidError(f"PORT is {told!r}, which is no port", hint=hint)
        host, port = host or "0.0.0.0", int(told)  # noqa: S104  only who is known is let in there
    return (host, port) if options.http and port is not None else None


PARTS: Sequence[tuple[str, PartMaker]] = (
    ("lock", _lock),
    ("health", _health),
    ("loops", _loops),
    ("hold", _hold),
    ("log", _log),
    ("watchdog", _alive),
    ("telling", _telling),
    ("runtime", _runtime),
    ("activity", _activity),
    ("manifests", _manifests),
    ("work", _work),
    ("secrets", _secrets),
    ("telemetry", _telemetry),
    ("exports", _exports),
    ("recovery", _recovery),
    ("schedule", _schedule),
    ("notices", _notices),
    ("worker", _worker),
    ("deferred-events", _deferred),
    ("supervisor", _supervisor),
    ("watcher", _watcher),
    ("sources", _sources),
    ("reloads", _reloads),
    ("control", _control),
    ("http", _http),
)
"""Every part by its name."""
