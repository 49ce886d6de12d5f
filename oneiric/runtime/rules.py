"""What a configuration says about who serves, put in force."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from oneiric.core.precedence import Selection, StackOrder
from oneiric.domains import ALL, DomainSettings
from oneiric.runtime.settings import LifecycleSettings, ResolverSettings

if TYPE_CHECKING:
    from oneiric.config import Config
    from oneiric.core.resolver import Resolver


def put_in_force(config: Config, resolver: Resolver) -> None:
    """Have *resolver* choose as *config* says: its selections, its stack order, how strictly."""
    settings, lifecycle = config.section("resolver"), config.section("lifecycle")
    assert isinstance(settings, ResolverSettings)
    assert isinstance(lifecycle, LifecycleSettings)
    origin = config.origin("resolver.stack_order")
    resolver.configure(
        selections=_selections(config),
        stacks=StackOrder.parse(settings.stack_order, origin=origin),
        strict_selections=settings.strict_selections,
        failover=lifecycle.failover,
    )


def _selections(config: Config) -> Iterator[Selection]:
    for domain in ALL.values():
        section = config.section(domain.section)
        assert isinstance(section, DomainSettings)
        for key, provider in section.selections.items():
            origin = config.origin(f"{domain.section}.selections.{key}")
            yield Selection.of(f"{domain.name}:{key}", provider, origin=origin)
