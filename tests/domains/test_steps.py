"""Components as the bodies of steps: who is called, how, and what is recorded of them."""

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from oneiric.core.candidate import Candidate, Source, SourceKind
from oneiric.core.precedence import Selection
from oneiric.domains.steps import decision_digest
from oneiric.errors import PlanError
from oneiric.runs.plan import Plan, Step
from oneiric.runs.state import RunState, StepState
from oneiric.testing import ManualClock
from tests.domains.works import InThread, Knowing, Script, task, workplace


class Doubling(BaseModel):
    number: int


class Double:
    """Double a number."""

    payload = Doubling

    def execute(self, payload: Doubling) -> dict[str, int]:
        return {"number": payload.number * 2}


DOUBLE = Candidate("action:double", "builtin", Double)


def one(target: str, given: Any = None, **more: Any) -> Plan:
    return Plan("one", (Step("a", target, given, **more),))


async def test_a_task_gets_its_payload_and_the_context_it_asks_for() -> None:
    """Only where `run` takes a `context` is it given."""
    script = Script()
    async with workplace(task("plain", script.task("plain")), task("knowing", Knowing)) as place:
        plain = await place.engine.run(one("task:plain", {"n": 1}))
        knowing = await place.engine.run(one("task:knowing", 7))
    assert (plain.results, script.calls) == ({"a": {"by": "plain"}}, [("plain", {"n": 1})])
    assert knowing.results == {"a": {"attempt": 1, "step": "a", "payload": 7}}


async def test_sync_tasks_run_in_a_thread_where_their_offer_blocks() -> None:
    """The loop is held up by nobody who says so beforehand."""
    offers = [task("quick", InThread), task("slow", InThread, blocking=True)]
    async with workplace(*offers) as place:
        results = [(await place.engine.run(one(f"task:{n}"))).results for n in ("quick", "slow")]
    assert results == [{"a": True}, {"a": False}]


async def test_an_action_is_checked_as_by_its_bridge() -> None:
    """A payload that its model refuses fails the step, with every problem."""
    async with workplace(DOUBLE) as place:
        good = await place.engine.run(one("action:double", {"number": 4}))
        bad = await place.engine.run(one("action:double", {"nmber": 4}))
    assert good.results == {"a": {"number": 8}}
    assert bad.state is RunState.FAILED
    error = bad.steps["a"].error
    assert error is not None
    assert error["code"] == "invalid-payload"
    assert "payload.nmber" in str(error["details"])


async def test_promise_w4_unknown_targets_are_told_before_the_first_step() -> None:
    """Each with the nearest spelling; a target of no such domain is one too."""
    script = Script()
    steps = (Step("a", "task:plian"), Step("b", "adapter:cache"), Step("c", "nonsense"))
    async with workplace(task("plain", script.task("plain"))) as place:
        with pytest.raises(PlanError) as caught:
            await place.engine.run(Plan("wrong", (Step("ok", "task:plain"), *steps)))
    assert [(each.key, each.what) for each in caught.value.problems][:2] == [
        ("steps.a.target", "nobody offers task:plian; did you mean task:plain?"),
        ("steps.b.target", "adapter:cache is no task and no action, so it cannot do a step"),
    ]
    assert len(caught.value.problems) == 3
    assert script.calls == []


async def test_a_component_without_run_fails_its_step() -> None:
    """The step tells which component, and what it lacks."""
    async with workplace(task("empty", object)) as place:
        run = await place.engine.run(one("task:empty"))
    error = run.steps["a"].error
    assert error is not None
    assert error["message"] == "task:empty@test failed in run: it has no method run"


async def test_promise_w7_a_step_records_who_did_it_and_the_decision() -> None:
    """Provider, version, manifest digest, and the digest of the decision in force then."""
    script = Script()
    source = Source(SourceKind.MANIFEST, "acme", version="4", detail="sha256:feed")
    first = task("work", script.task("first"), provider="first", priority=2, version="1.2")
    second = task("work", script.task("second"), provider="second", source=source)
    async with workplace(first, second) as place:
        resolver = place.lifecycle.resolver
        before = decision_digest(resolver.explain("task:work"))
        one_run = await place.engine.run(one("task:work"))
        again = await place.engine.run(one("task:work"))
        await place.lifecycle.swap("task:work", provider="second")
        resolver.select(Selection.of("task:work", "second", origin="test"))
        after = decision_digest(resolver.explain("task:work"))
        other = await place.engine.run(one("task:work"))
        asked = await place.engine.run(one("task:work@first"))
    done = one_run.steps["a"].provenance
    assert (done.provider, done.version, done.manifest_digest) == ("first", "1.2", "")
    assert done.decision_digest == before == again.steps["a"].provenance.decision_digest
    done = other.steps["a"].provenance
    assert (done.provider, done.version, done.manifest_digest) == ("second", "4", "sha256:feed")
    assert done.decision_digest == after != before
    assert asked.steps["a"].provenance.provider == "first"


async def test_a_decision_has_one_digest_in_every_process() -> None:
    """What only this process counts, its generation, does not change it."""
    script = Script()
    offers = [task("work", script.task("work")), DOUBLE]
    async with workplace(*offers) as place, workplace(offers[0]) as other:
        one, two = (each.lifecycle.resolver.explain("task:work") for each in (place, other))
        assert one.generation != two.generation
        assert decision_digest(one) == decision_digest(two)


@pytest.mark.parametrize("ref", ["task:work", "task:work@test"])
async def test_promise_a1_a_paused_task_waits_and_loses_no_attempt(ref: str) -> None:
    """The engine asks again until it is resumed; no attempt is used up meanwhile."""
    script, clock = Script(), ManualClock()
    async with workplace(task("work", script.task("work")), clock=clock) as place:
        await place.lifecycle.activate("task:work")
        await place.lifecycle.pause(ref, note="maintenance")
        handle = await place.engine.start(one("task:work"))
        for _ in range(3):
            await clock.until_waiting(2)  # one renews the lease, one asks again
            assert script.calls == []
            clock.advance(0.5)
        await place.lifecycle.resume(ref)
        for _ in range(20):
            await asyncio.sleep(0)
            clock.advance(0.5)
        run = await handle
    assert (run.state, run.steps["a"].attempt) == (RunState.SUCCEEDED, 1)
    assert run.steps["a"].state is StepState.SUCCEEDED
