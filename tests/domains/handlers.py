"""Handlers of every temper, for tests of the dispatcher."""

import asyncio
from collections.abc import Callable
from typing import Any

from oneiric.backoff import Backoff
from oneiric.domains.events import (
    DeclinedError,
    Event,
    EventDispatcher,
    EventHandler,
)
from oneiric.runs.plan import Retry

EVENT = Event(id="e-1", type="order.created", data={"order": 1})
TWICE = Retry(attempts=2, backoff=Backoff(base_seconds=5, jitter=0))


def handler(name: str, function: Callable[[Event], object], **more: Any) -> EventHandler:
    return EventHandler(name=name, function=function, **more)


def exclusive(name: str, function: Callable[[Event], object], priority: int) -> EventHandler:
    return handler(name, function, priority=priority, fanout="exclusive")


async def fine(event: Event) -> str:
    await asyncio.sleep(0)
    return event.id


def broken(event: Event) -> None:
    raise ValueError(f"no {event.id}")


def declining(event: Event) -> None:
    raise DeclinedError("not mine")


async def hanging(event: Event) -> None:
    await asyncio.sleep(60)


class Gate:
    """A handler that waits until it is opened, and counts who is inside."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.inside = self.most = self.ended = 0

    async def __call__(self, event: Event) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await self.open.wait()
        finally:
            self.inside -= 1
            self.ended += 1


async def outcomes(dispatcher: EventDispatcher, event: Event = EVENT) -> list[tuple[str, str]]:
    results = await dispatcher.dispatch(event)
    return [(result.handler, str(result.outcome)) for result in results]
