"""Tasks that nobody waits for: kept until they end, their errors seen."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Mapping
from typing import Any

import pytest

from oneiric.kept import Kept


async def test_a_task_is_kept_until_it_ends() -> None:
    """Nobody but the set refers to the task, which ends in order and is forgotten then."""
    kept, go, ended = Kept(), asyncio.Event(), []

    async def work() -> None:
        await go.wait()
        ended.append(True)

    kept.start(work())
    await asyncio.sleep(0)
    gc.collect()
    go.set()
    await kept.settle()

    assert (ended, len(kept)) == ([True], 0)


async def test_an_error_is_seen_and_still_raised_to_who_awaits() -> None:
    """The loop does not complain about an error that nobody asked for; who awaits gets it."""
    kept, complaints = Kept(), list[Mapping[str, Any]]()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, about: complaints.append(about))

    async def fail() -> None:
        raise ValueError("bad")

    kept.start(fail())
    await kept.settle()
    gc.collect()
    with pytest.raises(ValueError, match="bad"):
        await kept.start(fail())

    assert complaints == []


async def test_settling_waits_for_later_ones_and_has_a_limit() -> None:
    """A task begun by another is waited for too; one that does not end is left at the limit."""
    kept, ended = Kept(), []

    async def later() -> None:
        ended.append("later")

    async def first() -> None:
        kept.start(later())

    kept.start(first())
    await kept.settle()
    assert ended == ["later"]

    hung = kept.start(asyncio.Event().wait())
    await kept.settle(0.01)
    assert set(kept) == {hung}
    hung.cancel()
    await kept.settle()
    assert not kept
