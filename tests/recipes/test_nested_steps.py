"""Recipes within recipes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from oneiric.domains.host import host
from oneiric.recipes import Context, RecipeError, RecipeFailedError, run_recipe
from oneiric.recipes.nesting import MOST_DEEP
from oneiric.recipes.plugin import SESSIONS
from oneiric.recipes.running import RecipeRunner
from oneiric.runs.state import RunState
from tests.contract.test_executor import is_alive
from tests.recipes.conftest import Desk

CHILD = """
    inputs: {n: {type: int, default: 1}}
    steps:
      - {name: one, module: steps, function: Write, args: {key: b.one_v1, value: "${{ inputs.n }}"}}
      - {name: two, module: steps, function: Write, args: {key: b.two_v1, value: 2}}
    """


def ran(desk: Desk, text: str) -> Context:
    """Run a recipe in memory and return its context."""
    return run_recipe(desk.write("r.yaml", text), checkpoints=False)


def test_what_a_recipe_within_writes_is_merged(desk: Desk) -> None:
    """Who wrote it is kept; it gets the inputs that it is given, and has a context of its own."""
    desk.write("sub/child.yaml", CHILD)
    context = ran(
        desk,
        """
        steps:
          - {name: w, module: steps, function: Write, args: {key: a.n_v1, value: 7}}
          - {name: sub, type: recipe, recipe: sub/child.yaml, inputs: {n: "${{ ctx['a.n_v1'] }}"}}
        """,
    )
    assert context.to_dict() == {"a.n_v1": 7, "b.one_v1": 7, "b.two_v1": 2}
    assert [(e.key, e.who, e.step) for e in context.history][1:] == [
        ("b.one_v1", "write", "sub"),
        ("b.two_v1", "write", "sub"),
    ]


def test_only_declared_outputs_are_taken_over(desk: Desk) -> None:
    """The rest stays with the run within."""
    desk.write("child.yaml", CHILD)
    context = ran(
        desk,
        """
        steps:
          - {name: sub, type: recipe, recipe: child.yaml, inputs: {n: 1}, outputs: [b.two_v1]}
        """,
    )
    assert context.to_dict() == {"b.two_v1": 2}


def test_a_failure_within_is_one_of_the_step(desk: Desk) -> None:
    """Its reason is told, and nothing is merged."""
    desk.write("child.yaml", "steps: [{name: a, module: steps, function: Fail}]")
    with pytest.raises(RecipeFailedError, match=r"recipe:child ended as failed.*no luck") as raised:
        ran(desk, "steps: [{name: sub, type: recipe, recipe: child.yaml}]")
    assert raised.value.run.steps["sub"].error["code"] == "recipe-failed"  # type: ignore[index]


def test_all_that_is_wrong_within_is_told_before_any_step(desk: Desk) -> None:
    """With the file and the line of each; nothing was run."""
    first = "steps:\n  - {name: t, type: shell, run: [touch, ran]}\n"
    child = desk.write("child.yaml", "version: 2\nsteps:\n  - {name: a, module: x, odd: 1}\n")
    text = "  - {name: a, type: recipe, recipe: child.yaml}\n"
    more = "  - {name: b, type: recipe, recipe: more.yaml}\n"
    gone = "  - {name: c, type: recipe, recipe: gone.yaml}\n"
    with pytest.raises(RecipeError) as raised:
        ran(desk, first + text + more + gone)
    places = [problem.origin for problem in raised.value.problems]
    assert f"{child}:3" in places
    assert sum(place.endswith(("r.yaml:4", "r.yaml:5")) for place in places) == 2
    assert not Path("ran").exists()


def test_recipes_that_run_each_other_are_refused(desk: Desk) -> None:
    """The ring is shown; so is a chain that is too long."""
    one = "steps: [{name: a, type: recipe, recipe: OTHER}]"
    desk.write("b.yaml", one.replace("OTHER", "r.yaml"))
    with pytest.raises(RecipeError) as raised:
        ran(desk, one.replace("OTHER", "b.yaml"))
    assert "r.yaml -> b.yaml -> r.yaml" in str(raised.value)
    for number in range(MOST_DEEP + 1):
        desk.write(f"c{number}.yaml", one.replace("OTHER", f"c{number + 1}.yaml"))
    desk.write(f"c{MOST_DEEP + 1}.yaml", "steps: [{name: a, type: shell, run: ['true']}]")
    with pytest.raises(RecipeError, match="is wrong") as raised:
        run_recipe("c0.yaml", checkpoints=False)
    assert f"more than {MOST_DEEP} recipes" in str(raised.value)
    run_recipe("c2.yaml", checkpoints=False)


async def test_a_run_within_is_taken_up_and_nothing_of_it_done_twice(desk: Desk) -> None:
    """Where a try of the parent's step fails, the next goes on with the same child."""
    desk.write(
        "child.yaml",
        """
        steps:
          - {name: one, type: shell, run: [sh, -c, 'echo x >> one']}
          - {name: two, type: shell, run: [sh, -c, 'echo x >> two; test "$(wc -l < two)" -ge 3']}
          - {name: w, module: steps, function: Write, args: {key: b.n_v1, value: 1}}
        """,
    )
    text = "steps: [{name: sub, type: recipe, recipe: child.yaml, retry: {max: 4}}]"
    async with host() as on:
        runner = RecipeRunner(on)
        run = await runner.run(runner.compile(desk.write("r.yaml", text)))
        envelope = run.results["sub"]
        assert isinstance(envelope, dict)
        child = await on.engine.get(str(envelope["run_id"]))
    assert run.state is RunState.SUCCEEDED
    assert run.context.values == {"b.n_v1": 1}
    assert dict(child.metadata) == {"parent": run.run_id, "step": "sub"}
    assert words("one") == ["x"]
    assert len(words("two")) == 3


