"""What a run costs: steps in memory, beside tasks that do nothing; and folding its events."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from oneiric.clock import SystemClock
from oneiric.errors import JSONValue
from oneiric.runs.context import StepContext
from oneiric.runs.engine import RunEngine
from oneiric.runs.journal import MemoryJournal
from oneiric.runs.plan import Plan, Plans, Step
from oneiric.runs.run import fold
from tests.benchmarks.measure import Row, Size, by_turns, cpu_ms

STEPS = 100


async def noop(_context: StepContext, _value: JSONValue) -> JSONValue:
    """Do nothing."""
    return None


def chain() -> Plan:
    """Return steps each of which waits for the one before."""
    steps = (Step(f"s{n}", "noop", depends_on=(f"s{n - 1}",) if n else ()) for n in range(STEPS))
    return Plan("chain", tuple(steps))


def fan() -> Plan:
    """Return steps that wait for nobody."""
    return Plan("fan", tuple(Step(f"s{number}", "noop") for number in range(STEPS)))


def runs(size: Size) -> list[Row]:
    """Measure runs of 100 no-op steps in memory, one after another and side by side."""
    return asyncio.run(_runs(size))


async def _runs(size: Size) -> list[Row]:
    journal = MemoryJournal(SystemClock())
    engine = RunEngine({"noop": noop}, journal=journal)
    rows = []
    for plan in (chain(), fan()):

        async def run(plan: Plan = plan) -> None:
            assert (await engine.run(plan)).state == "succeeded"

        measured, floor = [], []
        for _ in range(size.repeats):
            measured.append(await _spent(run))
            floor.append(await _spent(_tasks))
        rows.append(Row(f"run of 100 no-op steps, {plan.name}", min(measured), "ms", min(floor)))
    record = (await journal.runs(limit=1))[0]
    events = await journal.read(record.run_id)
    await engine.close()
    plans = Plans()
    ways = {"": lambda: fold(events), ", plan known": lambda: fold(events, plans)}
    found = by_turns({how: cpu_ms(way) for how, way in ways.items()}, size.repeats)
    folds = [Row(f"fold of {len(events)} events{how}", found[how][0], "ms") for how in ways]
    return [*rows, *folds]


async def _spent(work: Callable[[], Awaitable[None]]) -> float:
    started = time.process_time()
    await work()
    return (time.process_time() - started) * 1e3


async def _tasks() -> None:
    for _ in range(STEPS):
        await asyncio.ensure_future(asyncio.sleep(0))
