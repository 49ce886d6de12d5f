"""Who may end a run of a recipe while it is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from oneiric.errors import InvalidError

if TYPE_CHECKING:
    from oneiric.domains.host import Host


class Stop(Protocol):
    """Who heeds the wish that a run be stopped."""

    @property
    def number(self) -> int:
        """The signal that came, or 0."""
        ...

    def then(self, stop: Callable[[], object]) -> None:
        """Have *stop* called on the running loop at each wish, also at one that came already."""
        ...


def heed(stop: Stop, on: Host) -> None:
    """Cancel the run that is under way on a host at each wish; before there is one, this task.

    At the first what runs is stopped and the final steps are done, at the second those are
    stopped too.
    """
    task = asyncio.current_task()
    assert task is not None

    def wished() -> None:
        runs = on.engine.under_way
        if runs:  # the first is the one that others may be nested in
            on.lifecycle.builder.guard.keep(cancel(runs[0].run_id))
        elif not ended:
            task.cancel()

    async def cancel(run_id: str) -> None:
        ended.append(run_id)
        with suppress(InvalidError):  # it has ended meanwhile
            await on.engine.cancel(run_id, actor="signal", reason="it was interrupted")

    ended: list[str] = []
    stop.then(wished)
