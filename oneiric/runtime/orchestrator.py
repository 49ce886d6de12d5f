"""The one composition root: configuration, registry, lifecycle, plugins and bridges."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from pydantic import BaseModel

from oneiric.clock import Clock, SystemClock
from oneiric.config import CachePaths, Config, load_config
from oneiric.core.lifecycle import LifecycleManager
from oneiric.core.plugin import Plugin
from oneiric.core.precedence import Selection, StackOrder
from oneiric.core.ref import ComponentRef
from oneiric.core.resolver import Resolver
from oneiric.core.swap import SwapReport
from oneiric.domains import ALL, ActionBridge, DomainBridge, DomainSettings
from oneiric.errors import Problem, nearest
from oneiric.runtime.discovery import discover, prefixes
from oneiric.runtime.lifecycle_log import LifecycleLog, log_plugins
from oneiric.runtime.part import Part
from oneiric.runtime.provider_settings import ProviderSettings
from oneiric.runtime.settings import (
    SECTIONS,
    VARIABLES,
    LifecycleSettings,
    PluginSettings,
    ResolverSettings,
)
from oneiric.runtime.settings_in_use import SettingsInUse
from oneiric.runtime.stored import StoredSwaps

if TYPE_CHECKING:
    from oneiric.domains.events import EventBridge

M = TypeVar("M", bound=BaseModel)


class RuntimeOrchestrator:
    """Compose everything from one configuration, and end it in order.

    Making one reads the configuration, the plugins of installed distributions and the
    stored selections; it brings nothing up and writes nothing. Use it as `async with`:
    entering is refused where the stored selections cannot be read, for another provider
    might serve than was selected; leaving closes every component.

    Args:
        config: what `load_config` returned for `SECTIONS`; see `open`.
        plugins: further plugins of this program's own, such as the demonstration's.
        clock: the source of time.

    """

    events: Part[EventBridge] = Part("oneiric.runtime.event_part:events_of")

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
        self.lifecycle = LifecycleManager(
            self.resolver,
            settings=ProviderSettings(config),
            limits=lifecycle.limits,
            allowed=prefixes(self.discovered, self._section("plugins", PluginSettings)),
            quarantine=lifecycle.quarantine,
            clock=self.clock,
            observer=LifecycleLog(),
        )
        self.actions = ActionBridge(ALL["action"], self.lifecycle)
        self._register(plugins)
        self._rule(lifecycle)

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
            return cls(right, plugins=brought).settings_in_use.problems()

        config = load_config(
            SECTIONS,
            path=path,
            profile=profile,
            folder=folder,
            variables=VARIABLES,
            further=further,
        )
        return cls(config, plugins=brought)

    @cached_property
    def bridges(self) -> Mapping[str, DomainBridge]:
        """The way into each domain, by its name; those of `actions` and `events` can do more."""
        plain = {name: DomainBridge(domain, self.lifecycle) for name, domain in ALL.items()}
        return MappingProxyType(plain | {"action": self.actions, "event": self.events})

    @cached_property
    def settings_in_use(self) -> SettingsInUse:
        """The settings of the providers that are configured or serve."""
        return SettingsInUse(
            self.config,
            self.resolver,
            allowed=self.lifecycle.builder.allowed,
            limit=self._section("plugins", PluginSettings).load_timeout,
        )

    async def swap(
        self, ref: str, *, provider: str = "", clear: bool = False, actor: str = ""
    ) -> SwapReport:
        """Swap a running component, and store its selection when that held.

        Raises:
            StoreError: the swap is done, but its selection will not outlive the process.
        """
        named: ComponentRef[object] = ComponentRef(ref)
        report = await self.lifecycle.swap(named, provider=provider, clear=clear)
        chosen = provider or named.provider
        if report.ok and (chosen or clear):
            await asyncio.to_thread(self.stored.remember, named.place, provider=chosen, actor=actor)
        return report

    async def rollback(self, ref: str, *, actor: str = "") -> SwapReport:
        """Swap back to who served before the last swap, and store that selection.

        Raises:
            NotFoundError: no earlier provider is known.
            StoreError: the swap is done, but its selection will not outlive the process.
        """
        report = await self.lifecycle.rollback(ref)
        if report.ok:
            await asyncio.to_thread(
                self.stored.remember, report.ref.place, provider=report.after, actor=actor
            )
        return report

    async def stop(self) -> None:
        """Close every component, dependents first.

        Raises:
            ExceptionGroup: cleanups failed; everything was closed all the same.
        """
        await self.lifecycle.close()

    async def __aenter__(self) -> Self:
        """Return the orchestrator.

        Raises:
            StoreError: the stored selections cannot be read.
        """
        if self.stored.problem is not None:
            raise self.stored.problem.again()
        log_plugins(self.discovered)
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
        return [*lost, *broken, *self._unheard(), *self._settings_for_nobody()]

    def _unheard(self) -> Iterator[str]:
        if self.resolver.registry.refs("event"):
            self.events.refresh()
            yield from (problem.message for problem in self.events.problems)

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

    def _rule(self, lifecycle: LifecycleSettings) -> None:
        settings = self._section("resolver", ResolverSettings)
        origin = self.config.origin("resolver.stack_order")
        self.resolver.configure(
            selections=self._configured(),
            stacks=StackOrder.parse(settings.stack_order, origin=origin),
            strict_selections=settings.strict_selections,
            failover=lifecycle.failover,
        )
        for choice in self.stored.in_force():
            self.resolver.select(choice)

    def _configured(self) -> Iterator[Selection]:
        for domain in ALL.values():
            chosen = self._section(domain.section, DomainSettings).selections
            for key, provider in chosen.items():
                origin = self.config.origin(f"{domain.section}.selections.{key}")
                yield Selection.of(f"{domain.name}:{key}", provider, origin=origin)
