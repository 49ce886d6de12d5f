"""Workflows from data: how they are read, what flows through them, and how they go on."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest

from oneiric.core.candidate import Candidate
from oneiric.core.precedence import Selection
from oneiric.domains.metadata import InvalidMetadataError
from oneiric.domains.workflows.bridge import DECISIONS
from oneiric.errors import (
    InvalidError,
    JSONValue,
    NoCandidateError,
    PausedError,
    PlanChangedError,
    PlanError,
)
from oneiric.runs.event import EventKind
from oneiric.runs.journal import MemoryJournal
from oneiric.runs.state import RunState, StepState
from oneiric.testing import ManualClock
from tests.domains.works import Script, task, workflow, workplace

Node = Mapping[str, JSONValue]


def tasks(script: Script, *names: str) -> list[Candidate]:
    return [task(name, script.task(name)) for name in names]


CHARGE: Node = {"id": "charge", "task": "charge"}
SHIP: Node = {"id": "ship", "task": "ship", "depends_on": ["charge"]}


async def test_defect_oneiric_d1_data_flows_between_nodes() -> None:
    """A node gets the run's context with its payload over it, and what others gave."""
    script = Script()
    payload = {"charged": "${ steps.charge.output.by }", "speed": "fast"}
    order = workflow("order", CHARGE, {**SHIP, "payload": payload})
    async with workplace(order, also=tasks(script, "charge", "ship")) as place:
        context: JSONValue = {"order_id": 7, "speed": "slow"}
        ran = await place.workflows.run("order", context)
    assert ran.run.state is RunState.SUCCEEDED
    assert script.calls == [
        ("charge", {"order_id": 7, "speed": "slow"}),
        ("ship", {"order_id": 7, "speed": "fast", "charged": "charge"}),
    ]
    assert ran.run.results == {"charge": {"by": "charge"}, "ship": {"by": "ship"}}


async def test_defect_oneiric_d2_a_run_never_uses_what_another_did() -> None:
    """After a failed run for order A, a run for order B charges B."""
    script = Script(failures={"ship": 1})
    order = workflow("order", CHARGE, SHIP)
    async with workplace(order, also=tasks(script, "charge", "ship")) as place:
        failed = await place.workflows.run("order", {"order": "A"})
        other = await place.workflows.run("order", {"order": "B"})
        assert await place.workflows.unfinished("order", {"order": "B"}) is None
        found = await place.workflows.unfinished("order", {"order": "A"})
        assert found is not None
        gone_on = await place.workflows.go_on("order", found)
    assert (failed.run.state, other.run.state) == (RunState.FAILED, RunState.SUCCEEDED)
    assert gone_on.run.run_id == failed.run.run_id
    given = [(name, payload["order"]) for name, payload in script.calls]
    assert given == [
        ("charge", "A"), ("ship", "A"), ("charge", "B"), ("ship", "B"), ("ship", "A"),
    ]  # fmt: skip


async def test_defect_oneiric_d3_a_changed_workflow_takes_up_no_old_run() -> None:
    """It is refused with what differs; forced, what changed and all after it is done again."""
    script = Script(failures={"ship": 1})
    journal = MemoryJournal(ManualClock())
    also = tasks(script, "charge", "ship", "check")
    async with workplace(workflow("order", CHARGE, SHIP), journal=journal, also=also) as place:
        await place.workflows.run("order", {})
    changed = workflow("order", {**CHARGE, "task": "check"}, SHIP)
    async with workplace(changed, journal=journal, also=also) as place:
        found = await place.workflows.unfinished("order")
        assert found is not None
        with pytest.raises(PlanChangedError) as caught:
            await place.workflows.go_on("order", found)
        ran = await place.workflows.go_on("order", found, force=True)
    assert caught.value.changes == ("~ charge: target",)
    assert script.names == ["charge", "ship", "check", "ship"]
    assert ran.run.state is RunState.SUCCEEDED


