"""In which order steps are done, and how many at once."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oneiric.domains.host import host
from oneiric.recipes.arranging import arranged
from oneiric.recipes.options import RunOptions
from oneiric.recipes.recipe import RecipeSpec
from oneiric.recipes.running import RecipeRunner
from oneiric.runs.run import Run
from oneiric.runs.state import RunState, StepState
from tests.recipes.conftest import Desk
from tests.recipes.doors import compiled
from tests.recipes.runs import ran

MEETING = '''
import asyncio
import json
import threading

from oneiric.recipes import BaseScriptlet

BARRIER = threading.Barrier(3)
LOCK = threading.Lock()
BUSY = {"all": 0, "m": 0}
MOST = {"all": 0, "m": 0}
DONE = []


def ok():
    print(json.dumps({"status": "ok", "outputs": []}))
    return 0


class Meet(BaseScriptlet):
    """End only when three steps are under way at once."""

    def run(self, ctx, params):
        BARRIER.wait(timeout=60)
        return ok()


class Count(BaseScriptlet):
    """Count how many are under way at once, of all and of a group; fail if it is told to."""

    def run(self, ctx, params):
        groups = ("all", "m") if params.get("group") else ("all",)
        with LOCK:
            for group in groups:
                BUSY[group] += 1
                MOST[group] = max(MOST[group], BUSY[group])
        threading.Event().wait(0.01)
        with LOCK:
            for group in groups:
                BUSY[group] -= 1
            DONE.append(params["name"])
        if params.get("fail"):
            print(json.dumps({"status": "error", "reason": "no luck"}))
            return 1
        return ok()
'''


def ids(steps: Sequence[dict[str, object]], version: int = 1) -> list[str]:
    """Return the ids of steps in the order of the plan."""
    spec = RecipeSpec.model_validate({"version": version, "steps": steps})
    placed, wrong = arranged(spec)
    assert not wrong
    return [each.id for each in placed]


def run_of(path: Path, *, keep_going: bool = False) -> Run:
    """Run a recipe with its state in memory."""

    async def ran() -> Run:
        async with host(checkpoints=False) as on:
            runner = RecipeRunner(on)
            return await runner.run(runner.compile(path, RunOptions(keep_going=keep_going)))

    return asyncio.run(ran())


def states(run: Run) -> dict[str, str]:
    """Return the state of each step."""
    return {name: str(step.state) for name, step in run.steps.items()}


def step(name: str, **fields: object) -> dict[str, object]:
    """Return one step."""
    return {"name": name, "module": "steps", "function": "Write", **fields}


def test_defect_recipes_8_steps_come_by_idx_and_after_what_they_depend_on() -> None:
    """In version 1: whichever comes first in the file."""
    assert ids([step("b", idx=2), step("a", idx=1), step("c", idx=3)]) == ["a", "b", "c"]
    assert ids([step("a", idx=1, depends_on=["b"]), step("b", idx=2)]) == ["b", "a"]
    assert ids([step("a"), step("b"), step("c")]) == ["a", "b", "c"]
    assert ids([step("a", idx=5), step("b"), step("c", idx=1)]) == ["c", "a", "b"]
    assert ids([step("b", idx=1), step("a", idx=1)]) == ["b", "a"]


def test_defect_recipes_9_a_recipe_without_dependencies_runs_forwards(desk: Desk) -> None:
    """Each step of version 1 waits for the one before it."""
    desk.write("meeting.py", MEETING)
    steps = "\n".join(
        f"- {{name: {name}, module: meeting, function: Count, args: {{name: {name}}}}}"
        for name in ("normalize", "load", "append")
    )
    run = run_of(desk.write("r.yaml", f"steps:\n{steps}\n"))
    assert run.state is RunState.SUCCEEDED
    order = [each for each, found in run.steps.items() if found.state is StepState.SUCCEEDED]
    assert order == ["normalize", "load", "append"]
    assert run.plan.steps[2].depends_on == ("load",)


@pytest.mark.parametrize("version", [1, 2])
def test_defect_recipes_11_parallel_steps_are_under_way_at_once(desk: Desk, version: int) -> None:
    """Three steps meet, after one that all of them depend on and that is done once."""
    desk.write("meeting.py", MEETING)
    path = desk.write(
        "r.yaml",
        f"""
        version: {version}
        steps:
          - {{name: first, module: steps, function: Write, args: {{key: a.n_v1}}}}
          - {{name: a, module: meeting, function: Meet, parallel: true, depends_on: [first]}}
          - {{name: b, module: meeting, function: Meet, parallel: true, depends_on: [first]}}
          - {{name: c, module: meeting, function: Meet, parallel: true, depends_on: [first]}}
        """,
    )
    run = run_of(path)
    assert run.state is RunState.SUCCEEDED
    assert run.steps["first"].attempt == 1
    assert len([event for event in run.steps.values() if event.attempt]) == 4


def test_only_steps_in_a_row_that_say_so_run_beside_each_other_in_version_1() -> None:
    """What follows them waits for all, and one that depends on another begins a new row."""
    steps = [
        step("a"),
        step("b", parallel=True),
        step("c", parallel=True),
        step("d", parallel=True, depends_on=["c"]),
        step("e"),
    ]
    placed, _ = arranged(RecipeSpec.model_validate({"steps": steps}))
    assert {each.id: each.depends_on for each in placed} == {
        "a": (),
        "b": ("a",),
        "c": ("a",),
        "d": ("b", "c"),
        "e": ("d",),
    }


graphs = st.integers(1, 25).flatmap(
    lambda size: st.tuples(
        st.permutations(range(size)),
        st.lists(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)), max_size=60),
        st.lists(st.none() | st.integers(-3, 3), min_size=size, max_size=size),
        st.lists(st.booleans(), min_size=size, max_size=size),
    )
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(graph=graphs, version=st.sampled_from([1, 2]))
def test_any_steps_come_after_what_they_depend_on_and_always_in_one_order(
    graph: tuple[list[int], list[tuple[int, int]], list[int | None], list[bool]], version: int
) -> None:
    """Of the ready ones by `idx`, then as in the file; the plan is the same each time."""
    places, edges, numbers, parallel = graph
    after: dict[int, set[int]] = {place: set() for place in places}
    for one, other in edges:
        if one != other:
            after[max(one, other)].add(min(one, other))
    steps = [
        step(
            f"s{place}",
            depends_on=[f"s{each}" for each in sorted(after[place])],
            parallel=parallel[place],
            **({} if (idx := numbers[place]) is None else {"idx": idx}),
        )
        for place in places
    ]
    spec = RecipeSpec.model_validate({"version": version, "steps": steps})
    placed, wrong = arranged(spec)
    assert not wrong
    assert placed == arranged(spec)[0]
    order = [each.id for each in placed]
    assert sorted(order) == sorted(f"s{place}" for place in places)
    for number, each in enumerate(placed):
        assert set(each.spec.depends_on) <= set(each.depends_on)
        assert set(each.depends_on) <= set(order[:number])


def test_a_matrix_is_done_for_each_combination_that_is_not_excluded() -> None:
    """What depends on it waits for all members."""
    steps = [
        step("m", matrix={"a": [1, 2], "b": ["x", True], "exclude": [{"a": 2, "b": "x"}]}),
        step("n", depends_on=["m"]),
    ]
    assert ids(steps, 2) == ["m/1-x", "m/1-true", "m/2-true", "n"]
    placed, _ = arranged(RecipeSpec.model_validate({"version": 2, "steps": steps}))
    assert placed[-1].depends_on == ("m/1-x", "m/1-true", "m/2-true")
    assert placed[1].matrix == {"a": 1, "b": True}


MATRIX = """
    version: 2
    concurrency: {{max_parallel: {0}}}
    steps:
      - name: m
        module: meeting
        function: Count
        matrix: {{n: [0, 1, 2, 3, 4, 5, 6, 7], max_parallel: {1}}}
        args: {{name: "m${{{{ matrix.n }}}}", group: true}}
      - name: o
        module: meeting
        function: Count
        matrix: {{n: [0, 1, 2, 3, 4, 5, 6, 7]}}
        args: {{name: "o${{{{ matrix.n }}}}"}}
    """


@pytest.mark.parametrize(("most", "of_matrix"), [(5, 2), (3, 2), (2, 2), (1, 2), (2, 1)])
def test_both_limits_of_a_matrix_and_of_the_run_hold(desk: Desk, most: int, of_matrix: int) -> None:
    """The share of the matrix is set aside from that of the run."""
    desk.write("meeting.py", MEETING)
    path = desk.write("r.yaml", MATRIX.format(most, of_matrix))
    run = run_of(path)
    assert run.state is RunState.SUCCEEDED
    import meeting  # type: ignore[import-not-found]

    assert meeting.MOST["m"] <= of_matrix
    assert meeting.MOST["all"] <= most
    assert Counter(meeting.DONE).most_common(1)[0][1] == 1


def test_shares_of_several_matrices_leave_one_for_all_others(desk: Desk) -> None:
    """A matrix for whose share nothing is left is among all others."""
    steps = "\n".join(
        f"- {{name: {name}, type: shell, run: [ls], matrix: {{n: [1, 2], max_parallel: {most}}}}}"
        for name, most in (("all", 2), ("b", 1), ("c", 1), ("d", 9))
    )
    path = desk.write(
        "r.yaml", f"version: 2\nsteps:\n{steps}\n- {{name: z, type: shell, run: [a]}}"
    )
    plan = compiled(path, max_parallel=4).plan
    groups = {each.id: each.group for each in plan.steps}
    assert plan.groups == {"all": 1, "all/": 2, "b/": 1}
    assert [groups[name] for name in ("all/1", "b/2", "c/1", "d/2", "z")] == [
        "all/",
        "b/",
        "all",
        "all",
        "all",
    ]
    assert compiled(path).plan.groups == {"all/": 2, "b/": 1, "c/": 1, "d/": 9}


FAILING = """
    version: 2
    steps:
      - name: m
        module: meeting
        function: Count
        matrix: {{n: [0, 1, 2], max_parallel: 1, fail_fast: {0}}}
        args: {{name: "m${{{{ matrix.n }}}}", fail: "${{{{ matrix.n == 0 }}}}"}}
      - name: after
        needs: [m]
        module: meeting
        function: Count
        args: {{name: after}}
    """


def test_who_keeps_going_has_all_members_done(desk: Desk) -> None:
    """The wish for this run outdoes the recipe; only what depends on the failed is not done."""
    desk.write("meeting.py", MEETING)
    done = ran(desk.write("r.yaml", FAILING.format("true")), keep_going=True)
    assert done.statuses == {"m/0": "failed", "m/1": "ok", "m/2": "ok", "after": "blocked"}
    assert done.run.state is RunState.FAILED


def test_the_failure_of_a_member_stops_the_others_or_not(desk: Desk) -> None:
    """Where it does not, what depends on the matrix is not done either, and the run failed."""
    desk.write("meeting.py", MEETING)
    fast = run_of(desk.write("r.yaml", FAILING.format("true")))
    assert fast.state is RunState.FAILED
    assert states(fast) == {
        "m/0": "failed",
        "m/1": "canceled",
        "m/2": "canceled",
        "after": "canceled",
    }
    slow = run_of(desk.write("r.yaml", FAILING.format("false")))
    assert slow.state is RunState.FAILED
    assert states(slow) == {
        "m/0": "failed",
        "m/1": "succeeded",
        "m/2": "succeeded",
        "m": "failed",
        "after": "canceled",
    }
    assert "m/0 failed" in json.dumps(slow.steps["m"].error)
