"""What the five products need to say of a run can be said from a run alone.

Each projection is a small function from a run, or from its events, to the words of one
product: ARP's wire, a validation task's status, a recipe's envelope, a workflow's
checkpoint, a chat's trace.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import pytest

from oneiric.errors import JSONValue
from oneiric.runs.body import Assigned
from oneiric.runs.context import StepContext
from oneiric.runs.engine import RunEngine
from oneiric.runs.event import EventKind, RunEvent
from oneiric.runs.plan import OnError, Plan, Step
from oneiric.runs.run import Run, fold
from oneiric.runs.state import RunState, StepState

ARP_RUN_STATES = {"queued", "running", "succeeded", "failed", "canceled"}
ARP_NODE_STATES = ARP_RUN_STATES | {"assigned"}
ARP_EVENT_TYPES = {
    "run_started",
    "node_run_assigned",
    "composite_decomposed",
    "candidate_set_generated",
    "subtask_mapped",
    "atomic_executed",
    "node_evaluated",
    "recovery_applied",
    "policy_decided",
    "run_completed",
}


def arp_events(events: Sequence[RunEvent]) -> Iterator[dict[str, JSONValue]]:
    """Yield a run's events in the words of ARP; notes carry those that are the coordinator's."""
    names = {
        EventKind.RUN_STARTED: "run_started",
        EventKind.STEP_ASSIGNED: "node_run_assigned",
        EventKind.STEP_SUCCEEDED: "atomic_executed",
        EventKind.STEP_FAILED: "atomic_executed",
        EventKind.RUN_EXTENDED: "composite_decomposed",
        EventKind.STEP_RETRIED: "recovery_applied",
        EventKind.RUN_ENDED: "run_completed",
    }
    for event in events:
        noted = str(event.data.get("kind", "")) if event.kind is EventKind.NOTED else ""
        name = noted if noted in ARP_EVENT_TYPES else names.get(event.kind)
        if name:
            told: dict[str, JSONValue] = {"run_id": event.run_id, "seq": event.seq, "type": name}
            told["time"] = event.at
            yield told | ({"node_run_id": event.step} if event.step else {})


def validation_status(run: Run) -> str:
    """Return the status of a task: its local steps, then those in production, then drift."""
    local, prod = (run.steps[name].state for name in ("local", "prod"))
    drift = run.steps["prod"].error or {}
    if run.state is RunState.SUCCEEDED:
        return "DONE"
    if local is not StepState.SUCCEEDED:
        told = {StepState.QUEUED: "PENDING", StepState.FAILED: "LOCAL_FAIL"}
        return told.get(local, "IN_PROGRESS")
    if prod is StepState.FAILED:
        return "ENV_DRIFT" if drift.get("type") == "DriftError" else "PROD_FAIL"
    return {StepState.QUEUED: "LOCAL_OK", StepState.SUCCEEDED: "PROD_OK"}.get(prod, "VALIDATING")


def recipe_envelope(run: Run) -> dict[str, JSONValue]:
    """Return the one line that a recipe prints at its end."""
    return {
        "status": "ok" if run.state is RunState.SUCCEEDED else "error",
        "run_id": run.run_id,
        "ctx_keys": sorted(run.context.values),
        "steps": {
            name: {"status": recipe_status(run, name), "attempts": step.attempt}
            for name, step in run.steps.items()
        },
        "failed": [name for name, s in run.steps.items() if s.state is StepState.FAILED],
    }


def recipe_status(run: Run, name: str) -> str:
    """Return how a step stands in the words of recipes."""
    step = run.steps[name]
    over = {
        "condition": "skipped",
        "dependency": "blocked",
        "cache": "cached",
        "run-failed": "cancelled",
        "run-canceled": "cancelled",
    }
    is_free = all(run.steps[before].is_met for before in step.step.depends_on)
    return over.get(step.reason) or {
        StepState.QUEUED: "ready" if is_free else "pending",
        StepState.ASSIGNED: "waiting",
        StepState.RUNNING: "running",
        StepState.SUCCEEDED: "ok",
    }.get(step.state, str(step.state))


def workflow_checkpoint(run: Run) -> dict[str, JSONValue]:
    """Return the flat map of a workflow's checkpoint: results and attempts by node."""
    found: dict[str, JSONValue] = {}
    for name, result in run.results.items():
        found[name] = result
        found[f"{name}__attempts"] = run.steps[name].attempt
    return found


def chat_trace(
    events: Sequence[RunEvent],
) -> tuple[dict[str, JSONValue], list[dict[str, JSONValue]]]:
    """Return the row of `traces` and the rows of `trace_steps` of one chat."""
    run = fold(events)
    trace: dict[str, JSONValue] = {"trace_id": run.run_id, "status": str(run.state)}
    trace |= {"started_at": run.started_at, "ended_at": run.ended_at, "name": run.plan.name}
    rows = [
        {"trace_id": run.run_id, "seq": event.seq, "step": event.step, **event.data}
        for event in events
        if event.kind is EventKind.NOTED
    ]
    return trace, rows


def test_the_states_are_those_of_arp_one_to_one() -> None:
    """Neither side has a state that the other lacks."""
    assert {str(state) for state in RunState} == ARP_RUN_STATES
    assert {str(state) for state in StepState} == ARP_NODE_STATES