async def test_defect_oneiric_d4_each_step_is_stored_as_it_is_done() -> None:
    """A run whose process ends in the middle is open, with what it did; another finishes it."""
    script = Script(gates={"ship": asyncio.Event()})
    clock = ManualClock()
    journal = MemoryJournal(clock)
    order, also = workflow("order", CHARGE, SHIP), tasks(script, "charge", "ship")
    async with workplace(order, journal=journal, clock=clock, also=also) as place:
        handle = await place.workflows.start("order", {"n": 1})
        await script.until("charge", "ship")
        (record,) = await journal.runs(open_only=True)
        kinds = [event.kind for event in await journal.read(handle.run_id)]
        assert (record.is_held, kinds.count(EventKind.STEP_SUCCEEDED)) == (True, 1)
    script.gates.clear()
    async with workplace(order, journal=journal, clock=clock, also=also) as place:
        found = await place.workflows.unfinished("order")
        assert found is not None
        ran = await place.workflows.go_on("order", found)
    assert (ran.run.run_id, ran.run.state) == (handle.run_id, RunState.SUCCEEDED)
    assert script.names == ["charge", "ship", "ship"]


class Unspeakable:
    """Give what is no JSON."""

    async def run(self, payload: Any) -> Any:
        return {"rows": [1, object()]}


async def test_defect_oneiric_d5_a_result_that_is_no_json_names_its_path() -> None:
    """And hides nobody else's error."""
    script = Script(failures={"charge": 1})
    both = workflow("order", CHARGE, {"id": "odd", "task": "odd"}, dag={"fail_fast": False})
    also = [*tasks(script, "charge"), task("odd", Unspeakable)]
    async with workplace(both, also=also) as place:
        run = (await place.workflows.run("order")).run
    assert run.error is not None
    failed = run.error["failed"]
    assert isinstance(failed, Mapping)
    assert set(failed) == {"charge", "odd"}
    odd = run.steps["odd"].error
    assert odd is not None
    assert "rows.1" in str(odd["details"]) + str(odd["message"])


async def test_defect_oneiric_d6_all_that_is_wrong_is_told_at_once() -> None:
    """Types, unknown names, targets, rings: with the offer and the place, before anything runs."""
    script = Script()
    nodes: list[Node] = [
        {"id": "charge", "task": "chrage", "depends_on": "ship"},
        {"id": "a", "task": "ship", "depends_on": ["b", "nobody"]},
        {"id": "b", "task": "ship", "depends_on": ["a"]},
        {"id": "c", "task": "shp", "retry_policy": {"attempts": 0}, "x-note": 1},
        {"id": "d", "taks": "ship", "payload": {"a": "${ steps.c.output }"}},
        {"id": "e", "task": "ship", "payload": "${ steps.c.output }"},
    ]
    wrong = workflow("order", *nodes, dag={"retrypolicy": {}, "x-own": 1})
    async with workplace(wrong, also=tasks(script, "ship")) as place:
        with pytest.raises(InvalidMetadataError) as caught:
            await place.workflows.run("order")
    told = {(each.key, each.what) for each in caught.value.problems}
    assert told == {
        ("dag.retrypolicy", "unknown key; did you mean retry_policy?"),
        ("dag.nodes.charge.depends_on", "Input should be a valid list"),
        ("dag.nodes.a.depends_on", "there is no step nobody"),
        ("dag.nodes.a", "they wait in a ring: a -> b -> a"),
        (
            "dag.nodes.c.retry_policy",
            "attempts of a retry policy lies between 1 and 1000, not 0",
        ),
        ("dag.nodes.c.target", "nobody offers task:shp; did you mean task:ship?"),
        ("dag.nodes.d.taks", "unknown key; did you mean task?"),
        ("dag.nodes.e.input", "it does not depend on c, so steps.c.output may not be there"),
    }
    assert "workflow:order@test (code)" in caught.value.message


