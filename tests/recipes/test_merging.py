"""What steps write beside each other: who may, and whose counts."""

from __future__ import annotations

import pytest

from oneiric.domains.host import host
from oneiric.recipes import Context, RecipeFailedError, run_recipe
from oneiric.recipes.compiling import compile_recipe
from oneiric.recipes.errors import MergeError
from oneiric.recipes.reading import read_recipe
from oneiric.recipes.running import RecipeRunner
from oneiric.recipes.sessions import Session, writers_in
from tests.recipes.conftest import Desk

BESIDE = """
    version: 2
    defaults: {merge: MERGE}
    steps:
      - name: a
        type: shell
        run: [sh, -c, 'while ! test -e A; do sleep 0.01; done; echo a; touch B']
        stdout_key: x.n_v1
      - name: b
        type: shell
        run: [sh, -c, 'while ! test -e B; do sleep 0.01; done; echo b; touch A']
        stdout_key: x.n_v1
    """


def ran(desk: Desk, text: str) -> Context:
    """Run a recipe in memory and return its context."""
    return run_recipe(desk.write("r.yaml", text), checkpoints=False)


def test_steps_beside_each_other_may_not_write_the_same_key(desk: Desk) -> None:
    """The error names both, and the run fails."""
    desk.write("A", "")
    with pytest.raises(RecipeFailedError) as raised:
        ran(desk, BESIDE.replace("MERGE", "fail_on_conflict"))
    steps = raised.value.run.steps
    first, second = ("a", "b") if steps["b"].error else ("b", "a")
    error = steps[second].error
    assert error is not None
    assert error["code"] == "merge-conflict"
    assert f"x.n_v1 was written by {first} too" in str(error["message"])


@pytest.mark.parametrize("first", ["A", "B"])
def test_the_last_write_is_that_of_the_graph_and_not_of_the_clock(desk: Desk, first: str) -> None:
    """Whichever ends first, the step that stands later counts."""
    desk.write(first, "")
    context = ran(desk, BESIDE.replace("MERGE", "last_write_wins"))
    assert context.get("x.n_v1") == "b"


def test_a_step_that_waits_for_another_may_write_the_same_key(desk: Desk) -> None:
    """It knew what was there; the history tells both."""
    context = ran(
        desk,
        """
        steps:
          - {name: a, module: steps, function: Write, args: {key: x.n_v1, value: 1}}
          - {name: b, module: steps, function: Write, args: {key: x.n_v1, value: 2}}
        """,
    )
    assert context.get("x.n_v1") == 2
    assert [(e.step, e.new) for e in context.history] == [("a", 1), ("b", 2)]


def test_a_key_that_is_not_declared_may_not_be_written(desk: Desk) -> None:
    """Nothing of the step is merged then."""
    with pytest.raises(RecipeFailedError, match=r"it wrote x\.n_v1, not among its outputs"):
        ran(
            desk,
            """
            steps:
              - name: a
                module: steps
                function: Write
                args: {key: x.n_v1, value: 1}
                outputs: [y.n_v1]
            """,
        )


async def test_who_wrote_what_is_known_from_the_journal(desk: Desk) -> None:
    """A run that is taken up holds to it as if it had never stopped."""
    path = desk.write(
        "r.yaml",
        """
        version: 2
        steps:
          - {name: a, module: steps, function: Write, args: {key: x.n_v1, value: 1}}
          - {name: b, module: steps, function: Write, args: {key: y.n_v1, value: 1}}
        """,
    )
    async with host(checkpoints=False) as on:
        runner = RecipeRunner(on)
        run = await runner.run(runner.compile(path))
        writers = writers_in(await on.journal.read(run.run_id))
    assert writers == {"x.n_v1": "a", "y.n_v1": "b"}
    session = Session(compile_recipe(read_recipe(path)), {}, writers)
    with pytest.raises(MergeError, match="written by a too"):
        session.claim("b", ["x.n_v1"], "")


@pytest.mark.parametrize("value", ["datetime(2026, 1, 1)", "{1, 2}", "object()", "float('nan')"])
def test_defect_recipes_4_what_is_not_json_is_refused_where_it_is_set(
    desk: Desk, value: str
) -> None:
    """The error names the key and the path, and nothing is merged."""
    desk.write(
        "unsafe.py",
        f"""
        from datetime import datetime
        from oneiric.recipes import BaseScriptlet

        class Unsafe(BaseScriptlet):
            def run(self, ctx, params):
                ctx.set("a.n_v1", 1)
                ctx.set("a.x_v1", {{"rows": [{value}]}}, who="unsafe")
                return 0
        """,
    )
    with pytest.raises(RecipeFailedError, match=r"a\.x_v1 is not JSON serializable at") as raised:
        ran(desk, "steps: [{name: u, module: unsafe, function: Unsafe}]")
    assert raised.value.run.context.values == {}
