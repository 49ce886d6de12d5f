"""Runs of one group work one at a time, in whichever processes they are."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from oneiric.domains.host import host
from oneiric.recipes.errors import GroupBusyError
from oneiric.recipes.options import RunOptions
from oneiric.recipes.running import RecipeRunner
from oneiric.runs.event import RunEvent
from oneiric.runs.run import Run
from oneiric.to_end import run_to_end
from tests.recipes.conftest import Desk
from tests.recipes.runs import ran

OPTIONS = RunOptions()
ALONE = '''
import json
import os
import pathlib
import time

from oneiric.recipes import BaseScriptlet


class Alone(BaseScriptlet):
    """Fail unless this is the only one, for as long as `seconds` says or until a file is there."""

    def run(self, ctx, params):
        mark = os.open("mark", os.O_CREAT | os.O_EXCL)
        pathlib.Path("begun").touch()
        if "until" in params:
            while not pathlib.Path(params["until"]).exists():
                time.sleep(0.01)
        time.sleep(params.get("seconds", 0))
        os.close(mark)
        os.unlink("mark")
        with open("log", "a") as file:
            file.write("done" + chr(10))
        print(json.dumps({"status": "ok", "outputs": []}))
        return 0
'''
RECIPE = """
    concurrency: {group: numbers, on_busy: ON_BUSY}
    steps:
      - {name: alone, module: alone, function: Alone, args: ARGS}
    """


def recipe(desk: Desk, name: str, args: str, on_busy: str = "queue") -> Path:
    desk.write("alone.py", ALONE)
    return desk.write(name, RECIPE.replace("ARGS", args).replace("ON_BUSY", on_busy))


def test_runs_of_a_group_wait_for_each_other_across_processes(desk: Desk) -> None:
    """Four processes at once: none meets another, and all succeed."""
    recipe(desk, "r.yaml", "{seconds: 0.05}")
    program = "from oneiric.recipes import run_recipe; run_recipe('r.yaml')"
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    processes = [subprocess.Popen([sys.executable, "-c", program], env=env) for _ in range(4)]
    assert [each.wait() for each in processes] == [0, 0, 0, 0]
    assert desk.log == ["done"] * 4


async def both(
    desk: Desk, first: Path, second: Path, options: RunOptions = OPTIONS
) -> list[Run | BaseException]:
    """Run one recipe, and another while the first is under way; let the first end then."""
    async with host() as on:
        runner = RecipeRunner(on)
        async with asyncio.TaskGroup() as tasks:
            begun = tasks.create_task(runner.run(runner.compile(first)))
            await asyncio.to_thread(_wait_for, desk.folder / "begun")
            last = await _caught(runner, second, options, _Letting(desk))
            desk.write("go", "")
        return [begun.result(), last]


def _wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


class _Letting:
    """Let the first run end once the second has begun to wait for its turn."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def __call__(self, event: RunEvent) -> None:
        is_waiting = event.kind == "step-started" and event.step == "its turn"
        if is_waiting and "cancel" not in str(event.data["input"]):
            self.desk.write("go", "")


async def _caught(
    runner: RecipeRunner, path: Path, options: RunOptions, tell: _Letting
) -> Run | BaseException:
    try:
        return await runner.run(runner.compile(path), None, options, tell=tell)
    except GroupBusyError as error:
        return error


def test_a_run_may_wait_for_its_turn(desk: Desk) -> None:
    """It says for whom it waited."""
    first, second = recipe(desk, "a.yaml", "{until: go}"), recipe(desk, "b.yaml", "{}")
    one, two = run_to_end(both(desk, first, second))
    assert isinstance(one, Run)
    assert isinstance(two, Run)
    assert (one.state, two.state, two.error) == ("succeeded", "succeeded", None)
    assert two.results["its turn"] == {"status": "ok", "waited_for": [one.run_id]}


def test_a_run_may_be_refused_while_another_is_under_way(desk: Desk) -> None:
    """Nothing of it is begun, and the other goes on."""
    first = recipe(desk, "a.yaml", "{until: go}")
    one, two = run_to_end(both(desk, first, recipe(desk, "b.yaml", "{}", "fail")))
    assert isinstance(one, Run)
    assert isinstance(two, GroupBusyError)
    assert (one.state, two.runs, two.exit_code) == ("succeeded", (one.run_id,), 3)
    assert desk.log == ["done"]