@pytest.mark.parametrize(
    ("metadata", "place"),
    [
        ({}, "dag"),
        ({"dag": []}, "dag"),
        ({"dag": {"nodes": {}}}, "dag.nodes"),
        ({"dag": {"nodes": []}}, "dag.nodes"),
        ({"dag": {"nodes": [CHARGE], "tasks": [CHARGE]}}, "dag"),
        ({"dag": {"nodes": [CHARGE]}, "workflow": {"nodes": [CHARGE]}}, "workflow"),
        ({"dag": {"nodes": ["charge"]}}, "dag.nodes.0"),
        ({"workflow": {"tasks": [{"key": "charge", "task": "charge", "final": 1}]}},
         "workflow.nodes.charge.final"),
        ({"dag": {"nodes": [CHARGE], "timeout_seconds": "3"}}, "dag.timeout_seconds"),
        ({"dag": {"nodes": [{**CHARGE, "group": "api"}]}}, "dag.nodes.charge.group"),
    ],
)  # fmt: skip
async def test_what_is_no_workflow_is_refused(metadata: Any, place: str) -> None:
    """Each with the place where it stands."""
    offer = Candidate("workflow:order", "test", object, metadata=metadata)
    async with workplace(offer, also=tasks(Script(), "charge")) as found:
        with pytest.raises(InvalidMetadataError) as caught:
            found.workflows.plan("order")
    assert [each.key for each in caught.value.problems] == [place]


async def test_defect_oneiric_d7_ids_are_unique_and_mean_nothing_else() -> None:
    """Two nodes of one id are refused; a node may be called what others use for themselves."""
    script = Script()
    also = tasks(script, "charge")
    odd: Node = {"id": "charge__attempts", "task": "charge"}
    twice = workflow("twice", CHARGE, CHARGE)
    async with workplace(workflow("order", CHARGE, odd), twice, also=also) as place:
        with pytest.raises(InvalidMetadataError, match="there are two steps of that id"):
            place.workflows.plan("twice")
        ran = await place.workflows.run("order")
    assert set(ran.run.results) == {"charge", "charge__attempts"}


async def test_defect_oneiric_d8_a_node_waits_for_its_own_dependencies_only() -> None:
    """It runs while an unrelated sibling of what it depends on is still busy."""
    script = Script(gates={"slow": asyncio.Event()})
    order = workflow("order", CHARGE, SHIP, {"id": "slow", "task": "slow"})
    async with workplace(order, also=tasks(script, "charge", "ship", "slow")) as place:
        handle = await place.workflows.start("order")
        await script.until("ship")
        assert not script.gates["slow"].is_set()
        script.gates["slow"].set()
        assert (await handle).state is RunState.SUCCEEDED


async def test_defect_oneiric_d9_the_workflows_policy_is_for_every_node() -> None:
    """Unless a node has one of its own; every sibling's failure is told."""
    script = Script(failures={"a": 9, "b": 9, "c": 9})
    once: JSONValue = {"attempts": 1}
    nodes: list[Node] = [
        {"id": "a", "task": "a"},
        {"id": "b", "task": "b", "retry_policy": once},
        {"id": "c", "task": "c"},
    ]
    policy = {"retry_policy": {"attempts": 2, "base_delay": 0}}
    order = workflow("order", *nodes, dag=policy)
    beside = workflow("beside", *nodes, metadata=policy)
    async with workplace(order, beside, also=tasks(script, "a", "b", "c")) as place:
        plan = place.workflows.plan("order")
        assert place.workflows.plan("beside").steps == plan.steps
        run = (await place.workflows.run("order")).run
    assert [step.retry.attempts for step in plan.steps] == [2, 1, 2]
    assert run.error is not None
    assert set(run.error["failed"]) == {"a", "b", "c"}  # type: ignore[arg-type]


