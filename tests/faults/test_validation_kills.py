"""Kill -9 of a process that validates a task: it gets done, and nothing recorded is repeated."""

import asyncio
import json
import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from oneiric.runs.event import EventKind
from oneiric.validation.ledger import Head, Ledger, LedgerSettings
from tests.faults.children import Child
from tests.faults.conftest import Tell
from tests.faults.validator import CHECKS, TESTS
from tests.validation.parts import served

LATEST_KILL_SECONDS = 0.6
LEASE_SECONDS = 1.0


def recorded(folder: Path) -> dict[str, set[str]]:
    """Return the steps of each run of which a result is recorded; none may be twice."""
    with closing(sqlite3.connect(folder / ".oneiric_cache" / "oneiric.sqlite")) as connection:
        query = "SELECT run_id, step FROM events WHERE kind = ?"
        found = connection.execute(query, (EventKind.STEP_SUCCEEDED,)).fetchall()
    assert len(found) == len(set(found))
    return {run: {step for each, step in found if each == run} for run, _ in found}


def heads(folder: Path, run_id: str) -> list[Head]:
    """Return the ends of the ledger that a journal keeps."""
    with closing(sqlite3.connect(folder / ".oneiric_cache" / "oneiric.sqlite")) as connection:
        query = "SELECT data FROM events WHERE run_id = ? AND kind = ?"
        rows = connection.execute(query, (run_id, EventKind.STEP_SUCCEEDED)).fetchall()
    results = [json.loads(data)["result"] for (data,) in rows]
    return [Head(**each["head"]) for each in results if each and each.get("head")]


def marks(folder: Path) -> Counter[str]:
    """Return how often each local test was run."""
    path = folder / "tested"
    return Counter(path.read_text().split()) if path.exists() else Counter()


async def kill_again_and_again(folder: Path, kills: int, seed: int) -> Counter[str]:
    """Kill so many processes at random moments, each time taking the task up, and compare."""
    (folder / "oneiric.toml").write_text(f"[runs]\nlease_seconds = {LEASE_SECONDS}\n")
    chance, counts = random.Random(seed), Counter[str]()
    ledger = Ledger(
        LedgerSettings(
            folder=folder / ".oneiric_cache" / "ledger",
            key=folder / ".oneiric_cache" / "keys" / "ledger.json",
        )
    )
    async with served() as service:
        for number in range(CHECKS):
            service.answers[f"/check/{number}"] = 200
        while counts["kills"] < kills:
            done_before, asked_before, ran_before = {}, len(service.asked), marks(folder)
            if (folder / ".oneiric_cache").exists():
                done_before = recorded(folder)
            child = Child("tests.faults.validator", folder, service.url)
            await asyncio.to_thread(child.wait_for, "going")
            await asyncio.sleep(chance.uniform(0, LATEST_KILL_SECONDS))
            ended = [line for line in child.kill() if line.startswith("ended")]
            assert all(line.split()[2] == "done" for line in ended)
            counts["kills"] += 1
            counts["tasks done"] += len(ended)
            again = set(service.asked[asked_before:]), marks(folder) - ran_before
            counts["cut short"] += not ended
            open_before = latest_open(folder, done_before)
            for step in open_before:
                kind, _, place = step.partition(".")
                if kind == "check":
                    assert f"GET /check/{int(place) - 1}" not in again[0], step
                if kind == "test":
                    assert str(int(place) - 1) not in again[1], step
        last = Child("tests.faults.validator", folder, service.url)
        await asyncio.to_thread(last.wait_for, "ended", seconds=60)
        await asyncio.to_thread(last.process.wait, 30)
        (line,) = [line for line in last.kill() if line.startswith("ended")]
    assert line.split()[2] == "done"
    found = recorded(folder)
    for run in found:
        assert ledger.problems("killed", heads=heads(folder, run)) == []
    counts["runs"] = len(found)
    counts["ledger entries"] = len(ledger.read("killed"))
    counts["proofs recorded"] = sum(
        len([step for step in steps if step.startswith(("test.", "check."))])
        for steps in found.values()
    )
    assert counts["proofs recorded"] == counts["runs"] * (TESTS + CHECKS)
    return counts


def latest_open(folder: Path, before: dict[str, set[str]]) -> set[str]:
    """Return the steps that were recorded before of a run that was open then."""
    with closing(sqlite3.connect(folder / ".oneiric_cache" / "oneiric.sqlite")) as connection:
        rows = connection.execute("SELECT run_id FROM runs ORDER BY run_id").fetchall()
    latest = rows[-1][0] if rows else ""
    return {step for step in before.get(latest, set()) if "done" not in before[latest]}


async def test_promise_task_killed_validations_get_done_and_repeat_nothing_recorded(
    tmp_path: Path, tell: Tell
) -> None:
    """10 kills at random moments: each is taken up, and its ledger is whole at the end."""
    tell(await kill_again_and_again(tmp_path, 10, seed=7))


@pytest.mark.soak
async def test_promise_task_killed_validations_get_done_at_length(
    tmp_path: Path, tell: Tell
) -> None:
    """The long form: 60 kills."""
    tell(await kill_again_and_again(tmp_path, 60, seed=11))
