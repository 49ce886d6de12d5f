"""What telling handlers costs, beside a bare gather of the same."""

import asyncio

from oneiric.domains.events import Event, EventDispatcher, EventHandler
from tests.benchmarks.lifecycle import by_turns
from tests.benchmarks.measure import Row, Size

EVENT = Event(id="1", type="order.created", data={"order_id": "a-1"})


async def _nothing(event: Event) -> None: ...


def dispatch(size: Size) -> list[Row]:
    """Measure a dispatch to handlers that do nothing, each isolated and with its limit."""
    return [asyncio.run(_dispatch(size, count)) for count in (1, 10)]


async def _dispatch(size: Size, count: int) -> Row:
    names = [f"h{number}" for number in range(count)]
    dispatcher = EventDispatcher(
        EventHandler(name=name, function=_nothing, topics=("order.*",)) for name in names
    )
    functions = [_nothing] * count

    async def dispatches(calls: int) -> None:
        for _ in range(calls):
            await dispatcher.dispatch(EVENT)

    async def gathers(calls: int) -> None:
        for _ in range(calls):
            await asyncio.gather(*(function(EVENT) for function in functions))

    subject, floor = await by_turns(dispatches, gathers, size, max(size.calls // (10 * count), 1))
    return Row(f"dispatch, {count} handler{'s'[: count - 1]}", subject, "us", floor)
