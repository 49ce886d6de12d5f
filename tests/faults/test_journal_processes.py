"""Several processes on one journal: who holds a run, and who only believes so."""

import json
import signal
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path

import pytest

from oneiric.stores.journal import Durability
from tests.faults.appender import CLAIM_SECONDS
from tests.faults.children import Child, appender
from tests.faults.conftest import Tell
from tests.faults.test_journal_kills import RUNS, Told

PAUSE_SECONDS = 0.01
PATIENCE_SECONDS = 60.0


def tenures(path: Path, run_id: str) -> Sequence[str]:
    """Return who appended to a run, one name for each unbroken stretch of events."""
    query = "SELECT data FROM events WHERE run_id = ? AND kind = 'noted' ORDER BY seq"
    with closing(sqlite3.connect(path)) as connection:
        data = [json.loads(text) for (text,) in connection.execute(query, (run_id,))]
    return [who for who, _ in groupby(str(each["who"]) for each in data)]


def claimed(fighters: Sequence[Child], run_id: str, *, after: int) -> tuple[int, Child]:
    """Wait until one of *fighters* has made a later claim on a run; return the last and who."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = [
            (int(line.split()[2]), place)
            for place, fighter in enumerate(fighters)
            for line in fighter.lines()
            if line.startswith(f"claimed {run_id} ")
        ]
        token, place = max(found, default=(0, 0))
        if token > after:
            return token, fighters[place]
        assert time.monotonic() < deadline, f"nobody claims {run_id} after {after}"
        time.sleep(0.01)


def claims(path: Path) -> dict[str, int]:
    """Return how often each run was claimed."""
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT run_id, token FROM runs").fetchall())


def compare(path: Path, told: Told) -> None:
    """See that nothing acknowledged is missing, and that no run changed hands without a claim."""
    told.compare(path)
    for run_id, count in claims(path).items():
        assert len(tenures(path, run_id)) <= count
    told.counts["claims"] = sum(claims(path).values())


@pytest.mark.parametrize("durability", Durability)
def test_promise_w8_processes_that_fight_for_runs_lose_nothing(
    tmp_path: Path, durability: Durability, tell: Tell
) -> None:
    """Three processes want the same runs; as who holds one is killed, others take over."""
    path, told = tmp_path / "oneiric.sqlite", Told()
    fighters = [appender(path, durability, RUNS) for _ in range(3)]
    token = 0
    for _ in range(4):
        token, loser = claimed(fighters, "r0", after=token)
        fighters.remove(loser)
        told.take(loser.kill())
        told.counts["kills"] += 1
        fighters.append(appender(path, durability, RUNS))
    claimed(fighters, "r0", after=token)
    for fighter in fighters:
        told.take(fighter.kill())
    compare(path, told)
    tell(told.counts)
    assert told.counts["claims"] > RUNS


@pytest.mark.parametrize("durability", Durability)
def test_promise_w8_a_holder_stopped_past_its_lease_is_fenced(
    tmp_path: Path, durability: Durability, tell: Tell
) -> None:
    """SIGSTOP past the lease, SIGCONT: the first holder learns that it lost, and stores nothing.

    A process may be stopped in the middle of a commit; nobody can claim its runs until it
    goes on, and it lost none. So it is tried until it was stopped in between.
    """
    path, told = tmp_path / "oneiric.sqlite", Told()
    first = appender(path, durability, RUNS, PAUSE_SECONDS)
    for number in range(RUNS):
        first.wait_for(f"r{number}", 3)
    second = appender(path, durability, RUNS, PAUSE_SECONDS)
    lost = 0
    while lost < RUNS:
        first.signal(signal.SIGSTOP)
        time.sleep(CLAIM_SECONDS * 1.5)
        first.signal(signal.SIGCONT)
        told.counts["stops"] += 1
        time.sleep(CLAIM_SECONDS)
        lost = sum(line.startswith("lost") for line in first.lines())
    for number in range(RUNS):
        second.wait_for(f"r{number}", 3)
    told.take(first.kill())
    told.take(second.kill())
    compare(path, told)
    tell(told.counts)
    assert all(len(tenures(path, f"r{number}")) > 1 for number in range(RUNS))
