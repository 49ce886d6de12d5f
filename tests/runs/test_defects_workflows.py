"""The defects of workflows found in prior art, each as the opposite promise."""

from __future__ import annotations

import asyncio

import pytest

from oneiric.errors import JSONValue, PlanChangedError, PlanError
from oneiric.runs.context import StepContext
from oneiric.runs.engine import RunEngine
from oneiric.runs.journal import MemoryJournal
from oneiric.runs.plan import Plan, Retry, Step
from oneiric.testing import ManualClock
from tests.runs.worlds import AT_ONCE, FUNCTIONS, World, chain, fail, give, states


async def test_defect_oneiric_d1_data_flows_beside_the_context() -> None:
    """A step's input is made of upstream results, and does not replace the context."""
    engine = RunEngine(FUNCTIONS)
    steps = (
        Step("a", "give", 7),
        Step("b", "give", ["${ steps.a.output }", "${ context.x }"], ("a",)),
    )
    run = await engine.run(Plan("p", steps), context={"x": 1})
    assert run.results["b"] == [7, 1]
    await engine.close()


async def test_defect_oneiric_d2_a_run_never_uses_another_runs_results() -> None:
    """Two runs of one plan share nothing, whatever became of the first."""
    journal = MemoryJournal(ManualClock())
    world = World(journal, {"s1": ["fail"]})
    engine = RunEngine({"work": world.work}, journal=journal)
    first = await engine.run(chain(2), "first")
    second = await engine.run(chain(2), "second")
    assert first.state == "failed"
    assert second.results["s0"] == {"of": "s0", "call": 2, "got": "second"}
    await engine.close()


async def test_defect_oneiric_d3_results_do_not_survive_a_changed_plan() -> None:
    """Another plan is refused, or what it changed is done again."""
    engine = RunEngine(FUNCTIONS)
    await engine.run(
        Plan("p", (Step("a", "give", "old"), Step("b", "fail", None, ("a",)))), run_id="r"
    )
    changed = Plan("p", (Step("a", "give", "new"),))
    with pytest.raises(PlanChangedError):
        await engine.retry("r", changed)
    assert (await (await engine.retry("r", changed, force=True))).results == {"a": "new"}
    await engine.close()


async def test_defect_oneiric_d4_what_was_done_is_stored_while_it_runs() -> None:
    """A run cut short is on record as far as it came; a canceled one says so."""
    journal = MemoryJournal(ManualClock())
    engine = RunEngine(FUNCTIONS, journal=journal)
    plan = Plan("p", (Step("a", "give", 1), Step("b", "hang", None, ("a",))))
    await engine.start(plan, run_id="cut")
    canceled = await engine.start(plan, run_id="canceled")
    await asyncio.sleep(0.01)
    await engine.cancel("canceled")
    assert (await canceled).state == "canceled"
    await engine.close()
    run = await RunEngine(journal=journal).get("cut")
    assert (run.state, states(run)) == ("running", {"a": "succeeded", "b": "running"})


async def test_defect_oneiric_d5_a_result_that_cannot_be_stored_hides_no_error() -> None:
    """A sibling's own error is told beside that of a result that is no JSON."""
    engine = RunEngine({"bad": lambda c, v: {1, 2}, "fail": fail})  # type: ignore[dict-item,return-value]
    run = await engine.run(Plan("p", (Step("a", "bad"), Step("b", "fail"))))
    errors = {name: (step.error or {})["code"] for name, step in run.steps.items()}
    assert errors == {"a": "invalid-document", "b": "failed"}
    await engine.close()


@pytest.mark.parametrize(
    ("steps", "what"),
    [
        ([{"id": "a", "target": "give", "depends_on": ["b"]}], "no step b"),
        ([{"id": "a", "target": "give", "depends_on": "b"}], "must be a list of texts"),
        ([{"id": "a", "target": "give", "depends_on": ["a"]}], "in a ring: a -> a"),
    ],
)
async def test_defect_oneiric_d6_wrong_dependencies_are_told_before_the_run(
    steps: list[JSONValue], what: str
) -> None:
    """Unknown dependencies, texts for lists and cycles are one clear error each."""
    engine = RunEngine(FUNCTIONS)
    with pytest.raises(PlanError, match=what):
        await engine.start(Plan.from_json({"name": "p", "steps": steps}))
    await engine.close()


async def test_defect_oneiric_d7_ids_are_unique_and_none_is_clobbered() -> None:
    """Two steps of one id are refused; bookkeeping has no names among the steps."""
    engine = RunEngine(FUNCTIONS)
    with pytest.raises(PlanError, match="two steps of that id"):
        await engine.start(Plan("p", (Step("a", "give"), Step("a", "give"))))
    run = await engine.run(Plan("p", (Step("a", "give", 1), Step("a__attempts", "give", "mine"))))
    assert run.results == {"a": 1, "a__attempts": "mine"}
    await engine.close()


async def test_defect_oneiric_d8_there_is_no_level_barrier() -> None:
    """A step whose dependency is done does not wait for that one's slow sibling."""
    released = asyncio.Event()

    async def slow(context: StepContext, value: JSONValue) -> JSONValue:
        await released.wait()
        return None

    def release(context: StepContext, value: JSONValue) -> JSONValue:
        released.set()
        return None

    engine = RunEngine({"slow": slow, "give": give, "release": release})
    steps = (Step("slow", "slow"), Step("quick", "give"), Step("next", "release", None, ("quick",)))
    assert (await asyncio.wait_for(engine.run(Plan("p", steps)), 5)).state == "succeeded"
    await engine.close()


async def test_defect_oneiric_d9_retries_count_and_every_failure_is_reported() -> None:
    """A step is tried as often as it says, and three failed siblings are three errors."""
    engine = RunEngine({"fail": fail})
    retry = Retry(attempts=3, backoff=AT_ONCE)
    run = await engine.run(
        Plan("p", tuple(Step(f"s{n}", "fail", retry=retry) for n in range(3)), fail_fast=False)
    )
    assert [len(step.failures) for step in run.steps.values()] == [2, 2, 2]
    failed = (run.error or {})["failed"]
    assert isinstance(failed, dict)
    assert list(failed) == ["s0", "s1", "s2"]
    await engine.close()
