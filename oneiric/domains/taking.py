"""Take up a run that somebody else may still hold: the claim of whoever has died ends by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from oneiric.errors import LockedError

if TYPE_CHECKING:
    from oneiric.clock import Clock

T = TypeVar("T")

_POLL_SECONDS = 0.25


async def taken_up(
    run_id: str,
    take: Callable[[], Awaitable[T]],
    *,
    clock: Clock,
    seconds: float,
    notice: Callable[[str], object],
) -> T:
    """Call *take* until nobody else holds the run, and return what it returns then.

    Args:
        run_id: the run.
        take: takes it up, or raises `LockedError`.
        clock: the source of time.
        seconds: how long a claim lasts that is not renewed, and so what is waited at most.
        notice: is told once that it is waited.

    Raises:
        LockedError: it is held by then too, so whoever holds it lives.
    """
    until = clock.monotonic() + seconds + _POLL_SECONDS
    is_told = False
    while True:
        try:
            return await take()
        except LockedError:
            if clock.monotonic() > until:
                raise
        if not is_told:
            notice(f"waits until nobody holds the run {run_id}: {seconds:g} s at most")
            is_told = True
        await clock.sleep(_POLL_SECONDS)
