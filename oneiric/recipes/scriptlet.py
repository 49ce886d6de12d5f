"""What a scriptlet is: one class, which checks what it is given and then does one thing."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeVar

from oneiric.recipes.log import tell

if TYPE_CHECKING:
    from oneiric.recipes.context import Context

P = ParamSpec("P")
R = TypeVar("R")


class BaseScriptlet(ABC):
    """Do one step of a recipe.

    `run` prints exactly one JSON line, `{"status": "ok", "outputs": [keys]}` or
    `{"status": "error", "reason", "exit_code", "step"}`, and returns 0 or 1. What it writes to
    the context counts only if it succeeds. A class with `requires_process` is run in a process
    of its own, as is every step with a time limit: only a process can really be ended.
    """

    parallelizable: ClassVar[bool] = False
    requires_process: ClassVar[bool] = False

    def validate(self, ctx: Context, params: Any) -> None:  # noqa: B027  most need none
        """Raise if *params* are wrong, before anything has changed."""

    @abstractmethod
    def run(self, ctx: Context, params: Any) -> int:
        """Do the work, print the envelope, and return 0, or 1 where it failed."""


def track_resources(function: Callable[P, R]) -> Callable[P, R]:
    """Tell on stderr how many seconds each call of *function* took."""

    @wraps(function)
    def tracked(*args: P.args, **kwargs: P.kwargs) -> R:
        begun = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            seconds = time.perf_counter() - begun
            tell(f"[resource] duration_sec={seconds:.4f}")

    return tracked
