"""Taking up what others left: how much of it at the same time."""

import asyncio
from typing import Any

from oneiric.clock import SystemClock
from oneiric.domains.recovery import Recovery
from oneiric.runs.journal import MemoryJournal
from tests.domains.works import Script, eventually, task, workflow, workplace

ORDER = workflow("order", {"id": "charge", "task": "charge"})
ASK = workflow("ask", {"id": "wait", "signal": "go"})
SOON_SECONDS = 5  # well below the interval between two looks


async def test_no_more_runs_are_taken_up_than_the_limit() -> None:
    """The rest is left to others, or taken up as soon as those under way have ended."""
    script, journal = Script(gates={"charge": asyncio.Event()}), MemoryJournal(SystemClock())
    more: Any = {"clock": SystemClock(), "journal": journal}
    async with workplace(ORDER, also=[task("charge", script.task("charge"))], **more) as place:
        names = [f"r-{n}" for n in range(5)]
        for name in names:
            await place.engine.enqueue(place.workflows.plan("order"), {}, run_id=name)
        recovery = Recovery(place.engine, journal, place.bodies, clock=SystemClock(), at_once=2)
        running = asyncio.ensure_future(recovery.run())
        await script.until("charge", "charge")
        assert await recovery.look() == []
        held = [record.run_id for record in await journal.runs() if record.is_held]
        assert held == ["r-4", "r-3"]

        script.gates["charge"].set()

        async def are_over() -> bool:
            return all(record.state.is_over for record in await journal.runs())

        await eventually(are_over, seconds=SOON_SECONDS)
        running.cancel()
        await asyncio.wait({running})
    assert script.names == ["charge"] * 5


async def test_a_run_that_waits_for_somebody_outside_takes_nobodys_place() -> None:
    """It is held, so that its signal is heard, and the next is taken up at once."""
    script, journal = Script(), MemoryJournal(SystemClock())
    more: Any = {"clock": SystemClock(), "journal": journal}
    offers = (ORDER, ASK)
    async with workplace(*offers, also=[task("charge", script.task("charge"))], **more) as place:
        for name, key in (("a", "order"), ("b", "ask"), ("c", "ask")):
            await place.engine.enqueue(place.workflows.plan(key), {}, run_id=name)
        recovery = Recovery(place.engine, journal, place.bodies, clock=SystemClock(), at_once=1)
        running = asyncio.ensure_future(recovery.run())

        async def is_charged() -> bool:
            return (await place.engine.get("a")).state.is_over

        await eventually(is_charged, seconds=SOON_SECONDS)
        await place.engine.signal("b", "go", 7)

        async def is_heard() -> bool:
            return (await place.engine.get("b")).state.is_over

        await eventually(is_heard, seconds=SOON_SECONDS)
        running.cancel()
        await asyncio.wait({running})
