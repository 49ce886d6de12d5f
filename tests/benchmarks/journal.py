"""What journaled steps cost: of one sequential run, and of a hundred runs at once.

Files lie in the working directory: a temporary one may be in memory, where nothing is waited for.
"""

import asyncio
import json
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TypeAlias

from oneiric.clock import SystemClock
from oneiric.errors import JSONValue
from oneiric.runs.engine import RunEngine
from oneiric.runs.event import EventKind, RunEvent
from oneiric.runs.plan import Plan, Step
from oneiric.stores.journal import Durability, SqliteJournal
from tests.benchmarks.measure import Row, Size, by_turns

AT = "2026-11-21T09:00:00.000000Z"
RESULT: Mapping[str, JSONValue] = {
    "attempt": 1,
    "result": {"ok": True, "id": "c-1234", "amount": 12.5},
}
STARTED: Mapping[str, JSONValue] = {
    "attempt": 1,
    "input": {"order": 7},
    "provider": "demo",
    "version": "1",
}
Way: TypeAlias = Callable[[SqliteJournal, int, int], Awaitable[None]]
SYNCHRONOUS: Mapping[Durability, str] = {Durability.POWER_LOSS: "FULL", Durability.KILL: "NORMAL"}
SCHEMA = """
    CREATE TABLE events (
        run_id TEXT, seq INTEGER, kind TEXT, at TEXT, step TEXT, data TEXT,
        PRIMARY KEY (run_id, seq)
    ) WITHOUT ROWID
"""
INSERT = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?)"


def journaled(size: Size) -> list[Row]:
    """Measure steps a second, by the clock, beside raw commits of the same rows."""
    rows = []
    many = size.runs_at_once
    for durability in Durability:
        found = by_turns(
            {
                "raw": partial(raw, durability, size.steps),
                "one": partial(steps, appended, durability, 1, size.steps),
                "many": partial(steps, appended, durability, many, size.steps // 10),
                "engine, one": partial(steps, run, durability, 1, size.steps),
                "engine, many": partial(steps, run, durability, many, size.steps // 10),
            },
            max(3, size.repeats // 8),
        )
        floor = found["raw"][-1]
        for name, what in (("engine, ", "journaled steps"), ("", "appends of two events")):
            at_once = found[f"{name}many"][-1]
            rows += [
                Row(f"{what}, {durability}, one run", found[f"{name}one"][-1], "/s", floor),
                Row(f"{what}, {durability}, {many} runs", at_once, "/s", floor),
            ]
    return rows


def raw(durability: Durability, count: int) -> float:
    """Return how many steps a second raw SQLite stores: two rows and one commit for each."""
    result, started = json.dumps(RESULT), json.dumps(STARTED)
    run_id = SystemClock().new_id()
    with (
        tempfile.TemporaryDirectory(dir=".") as folder,
        closing(sqlite3.connect(Path(folder) / "raw.sqlite", isolation_level=None)) as connection,
    ):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {SYNCHRONOUS[durability]}")
        connection.execute(SCHEMA)
        begin = time.perf_counter()
        for number in range(count):
            done = (run_id, 2 * number, "step-succeeded", AT, f"s{number}", result)
            next_one = (run_id, 2 * number + 1, "step-started", AT, f"s{number + 1}", started)
            connection.execute(INSERT, done + next_one)
        return count / (time.perf_counter() - begin)


def steps(way: Way, durability: Durability, runs: int, count: int) -> float:
    """Return how many steps a second are stored in that way, for so many runs at once."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        return asyncio.run(_steps(way, Path(folder) / "oneiric.sqlite", durability, runs, count))


async def _steps(way: Way, path: Path, durability: Durability, runs: int, count: int) -> float:
    journal = SqliteJournal(path, clock=SystemClock(), durability=durability)
    await way(journal, 1, 1)
    begin = time.perf_counter()
    await way(journal, runs, count)
    spent = time.perf_counter() - begin
    await journal.aclose()
    return runs * count / spent


async def appended(journal: SqliteJournal, runs: int, count: int) -> None:
    """Append to runs what an engine appends, without an engine."""
    clock = SystemClock()
    await asyncio.gather(*(_append(journal, clock.new_id(), count) for _ in range(runs)))


async def _append(journal: SqliteJournal, run_id: str, count: int) -> None:
    plan: Mapping[str, JSONValue] = {"plan": {"name": "bench", "steps": []}}
    created = RunEvent(run_id, EventKind.RUN_CREATED, AT, data=plan)
    _, lease = await journal.create(run_id, [created], holder="bench", seconds=60)
    for number in range(count):
        done = RunEvent(run_id, EventKind.STEP_SUCCEEDED, AT, f"s{number}", RESULT)
        following = RunEvent(run_id, EventKind.STEP_STARTED, AT, f"s{number + 1}", STARTED)
        await journal.append(run_id, [done, following], lease=lease)


async def run(journal: SqliteJournal, runs: int, count: int) -> None:
    """Run plans of steps that do nothing, each after the one before."""
    names = [f"s{number}" for number in range(count)]
    before = [(), *((name,) for name in names)]
    plan = Plan(
        "bench",
        tuple(
            Step(name, "nothing", {"order": 7}, depends_on=needed)
            for name, needed in zip(names, before, strict=False)
        ),
    )
    engine = RunEngine({"nothing": lambda context, value: value}, journal=journal)
    await asyncio.gather(*(engine.run(plan) for _ in range(runs)))
    await engine.close()
