"""Kill -9 of a process that runs plans: every run is finished, and nothing recorded is repeated."""

import random
import sqlite3
import time
from collections import Counter, defaultdict
from contextlib import closing
from pathlib import Path

import pytest

from oneiric.runs.event import EventKind
from oneiric.runs.run import Run, fold
from oneiric.runs.state import RunState
from oneiric.stores import run_rows
from oneiric.stores.journal import Durability
from oneiric.stores.upkeep import check
from tests.faults.children import Child
from tests.faults.conftest import Tell
from tests.faults.runner import PLAN

AT_ONCE = 5
LATEST_KILL_SECONDS = 0.4


def recorded(path: Path) -> set[tuple[str, str]]:
    """Return run and step of each recorded result; none may be recorded twice."""
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT run_id, step FROM events WHERE kind = ?"
        found = connection.execute(query, (EventKind.STEP_SUCCEEDED,)).fetchall()
    assert len(found) == len(set(found))
    return set(found)


def folded(path: Path) -> list[Run]:
    """Return every run, as its events tell."""
    with closing(sqlite3.connect(path)) as connection:
        ids = connection.execute("SELECT run_id FROM runs ORDER BY run_id").fetchall()
        return [fold(run_rows.page(connection, run_id, 0)[1]) for (run_id,) in ids]


class Effects:
    """What bodies left behind in the world."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen = 0
        self.calls: Counter[tuple[str, str]] = Counter()
        self.keys: dict[tuple[str, str], set[str]] = defaultdict(set)

    def take(self, done_before: set[tuple[str, str]]) -> None:
        """Take in what one process did: nothing that was recorded before it began."""
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        lines = text[self._seen :].splitlines()
        self._seen = len(text)
        for line in lines:
            run_id, step, _, key = line.split()
            assert (run_id, step) not in done_before, f"{step} of {run_id} was done again"
            self.calls[run_id, step] += 1
            self.keys[run_id, step].add(key)


def follows(run: Run) -> bool:
    """Tell whether each step was given exactly what its dependencies recorded."""
    results = run.results
    packs = [results[f"pack_{name}"] for name in "abc"]
    given = {"charge": run.input, "ship": packs, "tell": results["ship"]}
    given |= {f"pack_{name}": results["charge"] for name in "abc"}
    outputs = {name: result["of"] for name, result in results.items() if isinstance(result, dict)}
    return outputs == given


def kill_again_and_again(
    folder: Path, durability: Durability, kills: int, seed: int
) -> Counter[str]:
    """Kill so many processes one after another, let one finish, and compare everything."""
    path, effects = folder / "oneiric.sqlite", Effects(folder / "effects")
    chance, counts = random.Random(seed), Counter[str]()
    began, ended = set[str](), set[str]()
    done: set[tuple[str, str]] = set()
    for _ in range(kills):
        process = Child("tests.faults.runner", path, durability, effects.path, AT_ONCE)
        process.wait_for("ready")
        time.sleep(chance.uniform(0, LATEST_KILL_SECONDS))
        said = [line.split() for line in process.kill()]
        began |= {words[1] for words in said if words[0] == "began"}
        ended |= {words[1] for words in said if words[0] == "ended"}
        counts["kills"] += 1
        if path.exists():
            effects.take(done)
            done = recorded(path)
            counts["cut short"] += sum(not run.state.is_over for run in folded(path))
    last = Child("tests.faults.runner", path, durability, effects.path, 0)
    last.process.wait(60)
    last.kill()
    effects.take(done)
    runs = folded(path)
    assert check(path).problems == ()
    assert began | ended <= {run.run_id for run in runs}
    assert {run.state for run in runs} == {RunState.SUCCEEDED}
    assert all(follows(run) for run in runs)
    assert len(recorded(path)) == len(runs) * len(PLAN.steps)
    assert all(len(keys) == 1 for keys in effects.keys.values())
    assert set(effects.calls) == recorded(path)
    counts["runs"] = len(runs)
    counts["steps recorded"] = len(recorded(path))
    counts["bodies called again"] = sum(effects.calls.values()) - len(effects.calls)
    return counts


@pytest.mark.parametrize("durability", Durability)
def test_promise_w2_killed_runs_are_finished_and_nothing_recorded_is_repeated(
    tmp_path: Path, durability: Durability, tell: Tell
) -> None:
    """20 kills at random moments: `recover` finishes every run, each result is recorded once."""
    tell(kill_again_and_again(tmp_path, durability, 20, seed=2))


@pytest.mark.soak
@pytest.mark.parametrize("durability", Durability)
def test_promise_w2_200_kills_lose_nothing(
    tmp_path: Path, durability: Durability, tell: Tell
) -> None:
    """The long form: 200 kills in each durability."""
    tell(kill_again_and_again(tmp_path, durability, 200, seed=3))
