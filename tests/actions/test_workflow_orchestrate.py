"""`workflow.orchestrate`: the order of a graph, and all that is wrong with one."""

import time
from typing import Any

import pytest

from oneiric.domains import InvalidPayloadError
from tests.actions.conftest import Act


def step(name: str, *before: str) -> dict[str, Any]:
    return {"step_id": name, "action": "workflow.audit", "depends_on": list(before)}


DIAMOND = [step("d", "b", "c"), step("b", "a"), step("c", "a"), step("a")]


async def test_steps_are_ordered_by_what_they_wait_for(act: Act) -> None:
    """What may run at once stands together, in the order given."""
    found = await act("workflow.orchestrate", workflow_id="w", steps=DIAMOND, context={"n": 1})

    assert found["schedule"] == [["a"], ["b", "c"], ["d"]]
    assert found["ordered_steps"] == ["a", "b", "c", "d"]
    assert found["graph"] == {
        "dependencies": {"d": ["b", "c"], "b": ["a"], "c": ["a"], "a": []},
        "entry_steps": ["a"],
        "terminal_steps": ["d"],
    }
    assert (found["status"], found["context"], len(found["run_token"])) == ("planned", {"n": 1}, 36)


async def test_targets_bring_what_they_depend_on_and_no_more(act: Act) -> None:
    """And a plan may be made paused."""
    found = await act(
        "workflow.orchestrate",
        workflow_id="w",
        steps=DIAMOND,
        target_steps=["b"],
        start_paused=True,
    )

    assert (found["status"], found["schedule"]) == ("paused", [["a"], ["b"]])
    assert [each["step_id"] for each in found["steps"]] == ["b", "a"]


async def test_everything_wrong_with_a_graph_is_told_at_once(act: Act) -> None:
    """Ids given twice, unknown steps and targets, and each circle."""
    steps = [
        step("a", "ghost"),
        step("a"),
        step("b", "c"),
        step("c", "b"),
        step("self", "self"),
    ]
    with pytest.raises(InvalidPayloadError) as caught:
        await act("workflow.orchestrate", workflow_id="w", steps=steps, target_steps=["nobody"])

    told = [str(each).removesuffix(" ()") for each in caught.value.problems]
    assert told[:3] == [
        "payload.steps: 2 steps are named a",
        "payload.steps.0.depends_on: there is no step ghost",
        "payload.target_steps: there is no step nobody",
    ]
    assert sorted(told[3:]) in (
        [f"payload.steps: a circle: {way}", "payload.steps: a circle: self -> self"]
        for way in ("b -> c -> b", "c -> b -> c")
    )


async def test_a_workflow_without_steps_is_refused(act: Act) -> None:
    """As one with a step without a name or action."""
    for steps in ([], [{"step_id": "", "action": ""}]):
        with pytest.raises(InvalidPayloadError):
            await act("workflow.orchestrate", workflow_id="w", steps=steps)


async def test_a_thicket_of_circles_is_told_in_no_time(act: Act) -> None:
    """The first ten are enough to begin with, and nobody else has to wait for the rest."""
    names = [f"s{number}" for number in range(1000)]
    steps = [
        {"step_id": name, "action": "a", "depends_on": names[number % 900 :][:100]}
        for number, name in enumerate(names)
    ]
    begun = time.process_time()

    with pytest.raises(InvalidPayloadError) as caught:
        await act("workflow.orchestrate", workflow_id="w", steps=steps)

    assert str(caught.value.details()).count("circle") >= 10
    assert time.process_time() - begun < 5
