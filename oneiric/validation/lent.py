"""A component's own methods, each done by whoever serves its place then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oneiric.core.lifecycle import LifecycleManager


class Lent:
    """Stand for a component: each call of an async method holds whoever serves at that time."""

    def __init__(self, lifecycle: LifecycleManager, ref: str) -> None:
        self._lifecycle = lifecycle
        self._ref = ref

    def __repr__(self) -> str:
        return f"Lent({self._ref!r})"

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        if name.startswith("_"):
            raise AttributeError(name)

        async def called(*args: Any, **kwargs: Any) -> Any:
            async with self._lifecycle.use(self._ref) as component:
                return await getattr(component, name)(*args, **kwargs)

        return called
