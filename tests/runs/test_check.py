"""What is asked of a plan before its first step, and that the answer is never long in coming."""

from __future__ import annotations

import time
from typing import Any

import pytest

from oneiric.backoff import Backoff
from oneiric.errors import InvalidError, JSONValue, PlanError
from oneiric.runs.body import Functions
from oneiric.runs.check import check_plan, kept
from oneiric.runs.engine import RunEngine
from oneiric.runs.plan import Limits, Plan, Retry, Step
from oneiric.runs.run import fold
from tests.runs.worlds import FUNCTIONS, give

BODIES = Functions(FUNCTIONS)
COUNT = 4_000


def problems(*steps: Step, given: JSONValue = None) -> list[str]:
    """Return what is wrong with a plan of *steps*."""
    try:
        check_plan(Plan("p", steps), BODIES, Limits(), given=given)
    except PlanError as error:
        return list(error.lines())
    return []


def unhurried(count: int) -> list[Step]:
    """Return a chain in which each step refers to the first and the last before it."""
    first = Step("s0", "give")
    return [
        first,
        *(
            Step(
                f"s{n}",
                "give",
                f"${{ steps.s0.output }} ${{ steps.s{n - 1}.output }}",
                (f"s{n - 1}",),
            )
            for n in range(1, count)
        ),
    ]


def seconds(plan: Plan) -> float:
    """Return the processor time that it takes to check *plan*."""
    began = time.process_time()
    check_plan(plan, BODIES, Limits())
    return time.process_time() - began


def test_promise_w4_checking_a_long_chain_takes_a_time_in_step_with_its_length() -> None:
    """Four times as many steps take about four times as long, and not sixteen."""
    short, long = (
        min(seconds(Plan("p", tuple(unhurried(count)))) for _ in range(3))
        for count in (COUNT // 4, COUNT)
    )
    assert long < 9 * short


def test_promise_w4_an_expression_that_is_there_often_is_read_once() -> None:
    """A text of a hundred thousand expressions is checked in less time than reading each takes."""
    step = Step("a", "give")
    often = Step("b", "give", "${ steps.a.output } " * 50_000, ("a",))
    different = "".join(f"${{ steps.a.output[{n}] }} " for n in range(2_500))
    twentieth = Step("b", "give", different, ("a",))
    same, other = (
        min(seconds(Plan("p", (step, each))) for _ in range(3)) for each in (often, twentieth)
    )
    assert same < 10 * other  # where each was read it would be twenty


def test_promise_w4_many_wrong_names_do_not_take_long() -> None:
    """Only the first few get a hint, as looking for the nearest of many takes time."""
    steps = [Step(f"step{n}", "give", None, (f"stepp{n}",)) for n in range(COUNT)]
    began = time.process_time()
    found = problems(*steps)
    assert time.process_time() - began < 20
    assert len(found) == COUNT
    assert found[0].endswith("did you mean step0?")
    assert found[-1].endswith(f"there is no step stepp{COUNT - 1}")


async def test_promise_w3_what_is_kept_of_a_long_run_is_soon_known() -> None:
    """One pass tells what holds under another plan, and not one for each step of a chain."""
    engine = RunEngine(FUNCTIONS)
    steps = (Step(each.id, "give", 1, each.depends_on) for each in unhurried(COUNT))
    run = await engine.run(Plan("p", tuple(steps)))
    plan = Plan("p", (Step("s0", "give", "changed"), *run.plan.steps[1:]))
    began = time.process_time()
    assert kept(run, plan) == []
    assert time.process_time() - began < 2
    assert kept(run, run.plan) == list(run.steps)
    await engine.close()


def test_promise_w4_what_comes_before_is_known_however_far() -> None:
    """A step may refer to all that it depends on, however far, and to nobody else's output."""
    steps = (
        Step("a", "give"),
        Step("b", "give", None, ("a",)),
        Step("c", "give", "${ steps.a.output }${ steps.d.output }", ("b",)),
        Step("d", "give", "${ steps.d.output }", ("a",)),
    )
    assert problems(*steps) == [
        "steps.c.input: it does not depend on d, so steps.d.output may not be there",
        "steps.d.input: it does not depend on d, so steps.d.output may not be there",
    ]


def test_promise_w5_a_step_that_a_signal_completes_keeps_no_result() -> None:
    """An approval from the cache would be nobody's."""
    assert problems(Step("a", "give", 1, signal="ok", cache_key="k")) == [
        "steps.a.cache_key: a signal gives the result, which is not kept"
    ]


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("${ input.typo }", ["typo"]),
        ("${ default(input.typo, 1) }", []),
        ("${ default(len(input.typo), input.other) }", ["other"]),
        ({"a": "${ input.typo }", "b": "${ default(input.qty, 1) }"}, ["typo"]),
        ({"a": "${ input.typo }", "note": "uses default(x) of the shop"}, ["typo"]),
        ("${ default(input.qty, 1) + input.typo }".replace("+", "=="), ["typo"]),
        ("${ default(input.typo, 1) } ${ input.typo }", ["typo"]),
    ],
)
def test_promise_w4_only_what_stands_in_default_may_be_missing(
    value: JSONValue, wrong: list[str]
) -> None:
    """A reference to an input that is not there is told, whatever else the texts say."""
    found = [f"steps.a.input: there is no input {name}" for name in wrong]
    assert problems(Step("a", "give", value), given={"total": 1}) == found


