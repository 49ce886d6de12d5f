"""Runs are gone on with, and others begin with what earlier ones kept."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from oneiric.domains.host import host
from oneiric.errors import InvalidError, NotFoundError, PlanChangedError
from oneiric.recipes.errors import SelectionError
from tests.recipes.conftest import Desk
from tests.recipes.runs import ran, run_ids

CHAIN = """
    steps:
      - {name: one, module: steps, function: Log, args: {key: a.n_v1, value: 1}}
      - {name: two, module: steps, function: Log,
         args: {key: b.n_v1, fail: bad, value: "${{ ctx['a.n_v1'] }}"}}
      - {name: three, module: steps, function: Log,
         args: {key: c.n_v1, value: "${{ steps.one.output.status }}"}}
    """


def test_a_failed_run_goes_on_at_the_first_step_that_is_not_done(desk: Desk) -> None:
    """With the values that it kept; what is done is not done again."""
    path, bad = desk.write("r.yaml", CHAIN), desk.write("bad", "")
    first = ran(path)
    assert (first.run.state, desk.log) == ("failed", ["a.n_v1", "b.n_v1"])
    bad.unlink()
    second = ran(path, resume=first.run.run_id)
    assert second.run.run_id == first.run.run_id
    assert second.values == {"a.n_v1": 1, "b.n_v1": 1, "c.n_v1": "ok"}
    assert desk.log == ["a.n_v1", "b.n_v1", "b.n_v1", "c.n_v1"]
    with pytest.raises(InvalidError, match="is succeeded"):
        ran(path, resume=first.run.run_id)


def test_a_run_of_a_recipe_that_has_changed_goes_on_only_by_force(desk: Desk) -> None:
    """The refusal tells the steps that differ; by force only what is the same is kept."""
    path, bad = desk.write("r.yaml", CHAIN), desk.write("bad", "")
    first = ran(path)
    desk.write("r.yaml", CHAIN.replace("b.n_v1", "d.n_v1"))
    with pytest.raises(PlanChangedError) as raised:
        ran(path, resume=first.run.run_id)
    assert any("two" in line for line in raised.value.lines())
    bad.unlink()
    assert desk.log == ["a.n_v1", "b.n_v1"]
    second = ran(path, resume=first.run.run_id, force=True)
    assert second.values == {"a.n_v1": 1, "d.n_v1": 1, "c.n_v1": "ok"}
    assert desk.log == ["a.n_v1", "b.n_v1", "d.n_v1", "c.n_v1"]


WITHIN = """
    steps: [{name: sub, type: recipe, recipe: child.yaml}]
    finally: [{name: last, module: steps, function: Log, args: {key: last_v1}}]
    """


def test_a_run_goes_on_with_a_recipe_within_that_has_changed_only_by_force(desk: Desk) -> None:
    """It is refused before any step is done; the recipe itself has not changed."""
    path, bad = desk.write("r.yaml", WITHIN), desk.write("bad", "")
    desk.write("mid.yaml", CHAIN)
    desk.write("child.yaml", "steps: [{name: deep, type: recipe, recipe: mid.yaml}]")
    first = ran(path)
    desk.write("mid.yaml", CHAIN.replace("b.n_v1", "d.n_v1"))
    with pytest.raises(PlanChangedError) as raised:
        ran(path, resume=first.run.run_id)
    assert "recipe:mid" in raised.value.message
    assert any("two" in line for line in raised.value.lines())
    bad.unlink()
    assert desk.log == ["a.n_v1", "b.n_v1", "last_v1"]
    second = ran(path, resume=first.run.run_id, force=True)
    assert second.statuses == {"sub": "ok", "last": "ok"}
    assert desk.log[3:] == ["d.n_v1", "c.n_v1", "last_v1"]


def test_a_run_goes_on_with_a_recipe_within_as_that_was_begun(desk: Desk) -> None:
    """How many steps may be under way then is no change of it."""
    path, bad = desk.write("r.yaml", WITHIN), desk.write("bad", "")
    desk.write("child.yaml", CHAIN)
    first = ran(path, jobs=2)
    bad.unlink()
    second = ran(path, resume=first.run.run_id)
    assert second.statuses == {"sub": "ok", "last": "ok"}
    assert desk.log == ["a.n_v1", "b.n_v1", "last_v1", "b.n_v1", "c.n_v1", "last_v1"]


def test_a_run_is_gone_on_with_by_its_own_recipe_and_inputs(desk: Desk) -> None:
    """An unknown run, one of another recipe, and other inputs are refused."""
    path = desk.write("r.yaml", CHAIN)
    desk.write("bad", "")
    first = ran(path)
    other = desk.write("other.yaml", CHAIN)
    with pytest.raises(NotFoundError):
        ran(path, resume="nothing")
    with pytest.raises(InvalidError, match="is a run of r, not of other"):
        ran(other, resume=first.run.run_id)
    with pytest.raises(InvalidError, match="there is no input n"):
        ran(path, {"n": 1}, resume=first.run.run_id)


def test_defect_recipes_14_a_run_from_a_step_on_has_the_values_of_the_last(desk: Desk) -> None:
    """Steps before it are not done, and give what they gave; those after it are."""
    path, bad = desk.write("r.yaml", CHAIN), desk.write("bad", "")
    first = ran(path)
    bad.unlink()
    second = ran(path, resume_from="two")
    assert second.run.run_id != first.run.run_id
    assert second.values == {"a.n_v1": 1, "b.n_v1": 1, "c.n_v1": "ok"}
    assert second.statuses == {"one": "cached", "two": "ok", "three": "ok"}
    assert second.whys["one"] == f"it was done in run {first.run.run_id}"
    assert desk.log == ["a.n_v1", "b.n_v1", "b.n_v1", "c.n_v1"]


def test_values_of_steps_that_are_done_again_are_not_there_before(desk: Desk) -> None:
    """What must hold after a step cannot hold because of an earlier run of it."""
    text = """
        steps:
          - {name: one, module: steps, function: Log, args: {key: a.n_v1, value: 1}}
          - {name: two, module: steps, function: Log, args: {key: KEY},
             success: {ctx_has_keys: [b.n_v1]}}
          - {name: three, module: steps, function: Log, args: {key: c.n_v1}}
        """
    path = desk.write("r.yaml", text.replace("KEY", "b.n_v1"))
    ran(path)
    assert ran(path, resume_from="three").values == {"a.n_v1": 1, "b.n_v1": None, "c.n_v1": None}
    desk.write("r.yaml", text.replace("KEY", "other.n_v1"))
    again = ran(path, resume_from="two")
    assert (again.statuses["two"], again.values) == ("failed", {"a.n_v1": 1})


def test_a_run_from_a_step_on_needs_an_earlier_run_that_did_what_comes_before(
    desk: Desk,
) -> None:
    """Else the step to begin with is told."""
    path = desk.write("r.yaml", CHAIN)
    desk.write("bad", "")
    with pytest.raises(SelectionError, match="r has no earlier run"):
        ran(path, resume_from="two")
    first = ran(path)
    with pytest.raises(SelectionError, match=f"two was not done in run {first.run.run_id}") as told:
        ran(path, resume_from="three")
    assert told.value.hint == "--resume-from two"
    assert desk.log == ["a.n_v1", "b.n_v1"]


def test_only_what_failed_is_done_in_another_run(desk: Desk) -> None:
    """With the values that the earlier one kept; one without failures has nothing to do."""
    path, bad = desk.write("r.yaml", CHAIN), desk.write("bad", "")
    first = ran(path)
    bad.unlink()
    second = ran(path, only_failed=first.run.run_id)
    assert second.statuses == {"one": "cached", "two": "ok", "three": "ok"}
    assert second.values == {"a.n_v1": 1, "b.n_v1": 1, "c.n_v1": "ok"}
    with pytest.raises(SelectionError, match="nothing has failed in run"):
        ran(path, only_failed=second.run.run_id)


def test_a_run_that_continued_another_is_continued_and_gone_on_with(desk: Desk) -> None:
    """From an earlier step on than it was itself, values of later steps are not there."""
    path, bad = desk.write("r.yaml", CHAIN), desk.write("bad", "")
    ran(path)
    again = ran(path, resume_from="two")
    assert (again.statuses["one"], again.run.state) == ("cached", "failed")
    bad.unlink()
    more = ran(path, resume=again.run.run_id)
    assert more.values == {"a.n_v1": 1, "b.n_v1": 1, "c.n_v1": "ok"}
    assert desk.log.count("a.n_v1") == 1
    third = ran(path, resume_from="three")
    assert third.statuses == {"one": "cached", "two": "cached", "three": "ok"}
    assert third.values == more.values
    desk.write("bad", "")
    whole = ran(path, resume_from="one")
    assert (whole.values, desk.log.count("a.n_v1")) == ({"a.n_v1": 1}, 2)


def test_a_continued_run_of_a_changed_recipe_keeps_what_it_began_with(desk: Desk) -> None:
    """By force the steps that an earlier run had done still count as done."""
    path, bad = desk.write("r.yaml", CHAIN), desk.write("bad", "")
    ran(path)
    again = ran(path, resume_from="two")
    bad.unlink()
    desk.write("r.yaml", CHAIN.replace("c.n_v1", "d.n_v1"))
    more = ran(path, resume=again.run.run_id, force=True)
    assert more.values == {"a.n_v1": 1, "b.n_v1": 1, "d.n_v1": "ok"}
    assert desk.log.count("a.n_v1") == 1


SLOW = '''
import json
import pathlib
import sys
import time

from oneiric.recipes import BaseScriptlet


class Halt(BaseScriptlet):
    """Say that it is there, and never end, unless a file `go` is there."""

    def run(self, ctx, params):
        sys.stderr.write("halting" + chr(10))
        sys.stderr.flush()
        while not pathlib.Path("go").exists():
            time.sleep(0.01)
        print(json.dumps({"status": "ok", "outputs": []}))
        return 0
'''


def test_after_a_kill_a_run_goes_on_and_no_finished_step_is_done_again(desk: Desk) -> None:
    """Its process was killed in the middle of a step; only that one is done again."""
    desk.write("slow.py", SLOW)
    desk.write("oneiric.toml", "[runs]\nlease_seconds = 1\n")
    path = desk.write(
        "r.yaml",
        """
        steps:
          - {name: one, module: steps, function: Log, args: {key: a.n_v1, value: 1}}
          - {name: halt, module: slow, function: Halt}
          - {name: three, module: steps, function: Log,
             args: {key: c.n_v1, value: "${{ ctx['a.n_v1'] }}"}}
        """,
    )
    program = "from oneiric.recipes import run_recipe; run_recipe('r.yaml')"
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stderr is not None
    with process.stderr:
        assert any(line == b"halting\n" for line in process.stderr)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert desk.log == ["a.n_v1"]
    desk.write("go", "")
    [run_id] = run_ids()
    done = ran(path, resume=run_id)
    assert (done.run.state, desk.log) == ("succeeded", ["a.n_v1", "c.n_v1"])
    assert done.values == {"a.n_v1": 1, "c.n_v1": 1}


def test_who_goes_on_with_a_run_that_is_held_is_told_that_it_waits(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    """Until the lease of whoever held it has ended."""
    path, bad = desk.write("r.yaml", CHAIN), desk.write("bad", "")
    run_id = ran(path).run.run_id
    bad.unlink()

    async def hold() -> None:
        async with host() as on:
            assert await on.journal.claim(run_id, holder="other", seconds=3)

    asyncio.run(hold())
    done = ran(path, resume=run_id)
    assert done.run.state == "succeeded"
    assert f"waits until nobody holds the run {run_id}: " in capsys.readouterr().err


LARGE = """
    version: 2
    steps:
      - {name: one, module: large, function: Large, args: {key: a.n_v1}}
      - {name: two, module: large, function: Large, depends_on: [one], args: {key: b.n_v1}}
      - {name: three, module: large, function: Large, depends_on: [two], args: {key: c.n_v1}}
      - {name: four, module: steps, function: Log, depends_on: [three],
         args: {key: d.n_v1, fail: bad,
                value: "${{ [len(ctx['b.n_v1']), len(steps.one.output.text)] }}"}}
    """
LARGE_PY = '''
import json

from oneiric.recipes import BaseScriptlet


class Large(BaseScriptlet):
    """Note the call, and write and print 400 KB each."""

    def run(self, ctx, params):
        with open("log", "a") as file:
            file.write(params["key"] + chr(10))
        ctx.set(params["key"], "x" * 400_000, who="large")
        print(json.dumps({"status": "ok", "outputs": [params["key"]], "text": "y" * 400_000}))
        return 0
'''


def test_what_an_earlier_run_kept_may_be_larger_than_one_value(desk: Desk) -> None:
    """Steps before the one to begin with give what they gave, and write what they wrote."""
    desk.write("large.py", LARGE_PY)
    path, bad = desk.write("r.yaml", LARGE), desk.write("bad", "")
    first = ran(path)
    bad.unlink()
    second = ran(path, resume_from="four")
    assert second.run.state == "succeeded", second.run.error
    assert desk.log == ["a.n_v1", "b.n_v1", "c.n_v1", "d.n_v1", "d.n_v1"]
    assert second.values["d.n_v1"] == [400_000, 400_000]
    assert {key: second.values[key] for key in first.values} == first.values
    assert second.who["a.n_v1"] == "large"
    third = ran(path, resume_from="four")
    assert third.values == second.values
    fourth = ran(path, only_failed=first.run.run_id)
    assert (fourth.values, fourth.run.state) == (second.values, "succeeded")


def test_a_run_that_continues_another_is_gone_on_with(desk: Desk) -> None:
    """With what it kept of that one, whose values it still has."""
    desk.write("large.py", LARGE_PY)
    path, bad = desk.write("r.yaml", LARGE), desk.write("bad", "")
    ran(path)
    second = ran(path, resume_from="four")
    assert second.run.state == "failed"
    bad.unlink()
    third = ran(path, resume=second.run.run_id)
    assert (third.run.state, third.values["d.n_v1"]) == ("succeeded", [400_000, 400_000])
    assert desk.log[3:] == ["d.n_v1", "d.n_v1", "d.n_v1"]
