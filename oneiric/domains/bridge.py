"""The way into one domain, by key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from oneiric.core.ref import ComponentRef

if TYPE_CHECKING:
    from oneiric.core.activity import Activity
    from oneiric.core.decision import Decision
    from oneiric.core.handle import Handle
    from oneiric.core.lifecycle import LifecycleManager
    from oneiric.core.status import DrainReport
    from oneiric.domains.domain import Domain


class ActivityVerbs(Protocol):
    """Who is told to pause, resume and drain: a lifecycle, or what also stores it."""

    async def pause(self, ref: str, *, note: str = "", actor: str = "") -> Activity:
        """Refuse new work at once."""
        ...

    async def resume(self, ref: str, *, actor: str = "") -> Activity:
        """Accept work again."""
        ...

    async def drain(
        self, ref: str, *, limit: float | None = None, note: str = "", actor: str = ""
    ) -> DrainReport:
        """Refuse new work and wait until none is in flight in this process."""
        ...


class DomainBridge:
    """Use, explain, pause and drain the components of one domain by their keys.

    Args:
        domain: the domain.
        lifecycle: who brings components up.
        verbs: who pauses, resumes and drains; the lifecycle, for this process only,
            without one.
    """

    __slots__ = ("domain", "lifecycle", "verbs")

    def __init__(
        self, domain: Domain, lifecycle: LifecycleManager, *, verbs: ActivityVerbs | None = None
    ) -> None:
        self.domain = domain
        self.lifecycle = lifecycle
        self.verbs: ActivityVerbs = verbs or lifecycle

    def ref(self, key: str) -> ComponentRef[Any]:
        """Return the reference of *key*; `key@provider` names one offer.

        Raises:
            InvalidRefError: *key* is no name.
        """
        return ComponentRef(f"{self.domain.name}:{key}")

    def keys(self) -> list[str]:
        """Return the keys for which something is on offer, sorted."""
        return [ref.key for ref in self.lifecycle.resolver.registry.refs(self.domain.name)]

    def use(self, key: str, *, provider: str = "", needs: Iterable[str] = ()) -> Handle[Any]:
        """Return a handle whose block holds the component, as `LifecycleManager.use` does."""
        return self.lifecycle.use(self.ref(key), provider=provider, needs=needs)

    def explain(self, key: str, *, needs: Iterable[str] = ()) -> Decision:
        """Decide who serves *key* and say why."""
        return self.lifecycle.resolver.explain(self.ref(key), needs=needs)

    def decisions(self) -> list[Decision]:
        """Return the decision for every key, sorted by key."""
        return [self.explain(key) for key in self.keys()]

    async def pause(self, key: str, *, note: str = "", actor: str = "") -> Activity:
        """Refuse new work for *key* at once."""
        return await self.verbs.pause(self.ref(key), note=note, actor=actor)

    async def resume(self, key: str, *, actor: str = "") -> Activity:
        """Accept work for *key* again."""
        return await self.verbs.resume(self.ref(key), actor=actor)

    async def drain(
        self, key: str, *, limit: float | None = None, note: str = "", actor: str = ""
    ) -> DrainReport:
        """Refuse new work for *key* and wait until none is in flight."""
        return await self.verbs.drain(self.ref(key), limit=limit, note=note, actor=actor)
