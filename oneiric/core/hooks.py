"""Functions called at the turning points of a swap."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple, TypeAlias, cast

from oneiric.core.candidate import Candidate
from oneiric.core.guard import Guard
from oneiric.core.ref import ComponentRef
from oneiric.errors import ComponentError


class HookPoint(StrEnum):
    """When a hook is called."""

    PRE_SWAP = "pre_swap"
    POST_SWAP = "post_swap"
    CLEANUP = "cleanup"


class SwapContext(NamedTuple):
    """What a hook is told: the place, what serves afterwards and what served before.

    At `cleanup`, `after` and `instance` are what has just been cleaned up.
    """

    ref: ComponentRef[Any]
    after: Candidate
    instance: object
    before: Candidate | None = None
    previous: object = None


Hook: TypeAlias = Callable[[SwapContext], object]


class Hooks:
    """Keep hooks by their point and call them in the order in which they were added."""

    def __init__(self, guard: Guard, *, limit: float) -> None:
        self._guard = guard
        self._limit = limit
        self._hooks: dict[HookPoint, dict[object, Hook]] = {point: {} for point in HookPoint}

    def add(self, point: HookPoint, function: Hook) -> Callable[[], None]:
        """Add *function*, as often as it is given, and return its removal."""
        key = object()
        self._hooks[point][key] = function
        return lambda: cast("None", self._hooks[point].pop(key, None))

    async def run(self, point: HookPoint, context: SwapContext) -> ComponentError | None:
        """Call the hooks of *point*; stop at the first failure and return it."""
        for function in tuple(self._hooks[point].values()):
            outcome = await self._guard.call(partial(function, context), limit=self._limit)
            if outcome.error is not None:
                reason = f"hook {getattr(function, '__qualname__', function)}: {outcome.reason}"
                return context.after.failure(str(point), reason, outcome.error)
        return None