async def test_our_own_fields_become_the_steps() -> None:
    """Conditions, groups, signals, final nodes and what undoes a node, as plans know them."""
    script = Script(failures={"ship": 1})
    nodes: list[Node] = [
        {**CHARGE, "compensation": "refund", "group": "api", "timeout_seconds": 5},
        {**SHIP, "on_error": "compensate"},
        {"id": "gift", "task": "ship", "condition": "input.gift"},
        {"id": "tell", "task": "action:mail", "final": True, "payload": {"...": {}, "a": 1}},
    ]
    order = workflow("order", *nodes, dag={"groups": {"api": 2}, "timeout_seconds": 60})

    class Mail:
        def execute(self, payload: Any) -> Any:
            script.calls.append(("mail", payload))
            return None

    also = [*tasks(script, "charge", "ship", "refund"), Candidate("action:mail", "test", Mail)]
    async with workplace(order, also=also) as place:
        run = (await place.workflows.run("order", {"gift": False})).run
    assert (run.state, run.plan.groups, run.plan.timeout_seconds) == (
        RunState.FAILED, {"api": 2}, 60,
    )  # fmt: skip
    assert run.steps["gift"].reason == "condition"
    assert script.calls[-2:] == [("refund", {"by": "charge"}), ("mail", {"a": 1})]


async def test_a_workflow_can_wait_for_somebody_outside() -> None:
    """`run` returns as soon as nothing else can go on; a signal finishes it."""
    script = Script()
    approve: Node = {"id": "approve", "signal": "approved"}
    order = workflow("order", approve, {**SHIP, "depends_on": ["approve"]})
    async with workplace(order, also=tasks(script, "ship")) as place:
        run = (await place.workflows.run("order")).run
        assert (run.is_waiting, run.steps["approve"].state) == (True, StepState.ASSIGNED)
        handle = await place.engine.resume(run.run_id)
        await place.engine.signal(run.run_id, "approved", {"by": "ada"})
        assert (await handle).results["approve"] == {"by": "ada"}


async def test_the_context_is_a_table_that_has_what_nodes_ask_for() -> None:
    """What is missing is told before the first node runs."""
    script = Script()
    order = workflow("order", {**CHARGE, "payload": {"id": "${ input.order_id }"}})
    async with workplace(order, also=tasks(script, "charge")) as place:
        assert len(place.workflows.plan("order").steps) == 1
        with pytest.raises(PlanError, match="there is no input order_id"):
            await place.workflows.run("order", {"order": 1})
        with pytest.raises(InvalidError, match="is a table"):
            await place.workflows.run("order", [1])
        assert script.calls == []


async def test_promise_a1_a_paused_workflow_takes_no_new_runs() -> None:
    """It is refused until it is resumed, also to those who would go on with a run."""
    script = Script(failures={"charge": 1})
    async with workplace(workflow("order", CHARGE), also=tasks(script, "charge")) as place:
        await place.workflows.run("order")
        found = await place.workflows.unfinished("order")
        assert found is not None
        await place.workflows.pause("order", note="stock-taking")
        for refused in (
            place.workflows.run("order"),
            place.workflows.enqueue("order"),
            place.workflows.go_on("order", found),
        ):
            with pytest.raises(PausedError, match="stock-taking"):
                await refused
        await place.workflows.resume("order")
        assert (await place.workflows.run("order")).run.state is RunState.SUCCEEDED
        with pytest.raises(NoCandidateError):
            await place.workflows.run("oder")


