"""Scriptlets in processes of their own: JSON in, JSON out, and dead in time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from oneiric.recipes import Context, RecipeFailedError, run_recipe
from tests.contract.test_executor import is_alive
from tests.recipes.conftest import Desk

SCRIPTLETS = """
import json, os, subprocess, sys, time
from oneiric.recipes import BaseScriptlet

class Tell(BaseScriptlet):
    requires_process = True

    def run(self, ctx, params):
        subprocess.run(["echo", '{"status": "ok", "from": "a program"}'])
        before = ctx.get("a.n_v1")
        told = {"pid": os.getpid(), "before": before, "params": params, "env": sorted(os.environ)}
        ctx.set("b.told_v1", told, who="tell")
        ctx.set("b.more_v1", 1)
        print(json.dumps({"status": "ok", "outputs": ["b.told_v1"]}))
        return 0

class Code(BaseScriptlet):
    def run(self, ctx, params):
        with open("tries", "a") as file:
            file.write("x ")
        print(json.dumps({"status": "ok", "outputs": []}))
        return params["code"]

class Missing(BaseScriptlet):
    def run(self, ctx, params):
        with open("tries", "a") as file:
            file.write("x ")
        open("not-there")

class Odd(BaseScriptlet):
    def run(self, ctx, params):
        if params["how"] == "exit":
            os._exit(7)
        if params["how"] == "leave":
            sys.exit(3)
        if params["how"] == "unsafe":
            ctx.set("a.x_v1", {1, 2})
        if params["how"] == "hang":
            child = subprocess.Popen(["sleep", "600"], start_new_session=True)
            open("pids", "w").write(f"{os.getpid()} {child.pid}")
            time.sleep(600)
        print(json.dumps({"status": "error", "reason": "no luck", "exit_code": 1, "step": "odd"}))
        return 1
"""


def ran(desk: Desk, steps: str) -> Context:
    """Run steps in memory and return their context."""
    desk.write("apart.py", SCRIPTLETS)
    return run_recipe(desk.write("r.yaml", f"steps: [{steps}]"), checkpoints=False)


def test_defect_recipes_12_a_step_in_a_process_gets_and_gives_json(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is pickled, what it writes is merged, and programs that it runs cannot answer."""
    monkeypatch.setenv("PRIVATE_THING", "x")
    context = ran(
        desk,
        """
        {name: w, module: steps, function: Write, args: {key: a.n_v1, value: [1, {b: null}]}},
        {name: tell, module: apart, function: Tell, args: {n: 1.5}}
        """,
    )
    told = context.get("b.told_v1")
    assert isinstance(told, dict)
    assert told["pid"] != os.getpid()
    assert (told["before"], told["params"]) == ([1, {"b": None}], {"n": 1.5})
    assert "PRIVATE_THING" not in told["env"]
    assert context.get("b.more_v1") == 1
    assert [(e.key, e.who) for e in context.history if e.step == "tell"] == [
        ("b.told_v1", "tell"),
        ("b.more_v1", "unknown"),
    ]


@pytest.mark.parametrize(
    ("how", "code", "what"),
    [
        ("fail", "step-failed", "no luck"),
        ("exit", "exit-7", "ended with exit code 7"),
        ("leave", "step-failed", "SystemExit: 3"),
        ("unsafe", "step-failed", "a.x_v1 is not JSON serializable"),
    ],
)
def test_a_failure_in_a_process_is_that_of_the_step(
    desk: Desk, how: str, code: str, what: str
) -> None:
    """Its reason is told, and nothing that it wrote is merged."""
    with pytest.raises(RecipeFailedError) as raised:
        ran(desk, f"{{name: odd, module: apart, function: Odd, timeout: 1m, args: {{how: {how}}}}}")
    error = raised.value.run.steps["odd"].error
    assert error is not None
    assert error["code"] == code
    assert what in str(error["message"])
    assert raised.value.run.context.values == {}


def test_a_scriptlet_that_takes_too_long_is_dead_when_it_has_failed(desk: Desk) -> None:
    """So is what it started in a session of its own."""
    with pytest.raises(RecipeFailedError) as raised:
        ran(desk, "{name: odd, module: apart, function: Odd, timeout: 3s, args: {how: hang}}")
    assert raised.value.run.steps["odd"].error["code"] == "timeout"  # type: ignore[index]
    pids = [int(each) for each in Path("pids").read_text().split()]
    assert len(pids) == 2
    assert not [pid for pid in pids if is_alive(pid)]


@pytest.mark.parametrize("more", ["", ", requires_process: true"])
@pytest.mark.parametrize(("cause", "tries"), [("OSError", 3), ("ValueError", 1)])
def test_what_a_scriptlet_raises_can_be_a_cause_for_another_try(
    desk: Desk, more: str, cause: str, tries: int
) -> None:
    """By the name of its type, or of a type that it is derived from."""
    retry = f"retry: {{max: 2, on: [{cause}]}}"
    with pytest.raises(RecipeFailedError, match="not-there") as raised:
        ran(desk, f"{{name: m, module: apart, function: Missing, {retry}{more}}}")
    assert raised.value.run.steps["m"].error["type"] == "FileNotFoundError"  # type: ignore[index]
    assert len(Path("tries").read_text().split()) == tries


@pytest.mark.parametrize("more", ["", ", requires_process: true"])
def test_a_scriptlet_may_end_with_other_codes_that_are_named(desk: Desk, more: str) -> None:
    """Others fail, and a retry may know them."""
    step = f"name: c, module: apart, function: Code, args: {{code: 75}}{more}"
    ran(desk, f"{{{step}, success: {{exit_codes: [0, 75]}}}}")
    assert Path("tries").read_text().split() == ["x"]
    with pytest.raises(RecipeFailedError, match="it returned 75"):
        ran(desk, f"{{{step}, retry: {{max: 1, on: ['exit:75']}}}}")
    assert len(Path("tries").read_text().split()) == 3


def test_a_child_runs_no_other_file_than_the_one_that_was_allowed(desk: Desk) -> None:
    """It looks where an import would lead before it imports."""
    desk.write("mine.py", "open('imported', 'w')")
    asked = {"target": "mine:Tell", "origin": "/somewhere/mine.py"}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "oneiric.recipes.isolated"],
        input=json.dumps(asked).encode(),
        capture_output=True,
        check=True,
    )
    said = json.loads(done.stdout)
    assert said["code"] == "refused"
    assert "/somewhere/mine.py was allowed" in said["reason"]
    assert not (desk.folder / "imported").exists()


def test_variables_of_the_recipe_give_an_interpreter_nothing_to_run(desk: Desk) -> None:
    """The scriptlet has them; they do not decide what is imported before it."""
    desk.write("data/sitecustomize.py", "open('intruded', 'w')")
    desk.write(
        "saying.py",
        """
        import json, os
        from oneiric.recipes import BaseScriptlet

        class Say(BaseScriptlet):
            requires_process = True

            def run(self, ctx, params):
                ctx.set("a.path_v1", os.environ["PYTHONPATH"])
                print(json.dumps({"status": "ok", "outputs": ["a.path_v1"]}))
                return 0
        """,
    )
    text = "env: {PYTHONPATH: data}\nsteps: [{name: a, module: saying, function: Say}]"
    context = run_recipe(desk.write("r.yaml", text), checkpoints=False)
    assert context.to_dict() == {"a.path_v1": "data"}
    assert not (desk.folder / "intruded").exists()
