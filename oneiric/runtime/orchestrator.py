"""The one composition root: configuration, registry, lifecycle, plugins and bridges."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self, TypeVar

from pydantic import BaseModel

from oneiric.clock import Clock, SystemClock, rfc3339
from oneiric.config import CachePaths, Config, load_config
from oneiric.core.lifecycle import LifecycleManager
from oneiric.core.plugin import Plugin
from oneiric.core.precedence import Selection, StackOrder
from oneiric.core.ref import ComponentRef
from oneiric.core.resolver import Resolver
from oneiric.core.swap import SwapReport
from oneiric.domains import ALL, DomainBridge, DomainSettings
from oneiric.errors import ConfigError, InvalidRefError, Problem, StoreError, nearest
from oneiric.runtime.discovery import discover, prefixes
from oneiric.runtime.lifecycle_log import LifecycleLog, log_plugins
from oneiric.runtime.provider_settings import ProviderSettings
from oneiric.runtime.settings import (
    SECTIONS,
    VARIABLES,
    LifecycleSettings,
    PluginSettings,
    ResolverSettings,
)
from oneiric.stores import SelectionStore, StoredSelection

M = TypeVar("M", bound=BaseModel)


class RuntimeOrchestrator:
    """Compose everything from one configuration, and end it in order.

    Making one reads the configuration, the plugins of installed distributions and the
    stored selections; it brings nothing up and writes nothing. Use it as `async with`;
    leaving closes every component.

    Args:
        config: what `load_config` returned for `SECTIONS`; see `open`.
        plugins: further plugins of this program's own, such as the demonstration's.
        clock: the source of time.

    Raises:
        ConfigError: the stack order or a selection is wrong.
        StoreError: the stored selections cannot be read.
    """

    def __init__(
        self, config: Config, *, plugins: Iterable[Plugin] = (), clock: Clock | None = None
    ) -> None:
        self.config = config
        self.clock = clock or SystemClock()
        self.paths = CachePaths.under(config.folder)
        self.resolver = Resolver()
        self.discovered = discover(self._section("plugins", PluginSettings))
        self.store = SelectionStore(self.paths.database)
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
        self.bridges: Mapping[str, DomainBridge] = MappingProxyType(
            {name: DomainBridge(domain, self.lifecycle) for name, domain in ALL.items()}
        )
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
        config = load_config(
            SECTIONS, path=path, profile=profile, folder=folder, variables=VARIABLES
        )
        return cls(config, plugins=plugins)

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
            await asyncio.to_thread(self.remember, named.place, provider=chosen, actor=actor)
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
                self.remember, report.ref.place, provider=report.after, actor=actor
            )
        return report

    def remember(self, ref: str, *, provider: str, actor: str = "") -> None:
        """Store the selection of *provider* for a place, or without one forget it.

        Raises:
            StoreError: nothing was stored.
        """
        if not provider:
            self.store.clear(ref)
            return
        configured = self.resolver.rules.configured.get(ref)
        self.store.save(
            StoredSelection(
                ref,
                provider,
                configured.provider if configured else "",
                actor,
                rfc3339(self.clock.now()),
            )
        )

    async def stop(self) -> None:
        """Close every component, dependents first.

        Raises:
            ExceptionGroup: cleanups failed; everything was closed all the same.
        """
        await self.lifecycle.close()

    async def __aenter__(self) -> Self:
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
        """Return what is wrong but stops nothing: broken plugins, settings for nobody."""
        broken = [
            f"plugin {plugin.distribution} ({plugin.group}) brought nothing: {plugin.error}"
            for plugin in self.discovered
            if plugin.error
        ]
        return [*broken, *self._settings_for_nobody()]

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
        configured = self._configured()
        self.resolver.configure(
            selections=configured,
            stacks=StackOrder.parse(settings.stack_order, origin=origin),
            strict_selections=settings.strict_selections,
            failover=lifecycle.failover,
        )
        named = {str(choice.ref): choice.provider for choice in configured}
        for stored in self.store.load().values():
            if stored.configured == named.get(stored.ref, ""):
                self.resolver.select(self._stored(stored))

    def _stored(self, stored: StoredSelection) -> Selection:
        by = f" by {stored.actor}" if stored.actor else ""
        try:
            return Selection.of(stored.ref, stored.provider, origin=f"swap at {stored.at}{by}")
        except InvalidRefError as error:
            raise StoreError(f"{self.paths.database} holds a damaged selection: {error}") from error

    def _configured(self) -> list[Selection]:
        """Return the selections of the configuration, or all that is wrong with them."""
        selections, problems = [], []
        for domain in ALL.values():
            chosen = self._section(domain.section, DomainSettings).selections
            for key, provider in chosen.items():
                path = f"{domain.section}.selections.{key}"
                origin = self.config.origin(path)
                try:
                    choice = Selection.of(f"{domain.name}:{key}", provider, origin=origin)
                except InvalidRefError as error:
                    problems.append(Problem(path, error.reason, origin))
                else:
                    selections.append(choice)
        if problems:
            raise ConfigError("selections are wrong", problems=problems)
        return selections