async def test_a_run_tells_its_events_in_the_words_of_arp() -> None:
    """A root that decomposes itself, children that are executed, assigned and evaluated."""

    async def root(context: StepContext, value: JSONValue) -> JSONValue:
        children = [Step("child", "atomic", "${ input }"), Step("far", "outside")]
        await engine.extend(context.run_id, children)
        for kind in ("candidate_set_generated", "subtask_mapped", "policy_decided"):
            await engine.note(context.run_id, kind, {}, step="child")
        return None

    def atomic(context: StepContext, value: JSONValue) -> JSONValue:
        return {"outputs": value}

    def outside(context: StepContext, value: JSONValue) -> Assigned:
        return Assigned(signal="completed")

    engine = RunEngine({"root": root, "atomic": atomic, "outside": outside})
    handle = await engine.start(Plan("arp", (Step("root", "root"),)), {"a": 1}, run_id="r")
    await handle.settled()
    await engine.note("r", "node_evaluated", {"status": "success"}, step="far")
    await engine.signal("r", "completed", {"outputs": {}}, step="far")
    run = await handle
    assert run.state == "succeeded"
    told = list(arp_events(await engine._journal.read("r")))
    assert {str(event["type"]) for event in told} == ARP_EVENT_TYPES - {"recovery_applied"}
    assert (told[0]["type"], told[-1]["type"]) == ("run_started", "run_completed")
    await engine.close()


class DriftError(Exception):
    """Production is not what it was."""


@pytest.mark.parametrize(
    ("outcomes", "seen"),
    [
        ("ok ok", ["IN_PROGRESS", "VALIDATING", "DONE"]),
        ("fail ok", ["IN_PROGRESS", "LOCAL_FAIL"]),
        ("ok fail", ["IN_PROGRESS", "VALIDATING", "PROD_FAIL"]),
        ("ok drift", ["IN_PROGRESS", "VALIDATING", "ENV_DRIFT"]),
    ],
)
async def test_a_run_tells_the_status_of_a_validation(outcomes: str, seen: list[str]) -> None:
    """Every status is a function of the run, at every moment of its life."""
    script = iter(outcomes.split())

    async def check(context: StepContext, value: JSONValue) -> JSONValue:
        told = next(script)
        if told != "ok":
            raise {"fail": ValueError, "drift": DriftError}[told]("no")
        return None

    engine = RunEngine({"check": check})
    steps = (Step("local", "check"), Step("prod", "check", None, ("local",)))
    run_id = await engine.enqueue(Plan("v", steps))
    statuses = [validation_status(await engine.get(run_id))]
    for handle in await engine.recover():
        await handle
    events = await engine._journal.read(run_id)
    for count in range(2, len(events) + 1):
        status = validation_status(fold(events[:count]))
        if status != statuses[-1]:
            statuses.append(status)
    passing = {"LOCAL_OK", "PROD_OK"}
    assert [status for status in statuses if status not in passing] == ["PENDING", *seen]
    if "DONE" in seen:
        assert statuses == ["PENDING", "IN_PROGRESS", "LOCAL_OK", "VALIDATING", "PROD_OK", "DONE"]
    await engine.close()


async def test_a_run_tells_the_envelope_of_a_recipe() -> None:
    """Keys, states and failures of a recipe are in the run, skipped and blocked ones too."""

    def write(context: StepContext, value: JSONValue) -> JSONValue:
        context.set("out", 1)
        return None

    def fail(context: StepContext, value: JSONValue) -> JSONValue:
        raise ValueError("no")

    engine = RunEngine({"write": write, "fail": fail})
    steps = (
        Step("a", "write"),
        Step("b", "write", condition="false"),
        Step("c", "fail", None, ("a",)),
        Step("d", "write", None, ("c",)),
        Step("e", "fail", on_error=OnError.CONTINUE),
    )
    run = await engine.run(Plan("recipe", steps, fail_fast=False), run_id="r")
    assert recipe_envelope(run) == {
        "status": "error",
        "run_id": "r",
        "ctx_keys": ["out"],
        "steps": {
            "a": {"status": "ok", "attempts": 1},
            "b": {"status": "skipped", "attempts": 0},
            "c": {"status": "failed", "attempts": 1},
            "d": {"status": "blocked", "attempts": 0},
            "e": {"status": "failed", "attempts": 1},
        },
        "failed": ["c", "e"],
    }
    waiting = await engine.start(
        Plan("w", (Step("x", signal="go"), Step("y", "write", None, ("x",))))
    )
    run = await waiting.settled()
    assert [recipe_status(run, name) for name in run.steps] == ["waiting", "pending"]
    await engine.cancel(waiting.run_id)
    run = await waiting
    assert [recipe_status(run, name) for name in run.steps] == ["cancelled", "cancelled"]
    await engine.close()


async def test_a_run_tells_the_checkpoint_of_a_workflow() -> None:
    """What a checkpoint held is a view over one run."""
    engine = RunEngine({"give": lambda context, value: value})
    steps = (Step("a", "give", 1), Step("b", "give", {"x": "${ steps.a.output }"}, ("a",)))
    run = await engine.run(Plan("flow", steps))
    assert workflow_checkpoint(run) == {"a": 1, "a__attempts": 1, "b": {"x": 1}, "b__attempts": 1}
    await engine.close()


async def test_a_run_tells_the_trace_of_a_chat() -> None:
    """Routing, retrieval and tool calls are notes of the run, in order and numbered."""

    async def answer(context: StepContext, value: JSONValue) -> JSONValue:
        await engine.note(context.run_id, "route", {"provider": "mock"}, step="chat")
        await asyncio.sleep(0)
        await engine.note(context.run_id, "memory", {"decision": "deny:no_explicit_intent"})
        return "hello"

    engine = RunEngine({"answer": answer})
    await engine.run(Plan("chat", (Step("chat", "answer"),)), run_id="t")
    trace, rows = chat_trace(await engine._journal.read("t"))
    assert (trace["trace_id"], trace["status"], trace["name"]) == ("t", "succeeded", "chat")
    assert [(row["kind"], row["step"]) for row in rows] == [("route", "chat"), ("memory", "")]
    await engine.close()
