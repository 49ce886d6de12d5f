"""Kill -9 of a process that appends, over a real file, at any moment."""

import asyncio
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from oneiric.clock import SystemClock
from oneiric.stores.journal import Durability, SqliteJournal
from oneiric.stores.upkeep import check
from tests.faults.children import appender
from tests.faults.conftest import Tell

RUNS = 4
LATEST_KILL_SECONDS = 0.12


@dataclass
class Told:
    """What processes said was stored, by run; and how often each thing happened."""

    acknowledged: dict[str, set[int]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def take(self, lines: Sequence[str]) -> None:
        """Take in what one process said; nothing may be acknowledged twice."""
        for line in lines:
            first, *numbers = line.split()
            if first in ("claimed", "lost"):
                self.counts[first] += 1
                continue
            known = self.acknowledged.setdefault(first, set())
            seqs = {int(number) for number in numbers}
            assert not known & seqs, f"{first} {known & seqs} acknowledged twice"
            known |= seqs
            self.counts["acknowledged"] += len(seqs)

    def compare(self, path: Path) -> None:
        """See that all of it is stored, gapless, each append whole and once."""
        found = check(path)
        assert found.problems == ()
        self.counts["stored"] = found.events
        if not self.acknowledged and not found.events:
            return  # killed before it had made the file
        with closing(sqlite3.connect(path)) as connection:
            for run_id, known in self.acknowledged.items():
                query = "SELECT seq FROM events WHERE run_id = ? ORDER BY seq"
                stored = [seq for (seq,) in connection.execute(query, (run_id,))]
                assert stored == list(range(1, len(stored) + 1))
                assert known <= set(stored)
            appends = connection.execute(
                "SELECT data, count(*) FROM events WHERE kind = 'noted' GROUP BY run_id, data"
            ).fetchall()
        assert all(count == 1 for _, count in appends)
        assert len(appends) % 2 == 0


def kill_again_and_again(path: Path, durability: Durability, kills: int, seed: int) -> Told:
    """Kill so many processes one after another on one file; each goes on with the runs."""
    chance, told = random.Random(seed), Told()
    for number in range(kills):
        process = appender(path, durability, RUNS)
        if number % 10:  # else it is killed while it starts and opens the file
            process.wait_for("claimed")
        time.sleep(chance.uniform(0, LATEST_KILL_SECONDS))
        told.take(process.kill())
        told.counts["kills"] += 1
        if number % 5 == 0 and path.exists():
            told.compare(path)
    told.compare(path)
    return told


@pytest.mark.parametrize("durability", Durability)
def test_what_was_acknowledged_outlives_kill_9(
    tmp_path: Path, durability: Durability, tell: Tell
) -> None:
    """20 kills at random moments: every acknowledged append is there, gapless, once."""
    told = kill_again_and_again(tmp_path / "oneiric.sqlite", durability, 20, seed=20)
    tell(told.counts)
    assert told.counts["acknowledged"] > 0


@pytest.mark.soak
@pytest.mark.parametrize("durability", Durability)
def test_what_was_acknowledged_outlives_200_kills(
    tmp_path: Path, durability: Durability, tell: Tell
) -> None:
    """The long form: 200 kills in each durability."""
    told = kill_again_and_again(tmp_path / "oneiric.sqlite", durability, 200, seed=200)
    tell(told.counts)
    assert told.counts["acknowledged"] > 200


async def _claimable(path: Path) -> int:
    journal = SqliteJournal(path, clock=SystemClock())
    await asyncio.sleep(0.35)
    claims = [await journal.claim(f"r{n}", holder="heir", seconds=10) for n in range(RUNS)]
    await journal.aclose()
    return sum(claim is not None for claim in claims)


def test_the_runs_of_a_killed_process_can_be_claimed(tmp_path: Path) -> None:
    """Once its claims are overdue, somebody else gets every one of its runs."""
    path = tmp_path / "oneiric.sqlite"
    process = appender(path, Durability.POWER_LOSS, RUNS)
    process.wait_for("claimed", RUNS)
    process.kill()
    assert asyncio.run(_claimable(path)) == RUNS