async def test_a_parent_that_is_taken_up_takes_up_the_same_child(desk: Desk) -> None:
    """A host that is closed lets both go, and cancels neither."""
    desk.write(
        "child.yaml",
        """
        steps:
          - {name: one, type: shell, run: [sh, -c, 'echo x >> one']}
          - {name: two, type: shell, run: [sh, -c, 'echo x >> two; test -e go || sleep 600']}
        """,
    )
    path = desk.write("r.yaml", "steps: [{name: sub, type: recipe, recipe: child.yaml}]")
    async with host() as on:
        runner = RecipeRunner(on)
        running = asyncio.create_task(runner.run(runner.compile(path)))
        await appeared("two")
        (parent,) = [each.run_id for each in on.engine.under_way if each.plan.name == "recipe:r"]
        await on.engine.close()
        await asyncio.gather(running, return_exceptions=True)
    desk.write("go", "")
    async with host() as on, on.lifecycle.use(SESSIONS) as sessions:
        runner = RecipeRunner(on)
        compiled = runner.compile(path)
        sessions.begin(parent, await runner.session(compiled, compiled.input({})))
        run = await (await on.engine.resume(parent))
    assert run.state is RunState.SUCCEEDED
    assert words("one") == ["x"]
    assert words("two") == ["x", "x"]


async def test_a_run_within_that_somebody_else_carries_on_is_waited_for_and_told(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where they hold it longer than the claim of a dead process lasts, the step says so."""
    desk.write("oneiric.toml", "[runs]\nlease_seconds = 1\n")
    desk.write("child.yaml", "steps: [{name: one, type: shell, run: [sh, -c, 'exit 1']}]")
    path = desk.write("r.yaml", "steps: [{name: sub, type: recipe, recipe: child.yaml}]")
    async with host() as on, on.lifecycle.use(SESSIONS) as sessions:
        runner = RecipeRunner(on)
        compiled = runner.compile(path)
        parent = await runner.run(compiled)
        (child,) = await on.journal.runs(name="recipe:child")
        assert await on.journal.claim(child.run_id, holder="them", seconds=600)
        sessions.begin(parent.run_id, await runner.session(compiled, compiled.input({})))
        again = await (await on.engine.retry(parent.run_id))
    assert "another engine holds the run" in str(again.steps["sub"].error)
    told = capsys.readouterr().err
    assert f"sub: waits until nobody holds the run {child.run_id}: 1 s at most" in told


async def test_a_run_within_is_canceled_with_its_parent(desk: Desk) -> None:
    """What it runs is dead by then, and what it does at last is done."""
    desk.write(
        "child.yaml",
        """
        steps: [{name: one, type: shell, run: [sh, -c, 'echo $$ > pid; sleep 600']}]
        finally: [{name: last, type: shell, run: [touch, cleaned]}]
        """,
    )
    path = desk.write("r.yaml", "steps: [{name: sub, type: recipe, recipe: child.yaml}]")
    async with host(checkpoints=False) as on:
        runner = RecipeRunner(on)
        running = asyncio.create_task(runner.run(runner.compile(path)))
        await appeared("pid")
        runs = {each.plan.name: each.run_id for each in on.engine.under_way}
        await on.engine.cancel(runs["recipe:r"])
        run = await running
        child = await on.engine.get(runs["recipe:child"])
    assert (run.state, child.state) == (RunState.CANCELED, RunState.CANCELED)
    assert words("cleaned") == []
    assert not is_alive(int(words("pid")[0]))


def test_a_run_within_that_took_too_long_is_gone_on_with_by_the_next_try(desk: Desk) -> None:
    """The first is canceled, however long that takes; what it had done is not done again."""
    desk.write("oneiric.toml", "[runs]\nlease_seconds = 1\n")
    desk.write(
        "child.yaml",
        """
        steps:
          - {name: one, type: shell, run: [sh, -c, 'echo x >> one']}
          - {name: two, type: shell, run: [sh, -c, 'echo x >> two; test -e go || sleep 600']}
          - {name: w, module: steps, function: Write, args: {key: b.n_v1, value: 1}}
        finally: [{name: last, type: shell, run: [sh, -c, 'sleep 2; touch go']}]
        """,
    )
    context = ran(
        desk,
        """
        steps:
          - name: sub
            type: recipe
            recipe: child.yaml
            timeout: 3s
            retry: {max: 9, on: [timeout]}
        """,
    )
    assert context.to_dict() == {"b.n_v1": 1}
    assert words("one") == ["x"]
    assert words("two") == ["x", "x"]


def words(name: str) -> list[str]:
    """Return the words in a file."""
    return Path(name).read_text().split()


async def appeared(name: str) -> None:
    """Wait until a file is there with something in it."""
    while not is_written(name):  # noqa: ASYNC110  another process writes it
        await asyncio.sleep(0.01)


def is_written(name: str) -> bool:
    """Tell whether a file is there with something in it."""
    return Path(name).exists() and bool(Path(name).read_text())
