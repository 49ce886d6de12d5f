"""What telling handlers costs, beside a bare gather of the same."""

import asyncio
import tempfile
from pathlib import Path

from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin
from oneiric.domains.events import Event, EventDispatcher, EventHandler
from oneiric.runtime import RuntimeOrchestrator
from tests.benchmarks.lifecycle import by_turns
from tests.benchmarks.measure import Row, Size

EVENT = Event(id="1", type="order.created", data={"order_id": "a-1"})


async def _nothing(event: Event) -> None: ...


def dispatch(size: Size) -> list[Row]:
    """Measure a dispatch to handlers that do nothing, each isolated and with its limit."""
    rows = [asyncio.run(_dispatch(size, count)) for count in (1, 10)]
    return [*rows, asyncio.run(_dispatch_measured(size))]


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


class _Deaf:
    async def handle(self, event: Event) -> None: ...


async def _dispatch_measured(size: Size) -> Row:
    """Measure the same through a runtime: held component, counted, remembered for telemetry."""
    plugin = Plugin([Candidate("event:deaf", "plain", _Deaf)])
    with tempfile.TemporaryDirectory() as folder:
        async with RuntimeOrchestrator.open(folder=Path(folder), plugins=(plugin,)) as runtime:
            runtime.telemetry.begin()

            async def dispatches(calls: int) -> None:
                for _ in range(calls):
                    await runtime.events.dispatch(EVENT)

            async def gathers(calls: int) -> None:
                for _ in range(calls):
                    await asyncio.gather(_nothing(EVENT))

            subject, floor = await by_turns(dispatches, gathers, size, max(size.calls // 10, 1))
    return Row("measured dispatch, 1 component", subject, "us", floor)
