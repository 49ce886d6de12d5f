"""The one composition root: configuration, registry, lifecycle, plugins and bridges."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from pydantic import BaseModel

from oneiric.clock import Clock, SystemClock
from oneiric.config import CachePaths, Config, load_config
from oneiric.core.activity import Activity
from oneiric.core.candidate import SourceKind
from oneiric.core.guard import attempt_async
from oneiric.core.lifecycle import LifecycleManager
from oneiric.core.plugin import Plugin
from oneiric.core.ref import ComponentRef
from oneiric.core.resolver import Resolver
from oneiric.core.status import DrainReport
from oneiric.core.swap import SwapReport
from oneiric.domains import ALL, ActionBridge, DomainBridge, DomainSettings
from oneiric.errors import Problem, StoreError, nearest
from oneiric.remote.settings import RemoteSettings
from oneiric.runtime.activity import ActivityFollower
from oneiric.runtime.discovery import discover, prefixes
from oneiric.runtime.end_failed import EndFailedError, reasons
from oneiric.runtime.lifecycle_log import log_plugins, log_replay_failed
from oneiric.runtime.observers import Observers
from oneiric.runtime.part import Part
from oneiric.runtime.rooms import rooms
from oneiric.runtime.rules import put_in_force
from oneiric.runtime.running import Running
from oneiric.runtime.secret_settings import SettingsWithSecrets
from oneiric.runtime.settings import (
    ActivitySettings,
    AppSettings,
    LifecycleSettings,
    PluginSettings,
    SecretsSettings,
)
from oneiric.runtime.settings_in_use import SettingsInUse
from oneiric.runtime.stored import StoredSwaps
from oneiric.stores.activity import DomainActivityStore

if TYPE_CHECKING:
    from oneiric.domains.events import EventBridge
    from oneiric.metrics import Metrics
    from oneiric.remote.hydration import Hydration
    from oneiric.remote.obtain import Progress
    from oneiric.remote.report import SyncReport
    from oneiric.remote.sync import RemoteSync
    from oneiric.runtime.export import Exporter
    from oneiric.runtime.measures import Measures
    from oneiric.runtime.notifications import NotificationRouter
    from oneiric.runtime.reloads import Reloads
    from oneiric.runtime.secrets import SecretsHook
    from oneiric.runtime.serving import ServeOptions, Serving
    from oneiric.runtime.supervisor import ServiceSupervisor
    from oneiric.runtime.telemetry import RuntimeTelemetryRecorder
    from oneiric.runtime.watchers import SelectionWatcher

M = TypeVar("M", bound=BaseModel)
MANIFEST = SourceKind.MANIFEST


class RuntimeOrchestrator:
    """Compose everything from one configuration, and end it in order.

    Making one reads the configuration, the plugins of installed distributions, what the
    sources of manifests brought before and the stored selections; it brings nothing up, asks
    no server and writes nothing. Use it as `async with`:
    entering is refused where the stored selections cannot be read, for another provider
    might serve than was selected; leaving closes every component.

    Args:
        config: what `load_config` returned for the sections of all rooms; see `open`.
        plugins: further plugins of this program's own, such as the demonstration's.
        clock: the source of time.

    """

    events: Part[EventBridge] = Part("oneiric.runtime.event_part:events_of")
    notifications: Part[NotificationRouter] = Part("oneiric.runtime.notifications:router_of")
    hydration: Part[Hydration] = Part("oneiric.runtime.hydration:hydration_of")
    remote: Part[RemoteSync] = Part("oneiric.runtime.remote:remote_of")
    _serves: Part[Callable[[ServeOptions], Serving]] = Part("oneiric.runtime.serving:serves_of")
    reloads: Part[Reloads] = Part("oneiric.runtime.reloads:Reloads")
    secrets: Part[SecretsHook] = Part("oneiric.runtime.secrets:SecretsHook")
    watcher: Part[SelectionWatcher] = Part("oneiric.runtime.watchers:SelectionWatcher")
    supervisor: Part[ServiceSupervisor] = Part("oneiric.runtime.supervisor:ServiceSupervisor")
    metrics: Part[Metrics] = Part("oneiric.runtime.measures:metrics_of")
    measures: Part[Measures] = Part("oneiric.runtime.measures:measures_of")
    telemetry: Part[RuntimeTelemetryRecorder] = Part("oneiric.runtime.telemetry:telemetry_of")
    exporter: Part[Exporter] = Part("oneiric.runtime.export:exporter_of")

    def __init__(
        self, config: Config, *, plugins: Iterable[Plugin] = (), clock: Clock | None = None
    ) -> None:
        self.config = config
        self.clock = clock or SystemClock()
        self.paths = CachePaths.under(config.folder)
        self.resolver = Resolver()
        self.discovered = discover(self._section("plugins", PluginSettings))
        self.stored = StoredSwaps(self.paths.database, config, self.clock)
        lifecycle = self._section("lifecycle", LifecycleSettings)
        self.running = Running()
        self.lifecycle = LifecycleManager(
            self.resolver,
            settings=self.settings_to_make_with(config),
            limits=lifecycle.limits,
            allowed=prefixes(self.discovered, self._section("plugins", PluginSettings)),
            quarantine=lifecycle.quarantine,
            clock=self.clock,
            observer=Observers(self.running, lambda: self.measures),
        )
        self.running.watch(self.lifecycle)
        activity = self._section("activity", ActivitySettings)
        kept = config.folder / activity.store if activity.store else self.paths.activity
        self.activity = ActivityFollower(
            self.lifecycle,
            DomainActivityStore(kept),
            clock=self.clock,
            interval=activity.poll_interval,
            resumed=self._deliver,
            accepted=self._follow_winner,
        )
        self.activity.heard = self._count_activity
        self.activity_problem: StoreError | None = None
        self.unclosed: EndFailedError | None = None
        """What could not be closed after work that was done once."""
        self._following: asyncio.Task[None] | None = None
        self.actions = ActionBridge(ALL["action"], self.lifecycle, verbs=self.activity)
        self._register(plugins)
        if self._has_sources:
            self.hydration.hydrate()
        self._rule()

    @classmethod
    def open(
        cls,
        *,
        path: Path | None = None,
        profile: str | None = None,
        folder: Path | None = None,
        plugins: Iterable[Plugin] = (),
    ) -> Self:
        """Load the configuration as every command does, and compose.

        Raises:
            ConfigError: the configuration is wrong; carries every problem.
        """
        brought = tuple(plugins)

        def further(right: Config, problems: Sequence[Problem]) -> list[Problem]:
            if any(problem.key.partition(".")[0] == "plugins" for problem in problems):
                return []  # nothing says which plugins may be loaded
            return cls(right, plugins=brought).settings_in_use.problems(besides=problems)

        known = rooms()
        config = load_config(
            known.sections,
            path=path,
            profile=profile,
            folder=folder,
            variables=known.variables,
            further=further,
        )
        return cls(config, plugins=brought)

    @cached_property
    def bridges(self) -> Mapping[str, DomainBridge]:
        """The way into each domain, by its name; those of `actions` and `events` can do more."""
        plain = {
            name: DomainBridge(domain, self.lifecycle, verbs=self.activity)
            for name, domain in ALL.items()
        }
        return MappingProxyType(plain | {"action": self.actions, "event": self.events})

    @property
    def settings_in_use(self) -> SettingsInUse:
        """The settings of the providers that are configured or serve."""
        return self.settings_under(self.config)

    def settings_under(self, config: Config) -> SettingsInUse:
        """Return what `settings_in_use` would be if *config* counted."""
        return SettingsInUse(
            config,
            self.resolver,
            allowed=self.lifecycle.builder.allowed,
            limit=self._section("plugins", PluginSettings).load_timeout,
        )

    def settings_to_make_with(self, config: Config) -> SettingsWithSecrets:
        """Return what gives components their settings as *config* has them, secrets read."""
        return SettingsWithSecrets(config, self)

    def reload(self, config: Config) -> tuple[ComponentRef[object], ...]:
        """Put what *config* says about selections, stacks and providers in force, in one step.

        Returned are the places that are up and were made from something else; `watcher` swaps
        them. A stored swap ends where the file says something else about its place than it did.
        What else *config* says counts for what is made from now on, or after a restart.
        """
        return self.reloads.apply(config)

    async def swap(
        self, ref: str, *, provider: str = "", clear: bool = False, actor: str = ""
    ) -> SwapReport:
        """Swap a running component, and store its selection when that held.

        Raises:
            StoreError: the swap is done, but its selection will not outlive the process.
        """
        named: ComponentRef[object] = ComponentRef(ref)
        chosen = provider or named.provider
        async with self.stored.turn(named.place):
            report = await self.lifecycle.swap(named, provider=provider, clear=clear)
            if report.ok and (chosen or clear):
                await self._remember(report, chosen, actor)
        return report

    async def rollback(self, ref: str, *, actor: str = "") -> SwapReport:
        """Swap back to who served before the last swap, and store that selection.

        Raises:
            NotFoundError: no earlier provider is known.
            StoreError: the swap is done, but its selection will not outlive the process.
        """
        async with self.stored.turn(ComponentRef[object](ref).place):
            report = await self.lifecycle.rollback(ref)
            if report.ok:
                await self._remember(report, report.after, actor)
        return report

    async def _remember(self, report: SwapReport, provider: str, actor: str) -> None:
        remember = partial(self.stored.remember, report.ref.place, provider=provider, actor=actor)
        try:
            await asyncio.to_thread(remember)
        except StoreError as error:
            done = f"{report.ref.place} is served by {report.after} until this process ends"
            message = f"{done}, for its selection was not stored: {error.message}"
            raise StoreError(message, hint=error.hint) from error

    async def sync_remote(
        self, source: str = "", *, progress: Progress | None = None
    ) -> SyncReport:
        """Look at every source of manifests, or at one, and apply what is new.

        What a source brings is verified before any of it is used, and applied whole or not at
        all; running components whose winner changed are swapped. What is wrong with a source
        is in the report, and stops no other.

        Raises:
            NotFoundError: there is no source of that name.
        """
        return await self.remote.sync(source, progress=progress)

    def serve(self, options: ServeOptions) -> Serving:
        """Return this runtime as a long-running orchestrator, to be used as `async with`.

        It enters and leaves the runtime itself, and is the only one in its folder.
        """
        return self._serves(options)

    def load_activity(self) -> None:
        """Refuse work for what is stored as paused or draining, for who looks and enters nothing.

        Where it cannot be read, `activity_problem` says why.
        """
        try:
            self.activity.load()
        except StoreError as error:
            self.activity_problem = error

    async def pause(self, ref: str, *, note: str = "", actor: str = "") -> Activity:
        """Refuse new work for a component or an offer, here and in every other process.

        Raises:
            NotFoundError: nobody offers it, and it is neither up nor paused.
            StoreError: it was not stored; nothing has changed.
            ComponentError: the component's `pause` failed; new work is refused all the same.
        """
        return await self.activity.pause(ref, note=note, actor=actor)

    async def resume(self, ref: str, *, actor: str = "") -> Activity:
        """Accept work again, here and in every other process; deferred events are delivered.

        Raises:
            NotFoundError, StoreError: as in `pause`.
            ComponentError: the component's `resume` failed; it is tried again with each poll.
        """
        named: ComponentRef[object] = ComponentRef(ref)
        key = named.partition(":")[2]
        return await self.bridges[named.domain].resume(key, actor=actor)

    async def drain(
        self, ref: str, *, limit: float | None = None, note: str = "", actor: str = ""
    ) -> DrainReport:
        """Refuse new work here and in every other process, and wait until none is in flight here.

        Raises:
            NotFoundError, StoreError: as in `pause`.
        """
        return await self.activity.drain(ref, limit=limit, note=note, actor=actor)

    async def stop(self) -> None:
        """Close every component, dependents first.

        Until the last is closed, drains that others wait for are answered. What telemetry has
        not been written yet is written then.

        Raises:
            ExceptionGroup: cleanups failed; everything was closed all the same.
        """
        try:
            await self.lifecycle.close()
        finally:
            await self._follow_no_more()
            recorder: RuntimeTelemetryRecorder | None = vars(self).get("telemetry")
            if recorder is not None:
                await recorder.flush()

    async def end(self) -> None:
        """Stop, and keep in `unclosed` what failed of that instead of raising it."""
        outcome = await attempt_async(self.stop())
        if outcome.error is not None:
            self.unclosed = EndFailedError(reasons(outcome))
            self.unclosed.__cause__ = outcome.error

    @asynccontextmanager
    async def once(self) -> AsyncIterator[Self]:
        """Enter for one piece of work, and keep in `unclosed` what cannot be closed after it.

        Raises:
            StoreError: the stored selections cannot be read.
        """
        await self.__aenter__()
        try:
            yield self
        finally:
            await self.end()

    async def __aenter__(self) -> Self:
        """Return the orchestrator, which takes no work for what is stored as paused or draining.

        Raises:
            StoreError: the stored selections cannot be read.
        """
        if self.stored.problem is not None:
            raise self.stored.problem.again()
        log_plugins(self.discovered)
        await self.activity.catch_up()
        self._following = self._follow()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def warnings(self) -> list[str]:
        """Return what is wrong but stops nothing: broken plugins, handlers, settings for nobody.

        Selections that cannot be read stop nobody who only looks.
        """
        broken = [
            f"plugin {plugin.distribution} ({plugin.group}) brought nothing: {plugin.error}"
            for plugin in self.discovered
            if plugin.error
        ]
        unread = self.stored.problem
        lost = [f"selections made with swap are left out: {unread.message}"] if unread else []
        if self.activity_problem is not None:
            lost.append(f"what is paused is left out: {self.activity_problem.message}")
        afar = self.hydration.warnings() if self._has_sources else ()
        exposed = self._secrets_in_the_open()
        return [*lost, *broken, *afar, *exposed, *self._unheard(), *self._settings_for_nobody()]

    def _unheard(self) -> Iterator[str]:
        """Yield which offers of handlers are wrong; what manifests offer is told by who asks."""
        registry = self.resolver.registry
        offers = (each for ref in registry.refs("event") for each in registry.offers(ref))
        if "events" in vars(self) or any(each.source.kind is not MANIFEST for each in offers):
            self.events.refresh()
            yield from (problem.message for problem in self.events.problems)

    def _follow(self) -> asyncio.Task[None]:
        return asyncio.create_task(self.activity.follow(), name="activity")

    async def _follow_no_more(self) -> None:
        following, self._following = self._following, None
        if following is None:
            return
        following.cancel()
        await asyncio.wait({following})
        await self.activity.leave()
        if not following.cancelled():
            following.result()

    async def followed(self) -> None:
        """Wait for as long as what others pause is followed; where that fails, begin it anew.

        Raises:
            Exception: why it failed.
        """
        following = self._following
        if following is not None:
            await asyncio.wait({following})
            if not following.cancelled():
                self._following = self._follow()
                following.result()

    async def deliver_deferred(self, key: str = "") -> None:
        """Deliver the events that waited for a handler which takes work again, or for all such.

        What fails is logged, and stays a dead letter.
        """
        outcome = await attempt_async(self.events.replay_deferred(key))
        if outcome.error is not None:  # whatever it is, others go on
            log_replay_failed(self.events.domain.name, key, outcome.reason)

    def _count_activity(self, ref: ComponentRef[object], activity: Activity) -> None:
        self.measures.activity(ref, activity)

    async def _deliver(self, ref: ComponentRef[object]) -> None:
        if ref.domain == self.events.domain.name:
            await self.deliver_deferred(ref.partition(":")[2])

    async def _follow_winner(self, ref: ComponentRef[object]) -> None:
        """Do the swap that a sync or a rotation put off until *ref* took work again."""
        for part in ("remote", "secrets"):  # who was never asked for put nothing off
            found: RemoteSync | SecretsHook | None = vars(self).get(part)
            if found is not None:
                await found.resumed(ref)

    def _secrets_in_the_open(self) -> Iterator[str]:
        environment = self._section("app", AppSettings).environment
        if environment != "development" and self._section("secrets", SecretsSettings).inline:
            place = self.config.place("secrets.inline")
            yield f"secrets.inline ({place}) is for development, and this is {environment}"

    def _settings_for_nobody(self) -> Iterator[str]:
        registry = self.resolver.registry
        for domain in ALL.values():
            offers = [offer for ref in registry.refs(domain.name) for offer in registry.offers(ref)]
            known = {offer.provider for offer in offers}
            known |= {f"{offer.ref.key}@{offer.provider}" for offer in offers}
            for name in self._section(domain.section, DomainSettings).provider_settings:
                if name not in known:
                    path = f"{domain.section}.provider_settings.{name}"
                    close = nearest(name, sorted(known))
                    hint = f"; did you mean {close}?" if close else ""
                    yield f"{path} ({self.config.place(path)}): no such provider{hint}"

    @property
    def _has_sources(self) -> bool:
        """Whether any manifests are configured; without one nothing of that room is imported."""
        remote = self._section("remote", RemoteSettings)
        return remote.enabled and bool(remote.sources)

    def _section(self, name: str, model: type[M]) -> M:
        section = self.config.section(name)
        assert isinstance(section, model)
        return section

    def _register(self, plugins: Iterable[Plugin]) -> None:
        offers = [plugin.candidates for plugin in self.discovered]
        offers += [plugin.candidates for plugin in plugins]
        for candidates in offers:
            for candidate in candidates:
                self.resolver.register(candidate)

    def _rule(self) -> None:
        put_in_force(self.config, self.resolver)
        for choice in self.stored.in_force():
            self.resolver.select(choice)
