"""The one line about a run that machines read, and an event a line for those that follow it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oneiric.domains.host import host
from oneiric.errors import DocumentError
from oneiric.recipes.context import Context
from oneiric.recipes.context_files import read_context, write_context
from oneiric.recipes.running import RecipeRunner
from oneiric.reports.happening import event_document
from oneiric.runs.event import RunEvent
from oneiric.to_end import run_to_end
from tests.recipes.conftest import Desk
from tests.recipes.runs import ran

RECIPE = """
    steps:
      - {name: one, module: steps, function: Log, args: {key: a.n_v1}, cache: {}}
      - {name: no, module: steps, function: Log, args: {key: b.n_v1}, if: false}
      - {name: bad, module: steps, function: Log, args: {key: c.n_v1, fail: bad}}
      - {name: last, module: steps, function: Log, args: {key: d.n_v1}}
    """


def test_the_verdict_tells_how_each_step_stands(desk: Desk) -> None:
    """What was not done says why; the keys are in the order of writing."""
    path = desk.write("r.yaml", RECIPE)
    ran(path)
    done = ran(path)
    said = done.verdict
    steps = said["steps"]
    assert isinstance(steps, dict)
    assert {name: step["status"] for name, step in steps.items()} == {
        "one": "cached",
        "no": "skipped",
        "bad": "ok",
        "last": "ok",
    }
    assert [step["attempts"] for step in steps.values()] == [1, 0, 1, 1]
    assert all(step["duration_ms"] >= 0 for step in steps.values())
    assert steps["no"]["why"] == "its condition did not hold"
    rest = {key: value for key, value in said.items() if key != "steps"}
    keys = ["a.n_v1", "c.n_v1", "d.n_v1"]
    run_id = done.run.run_id
    assert rest == {"status": "ok", "run_id": run_id, "ctx_keys": keys, "failed": []}


def test_defect_recipes_2_a_failing_step_gives_the_fields_of_its_own_line(desk: Desk) -> None:
    """The verdict has reason, exit code and step beside its own fields."""
    path = desk.write("r.yaml", RECIPE)
    desk.write("bad", "")
    said = ran(path).verdict
    assert (said["status"], said["failed"]) == ("error", ["bad"])
    assert (said["reason"], said["exit_code"], said["step"]) == ("told to", 7, "bad")
    steps = said["steps"]
    assert isinstance(steps, dict)
    assert steps["last"]["status"] in ("blocked", "cancelled")


def test_every_event_is_told_once_and_in_order(desk: Desk) -> None:
    """From the first to the last, each as one JSON line."""
    path = desk.write("r.yaml", RECIPE)
    told: list[RunEvent] = []

    async def followed() -> str:
        async with host() as on:
            runner = RecipeRunner(on)
            run = await runner.run(runner.compile(path), tell=told.append)
            return run.run_id

    run_id = run_to_end(followed())
    assert [event.seq for event in told] == list(range(1, len(told) + 1))
    lines = [json.dumps(event_document(event)) for event in told]
    assert not any("\n" in line for line in lines)
    assert {json.loads(line)["run_id"] for line in lines} == {run_id}
    assert told[-1].kind == "run-ended"


def test_the_context_may_be_taken_from_a_file_and_left_in_one(desk: Desk) -> None:
    """What was written is what is read; anything but a table is refused."""
    path = desk.folder / "values.json"
    context = Context()
    context.set("a.n_v1", {"x": [1, None]}, who="test")
    write_context(path, context.to_dict())
    assert read_context(path) == {"a.n_v1": {"x": [1, None]}}
    desk.write("bad.json", "[1]")
    with pytest.raises(DocumentError):
        read_context(Path("bad.json"))