async def test_a_run_keeps_why_each_target_was_chosen() -> None:
    """The digest is that of the step's provenance, so that the reason can be told later."""
    script = Script()
    shadowed = task("charge", object, provider="other", priority=-1)
    also = [*tasks(script, "charge"), shadowed]
    async with workplace(workflow("order", CHARGE), also=also) as place:
        run = (await place.workflows.run("order", metadata={"who": "test"})).run
    decisions = run.metadata[DECISIONS]
    assert isinstance(decisions, Mapping)
    chosen = decisions["task:charge"]
    assert isinstance(chosen, Mapping)
    assert (chosen["provider"], chosen["why"]) == ("test", "priority 0")
    assert chosen["digest"] == run.steps["charge"].provenance.decision_digest
    assert (set(decisions), run.metadata["who"]) == ({"workflow:order", "task:charge"}, "test")


async def test_what_is_kept_follows_each_change_of_offers_and_rules() -> None:
    """The next run tells of the decision by then, and is refused where nobody is left."""
    script = Script()
    other = task("charge", script.task("charge"), provider="other", priority=-1)
    also = [*tasks(script, "charge"), other]
    async with workplace(workflow("order", CHARGE), also=also) as place:
        resolver, chosen = place.lifecycle.resolver, []
        select = partial(resolver.select, Selection.of("task:charge", "other", origin="swap"))
        changes: list[Callable[[], object]] = [
            bool,
            select,
            partial(resolver.unselect, "task:charge"),
        ]
        for change in changes:
            change()
            decided: Any = (await place.workflows.run("order")).run.metadata[DECISIONS]
            chosen.append(decided["task:charge"]["provider"])
        resolver.withdraw("task:charge")
        with pytest.raises(InvalidMetadataError, match="order"):
            await place.workflows.run("order")

    assert chosen == ["test", "other", "test"]


async def test_unfinished_is_the_newest_open_run_or_the_last_if_it_failed() -> None:
    """A success since then ends the matter; runs of other workflows do not count."""
    script = Script(failures={"charge": 1})
    both = [workflow("order", CHARGE), workflow("other", CHARGE)]
    async with workplace(*both, also=tasks(script, "charge")) as place:
        assert await place.workflows.unfinished("order") is None
        failed = (await place.workflows.run("order")).run
        assert await place.workflows.unfinished("other") is None
        found = await place.workflows.unfinished("order")
        assert found is not None
        assert (found.run_id, found.is_open) == (failed.run_id, False)
        await place.workflows.run("order")
        assert await place.workflows.unfinished("order") is None
        left = await place.engine.enqueue(place.workflows.plan("order"), {"n": 1})
        await place.workflows.run("order")
        found = await place.workflows.unfinished("order")
        assert found is not None
        assert (found.run_id, found.is_open) == (left, True)
        assert await place.workflows.unfinished("order", {"n": 2}) is None


async def test_an_open_run_is_found_behind_any_number_of_newer_ones() -> None:
    """However many were done since, the one that waits is the one to go on with."""
    async with workplace(workflow("order", CHARGE), also=tasks(Script(), "charge")) as place:
        left = await place.engine.enqueue(place.workflows.plan("order"), {"n": 1})
        for _ in range(101):
            await place.workflows.run("order")
        found = await place.workflows.unfinished("order")
    assert found is not None
    assert (found.run_id, found.is_open) == (left, True)


async def test_a_workflow_is_read_once_and_still_checked_at_each_start() -> None:
    """What was changed or taken back since is told as at first, with the place in the offer."""
    script = Script()
    also = tasks(script, "charge", "ship")
    async with workplace(workflow("order", CHARGE, SHIP), also=also) as place:
        registry = place.lifecycle.resolver.registry
        kept = [(await place.workflows.run("order")).run.plan for _ in range(2)]
        registry.register(workflow("order", CHARGE))
        changed = (await place.workflows.run("order")).run.plan
        registry.withdraw("task:charge")
        with pytest.raises(InvalidMetadataError) as caught:
            await place.workflows.run("order")

    assert kept[0] is kept[1]
    assert [step.id for step in changed.steps] == ["charge"]
    assert [each.key for each in caught.value.problems] == ["dag.nodes.charge.target"]
    assert script.names == ["charge", "ship", "charge", "ship", "charge"]
