"""A process that runs a plan again and again until it is killed, and says what came of it.

`python -m tests.faults.runner PATH DURABILITY EFFECTS AT_ONCE` takes up the runs that nobody
holds and keeps AT_ONCE runs under way; with 0 it ends once no run is open. It prints
`began RUN` and `ended RUN STATE`. Each call of a body adds a line to the file EFFECTS before
it does anything: run, step, attempt, idempotency key.
"""

import asyncio
import os
import secrets
import sys
from functools import partial
from pathlib import Path

from oneiric.clock import SystemClock
from oneiric.errors import JSONValue
from oneiric.runs.context import StepContext
from oneiric.runs.engine import RunEngine, RunHandle
from oneiric.runs.plan import Plan, Step
from oneiric.stores.journal import Durability, SqliteJournal
from tests.faults.appender import say

LEASE_SECONDS = 0.3
PLAN = Plan(
    "order",
    (
        Step("charge", "mark", "${ input }"),
        *(
            Step(f"pack_{name}", "mark", "${ steps.charge.output }", depends_on=("charge",))
            for name in "abc"
        ),
        Step(
            "ship",
            "mark",
            ["${ steps.pack_a.output }", "${ steps.pack_b.output }", "${ steps.pack_c.output }"],
            depends_on=("pack_a", "pack_b", "pack_c"),
        ),
        Step("tell", "mark", "${ steps.ship.output }", depends_on=("ship",)),
    ),
)


async def mark(effects: Path, context: StepContext, value: JSONValue) -> JSONValue:
    """Leave a mark, take a moment, and return what no other call returns."""
    words = (context.run_id, context.step_id, context.attempt, context.idempotency_key)
    descriptor = os.open(effects, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, (" ".join(map(str, words)) + "\n").encode())
    os.close(descriptor)
    await asyncio.sleep(secrets.randbelow(4) / 1000)
    return {"mark": secrets.token_hex(8), "of": value}


async def watch(handle: RunHandle) -> None:
    """Wait for a run and tell how it ended."""
    run = await handle
    say("ended", run.run_id, run.state)


async def main(path: Path, durability: str, effects: Path, at_once: int) -> None:
    """Keep runs under way."""
    clock = SystemClock()
    journal = SqliteJournal(path, clock=clock, durability=Durability(durability))
    engine = RunEngine(
        {"mark": partial(mark, effects)}, journal=journal, clock=clock, lease_seconds=LEASE_SECONDS
    )
    under_way: set[asyncio.Task[None]] = set()
    say("ready")
    while True:
        handles = list(await engine.recover())
        if not at_once and not await journal.runs(open_only=True):
            break
        while len(under_way) + len(handles) < at_once:
            handles.append(await engine.start(PLAN, {"order": 7}))
            say("began", handles[-1].run_id)
        under_way |= {asyncio.create_task(watch(handle)) for handle in handles}
        done = {task for task in under_way if task.done()}
        for task in done:
            task.result()
        under_way -= done
        await asyncio.sleep(0.005)
    await engine.close()
    await journal.aclose()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])))
