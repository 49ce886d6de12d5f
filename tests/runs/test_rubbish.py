"""What a run leaves in memory when it is over."""

from __future__ import annotations

import asyncio
import gc

from oneiric.errors import JSONValue
from oneiric.runs.conductor import Conductor
from oneiric.runs.context import StepContext
from oneiric.runs.engine import RunEngine
from oneiric.testing import ManualClock
from tests.runs.worlds import chain


async def test_a_run_that_is_over_is_forgotten_without_the_collector(clock: ManualClock) -> None:
    """Else all that it held stays until the next full collection, which may be minutes away."""

    async def work(context: StepContext, value: JSONValue) -> JSONValue:
        await asyncio.sleep(0)
        return value

    engine = RunEngine({"work": work}, clock=clock)
    gc.collect()
    gc.disable()
    try:
        await engine.run(chain(3))
        await asyncio.sleep(0)
        left = [each for each in gc.get_objects() if isinstance(each, Conductor)]
    finally:
        gc.enable()
        await engine.close()

    assert left == []