def test_promise_w4_the_condition_of_a_step_may_have_defaults() -> None:
    """What holds for inputs holds for conditions."""
    right = Step("a", "give", condition="default(input.x, false)")
    assert problems(right) == []
    wrong = Step("a", "give", condition="default(input.x, input.y)")
    assert problems(wrong) == ["steps.a.condition: there is no input y"]


@pytest.mark.parametrize(
    ("step", "wrong"),
    [
        ({"timeout_seconds": "1"}, "steps.0.timeout_seconds: it must be a number"),
        ({"retry": Retry(attempts="3")}, "steps.0.retry.attempts: it must be a whole number"),  # type: ignore[arg-type]
        ({"target": 5}, "steps.0.target: it must be a text"),
        ({"depends_on": 5}, "steps.0.depends_on: it must be a list of texts"),
        ({"on_error": "explode"}, "steps.0.on_error: it must be one of fail, continue, compensate"),
        (
            {"timeout_seconds": 1e300},
            "steps.a: timeout_seconds must be above 0 and at most 1000000000",
        ),
        (
            {"retry": Retry(backoff=Backoff(max_seconds=1e306))},
            "steps.a.retry.backoff: seconds are 0 to 1000000000",
        ),
    ],
)
async def test_promise_w4_a_plan_of_wrong_kinds_is_told_with_places(
    step: dict[str, Any], wrong: str
) -> None:
    """What no type checker saw is a problem of the plan, when it begins and when it is extended."""
    engine = RunEngine(FUNCTIONS)
    more = {"target": "give", **step}
    with pytest.raises(PlanError) as caught:
        await engine.start(Plan("p", (Step("a", **more), Step("b", "giv"))))
    assert next(iter(caught.value.lines())) == wrong
    handle = await engine.start(Plan("p", (Step("wait", signal="go"),)))
    with pytest.raises(PlanError):
        await engine.extend(handle.run_id, [Step("a", **more)])
    await engine.signal(handle.run_id, "go")
    assert (await handle).state == "succeeded"
    await engine.close()


@pytest.mark.parametrize("run_id", ["\x00", "a\nb", "x" * 201, "../x", "a b", "-a", "ä"])
async def test_promise_w1_the_id_of_a_run_is_held_to_one_rule(run_id: str) -> None:
    """Whoever gives an id may use letters, digits and any of `_.:-`, up to 200."""
    engine = RunEngine({"give": give})
    plan = Plan("p", (Step("a", "give"),))
    with pytest.raises(InvalidError, match="is no id"):
        await engine.start(plan, run_id=run_id)
    with pytest.raises(InvalidError, match="is no id"):
        await engine.enqueue(plan, run_id=run_id)
    assert (await engine.run(plan, run_id="2026-11-21:a_b.c")).state == "succeeded"
    events = await engine._journal.read("2026-11-21:a_b.c")
    assert fold(events).run_id == "2026-11-21:a_b.c"
    await engine.close()