def test_a_run_that_is_gone_on_with_is_one_of_its_group(desk: Desk) -> None:
    """While another has its turn it is refused, or waits for that."""
    path = recipe(desk, "b.yaml", "{}", "fail")
    (desk.folder / "mark").touch()
    failed = ran(path)
    assert failed.run.state == "failed"
    (desk.folder / "mark").unlink()
    first = recipe(desk, "a.yaml", "{until: go}")
    one, two = run_to_end(both(desk, first, path, RunOptions(resume=failed.run.run_id)))
    assert isinstance(one, Run)
    assert isinstance(two, GroupBusyError)
    assert ran(path, resume=failed.run.run_id).run.state == "succeeded"


def test_a_recipe_within_waits_for_the_turn_of_its_own_group(desk: Desk) -> None:
    """As if it were run alone: neither another run nor its own neighbour works beside it."""
    recipe(desk, "child.yaml", "{seconds: 0.05}")
    path = desk.write(
        "r.yaml",
        """
        version: 2
        steps:
          - {name: a, type: recipe, recipe: child.yaml, matrix: {n: [1, 2, 3]}}
        """,
    )

    async def two() -> list[Run]:
        async with host() as on:
            runner = RecipeRunner(on)
            runs = (runner.run(runner.compile(path)) for _ in range(2))
            return await asyncio.gather(*runs)

    assert [run.state for run in run_to_end(two())] == ["succeeded"] * 2
    assert desk.log == ["done"] * 6


def test_a_run_may_take_the_place_of_another(desk: Desk) -> None:
    """The other is canceled, and says by whom; both have their end."""
    desk.write("waits.py", WAITS)
    first = desk.write(
        "a.yaml",
        """
        concurrency: {group: numbers}
        steps: [{name: wait, module: waits, function: Wait}]
        """,
    )
    one, two = run_to_end(both(desk, first, recipe(desk, "b.yaml", "{}", "cancel")))
    assert isinstance(one, Run)
    assert isinstance(two, Run)
    assert (one.state, two.state) == ("canceled", "succeeded")
    assert one.cancels[0]["actor"] == two.run_id


WAITS = '''
import json
import pathlib
import time

from oneiric.recipes import BaseScriptlet


class Wait(BaseScriptlet):
    """Wait for a file; its step may be ended before."""

    def run(self, ctx, params):
        pathlib.Path("begun").touch()
        while not pathlib.Path("go").exists():
            time.sleep(0.01)
        print(json.dumps({"status": "ok", "outputs": []}))
        return 0
'''


@pytest.mark.parametrize(("jobs", "most"), [(0, 3), (1, 1), (2, 2)])
def test_no_more_steps_are_under_way_than_was_asked_for(desk: Desk, jobs: int, most: int) -> None:
    """The narrowest of the limits counts."""
    desk.write("count.py", COUNT)
    path = desk.write(
        "r.yaml",
        """
        version: 2
        concurrency: {max_parallel: 3}
        steps:
          - {name: a, module: count, function: Count}
          - {name: b, module: count, function: Count}
          - {name: c, module: count, function: Count}
          - {name: d, module: count, function: Count}
        """,
    )
    done = ran(path, jobs=jobs)
    assert done.run.state == "succeeded"
    counts = [int(word) for word in desk.log]
    assert max(counts) <= most
    assert len(counts) == 4


COUNT = '''
import json
import threading
import time

from oneiric.recipes import BaseScriptlet

LOCK, NOW = threading.Lock(), []


class Count(BaseScriptlet):
    """Note how many of its kind are under way."""

    def run(self, ctx, params):
        with LOCK:
            NOW.append(1)
            with open("log", "a") as file:
                file.write(f"{len(NOW)} ")
        time.sleep(0.05)
        with LOCK:
            NOW.pop()
        print(json.dumps({"status": "ok", "outputs": []}))
        return 0
'''


def test_a_failure_stops_only_what_depends_on_it_where_that_is_asked_for(desk: Desk) -> None:
    """Else what has not begun is not done."""
    path = desk.write(
        "r.yaml",
        """
        version: 2
        steps:
          - {name: bad, module: steps, function: Fail}
          - {name: after, module: steps, function: Log, depends_on: [bad], args: {key: a.n_v1}}
          - {name: first, module: steps, function: Log, args: {key: b.n_v1}}
          - {name: second, module: steps, function: Log, depends_on: [first], args: {key: c.n_v1}}
        """,
    )
    stopped = ran(path, jobs=1)
    assert (stopped.statuses["bad"], stopped.statuses["second"]) == ("failed", "cancelled")
    went_on = ran(path, jobs=1, keep_going=True)
    assert went_on.run.state == "failed"
    assert went_on.statuses == {
        "bad": "failed",
        "after": "blocked",
        "first": "ok",
        "second": "ok",
    }
