"""Run a plan with `RunEngine` on `SqliteJournal`."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from oneiric.clock import SystemClock
from oneiric.errors import JSONValue
from oneiric.runs.context import StepContext
from oneiric.runs.engine import RunEngine
from oneiric.runs.plan import Plan, Step
from oneiric.stores.journal import Durability, SqliteJournal
from tests.benchmarks.contest import PAYLOAD, Body, compete


@contextmanager
def oneiric(path: Path, mode: str, steps: int, body: Body) -> Iterator[Callable[[], object]]:
    """Open an engine whose journal outlives a loss of power, as by default, or only a kill."""
    durability = Durability.KILL if mode == "normal" else Durability.POWER_LOSS

    def nothing(_context: StepContext, _value: JSONValue) -> JSONValue:
        return {**body(PAYLOAD)}

    names = [f"s{number}" for number in range(steps)]
    before = [(), *((name,) for name in names)]
    plan = Plan(
        "contest",
        tuple(
            Step(name, "nothing", {**PAYLOAD}, depends_on=needed)
            for name, needed in zip(names, before, strict=False)
        ),
    )
    with asyncio.Runner() as runner:
        journal = SqliteJournal(path, clock=SystemClock(), durability=durability)
        engine = RunEngine({"nothing": nothing}, journal=journal)

        async def once() -> None:
            assert (await engine.run(plan)).state == "succeeded"

        async def close() -> None:
            await engine.close()
            await journal.aclose()

        yield lambda: runner.run(once())
        runner.run(close())


if __name__ == "__main__":
    compete(oneiric)
