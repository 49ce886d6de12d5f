"""Listeners hear what is told from the moment they listen, until the end."""

from __future__ import annotations

import asyncio

from oneiric.listeners import Listeners


async def test_every_listener_hears_the_same_until_the_end() -> None:
    """Each listener gets all that is told while they listen, and the empty text ends it."""
    listeners = Listeners()
    listeners.tell("nobody hears this")

    async def hear() -> list[str]:
        return [text async for text in listeners.listen()]

    async with asyncio.TaskGroup() as group:
        hearing = [group.create_task(hear()) for _ in range(2)]
        await asyncio.sleep(0)  # both begin
        for text in ("a", "b", "", "after the end"):
            listeners.tell(text)

    assert [each.result() for each in hearing] == [["a", "b"], ["a", "b"]]
    assert not listeners


async def test_a_queue_takes_what_is_told_inside_its_block() -> None:
    """A listener who is let go hears no more, whatever ended the block."""
    listeners = Listeners()
    with listeners.queue() as queue:
        listeners.tell("a")
        assert listeners
    listeners.tell("b")

    assert queue.qsize() == 1
    assert not listeners
