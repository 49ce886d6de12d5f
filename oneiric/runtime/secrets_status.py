"""How secrets are read: from which stores, in which order, and for how long they count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from oneiric.documents.tables import json_table

if TYPE_CHECKING:
    from oneiric.core.resolver import Resolver
    from oneiric.errors import JSONValue
    from oneiric.runtime.secret_stores import SecretStores


@dataclass(frozen=True, slots=True)
class StoreStanding:
    """One store of the order: `inline`, or a provider; and whether it is the one that is asked."""

    name: str
    kind: str
    standing: str
    why: str = ""

    def as_json(self) -> dict[str, JSONValue]:
        """Return `{"name", "kind", "standing", "why"}`."""
        return json_table(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretsStatus:
    """The stores in order, what counts for how long, and how many are kept; no names, no values."""

    ref: str
    order: tuple[StoreStanding, ...]
    cache_ttl_seconds: float
    stale_seconds: float
    refresh_interval: float
    inline: int
    cached: int

    @property
    def provider(self) -> str:
        """Who is asked, after what is inline; empty where nobody may serve."""
        asked = [each for each in self.order if each.kind == "provider"]
        return next((each.name for each in asked if each.standing == "selected"), "")

    def rows(self) -> list[tuple[str, str, str]]:
        """Return each store, its standing, and why."""
        return [(each.name, each.standing, each.why) for each in self.order]

    def as_json(self) -> dict[str, JSONValue]:
        """Return the same as JSON, for the documents that it is part of."""
        return {
            "ref": self.ref,
            "provider": self.provider or None,
            "order": [each.as_json() for each in self.order],
            "cache_ttl_seconds": self.cache_ttl_seconds,
            "stale_seconds": self.stale_seconds,
            "refresh_interval": self.refresh_interval,
            "inline_entries": self.inline,
            "prefetched": self.cached,
        }


def status_of(stores: SecretStores, resolver: Resolver, *, cached: int) -> SecretsStatus:
    """Return how *stores* stand by the rules of now; nothing is brought up."""
    settings = stores.settings
    ref = stores.place.offer(settings.provider) if settings.provider else stores.place
    order = [StoreStanding("inline", "inline", "selected")] if settings.inline else []
    order += [
        StoreStanding(each.provider, "provider", str(each.place), each.why)
        for each in resolver.explain(ref).standings
    ]
    return SecretsStatus(
        ref=str(ref),
        order=tuple(order),
        cache_ttl_seconds=settings.cache_ttl_seconds,
        stale_seconds=settings.stale_seconds,
        refresh_interval=settings.refresh_interval,
        inline=len(settings.inline),
        cached=cached,
    )
