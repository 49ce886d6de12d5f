"""Promise W5: what a step waits for, how it fails, and what that means for its run."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from contextvars import ContextVar

import pytest

from oneiric.backoff import Backoff
from oneiric.errors import InvalidError, JSONValue, LeaseLostError
from oneiric.runs.body import Assigned
from oneiric.runs.context import StepContext
from oneiric.runs.engine import RunEngine
from oneiric.runs.event import EventKind
from oneiric.runs.journal import MemoryJournal
from oneiric.runs.plan import OnError, Plan, Retry, Step
from oneiric.testing import ManualClock
from tests.runs.worlds import (
    AT_ONCE,
    FUNCTIONS,
    chain,
    ends,
    states,
)


async def test_promise_w5_a_step_starts_when_its_own_dependencies_are_done(
    engine: RunEngine,
) -> None:
    """No step waits for a slow one that it does not depend on."""
    plan = Plan("p", (Step("slow", "hang"), Step("a", "give"), Step("b", "give", None, ("a",))))
    handle = await engine.start(plan, run_id="r")
    async for event in engine._journal.follow("r"):
        if event.step == "b" and event.kind is EventKind.STEP_SUCCEEDED:
            break
    assert states(await engine.get("r"))["slow"] == "running"
    await engine.cancel("r")
    assert states(await handle) == {
        "slow": "canceled:run-canceled",
        "a": "succeeded",
        "b": "succeeded",
    }


async def test_promise_w5_conditions_and_errors_are_per_step(engine: RunEngine) -> None:
    """A step that its condition skips counts as met; one that failed does unless told so."""
    plan = Plan(
        "p",
        (
            Step("skipped", "give", condition="input.yes"),
            Step("after", "give", 1, depends_on=("skipped",)),
            Step("broken", "fail", on_error=OnError.CONTINUE),
            Step("on", "give", "${ steps.broken.error.code }", depends_on=("broken",)),
        ),
    )
    run = await engine.run(plan, {"yes": False})
    assert run.state == "succeeded"
    assert states(run) == {
        "skipped": "canceled:condition",
        "after": "succeeded",
        "broken": "failed",
        "on": "succeeded",
    }
    assert run.results["on"] == "failed"


async def test_promise_w5_without_fail_fast_only_what_depends_is_canceled(
    engine: RunEngine,
) -> None:
    """Everything that does not depend on the failed step still runs."""
    steps = (Step("a", "fail"), Step("b", "give", None, ("a",)), Step("c", "give", None, ("d",)))
    plan = Plan("p", (*steps, Step("d", "give")), fail_fast=False)
    run = await engine.run(plan)
    assert states(run) == {
        "a": "failed",
        "b": "canceled:dependency",
        "c": "succeeded",
        "d": "succeeded",
    }


async def test_promise_w5_compensation_undoes_in_reverse_order(engine: RunEngine) -> None:
    """What succeeded is undone, the latest first, before the final steps; the failure stays."""
    plan = Plan(
        "p",
        (
            Step("a", "give", 1, compensation="give"),
            Step("b", "give", 2, ("a",), compensation="fail"),
            Step("c", "give", 3, ("b",), compensation="give"),
            Step("d", "fail", None, ("c",), on_error=OnError.COMPENSATE),
            Step("clean", "give", is_final=True),
        ),
    )
    run = await engine.run(plan, run_id="r")
    began = [
        event.step
        for event in await engine._journal.read("r")
        if event.kind is EventKind.STEP_STARTED
    ]
    assert began == ["a", "b", "c", "d", "undo:c", "undo:b", "undo:a", "clean"]
    assert run.state == "failed"
    assert run.error == {
        "code": "failed",
        "message": "d: ValueError: no luck with d",
        "failed": {"d": run.steps["d"].error},
    }
    assert run.steps["undo:c"].input == 3
    again = await (await engine.retry("r"))
    assert ends(await engine._journal.read("r"))["a"] == 2
    assert again.state == "failed"


async def test_promise_w5_final_steps_run_whatever_happened(engine: RunEngine) -> None:
    """Final steps run after success, failure and cancellation; their failure hides no other."""
    steps = (Step("a", "fail"), Step("b", "fail", is_final=True))
    run = await engine.run(Plan("p", (*steps, Step("c", "give", 1, is_final=True))))
    assert states(run) == {"a": "failed", "b": "failed", "c": "succeeded"}
    assert str((run.error or {})["message"]).startswith("a: ")
    handle = await engine.start(Plan("p", (Step("a", "hang"), Step("c", "give", is_final=True))))
    await asyncio.sleep(0.01)
    await engine.cancel(handle.run_id, actor="me", reason="enough")
    run = await handle
    assert (run.state, states(run)["c"]) == ("canceled", "succeeded")
    assert run.cancels == [{"actor": "me", "reason": "enough"}]


async def test_promise_w5_a_signal_completes_a_step(engine: RunEngine) -> None:
    """A step may be completed from outside, early or late, and by name or by step."""
    plan = Plan(
        "p",
        (
            Step("first", signal="ok"),
            Step("second", "give", "ask", ("first",), signal="ok"),
            Step("third", "give", "${ steps.second.output }", ("second",)),
        ),
    )
    handle = await engine.start(plan, run_id="r")
    await engine.signal("r", "ok", "early", step="second")
    await engine.signal("r", "other", "nobody waits for this")
    run = await handle.settled()
    assert run.is_waiting
    assert states(run)["first"] == "assigned"
    await engine.signal("r", "ok", {"by": "me"}, actor="me")
    run = await handle
    assert run.results == {"first": {"by": "me"}, "second": "early", "third": "early"}
    assert [event.data["name"] for event in run.signals.values()] == ["other"]
    with pytest.raises(InvalidError, match="is over"):
        await engine.signal("r", "ok")


@pytest.mark.parametrize("error", ["", "refused"])
async def test_promise_w5_a_signal_that_came_early_completes_a_step_at_once(
    engine: RunEngine, error: str
) -> None:
    """A step without a target takes a kept signal as it comes to wait, and its run goes on."""
    asked = (Step("ask", signal="ok", depends_on=("a",)), Step("b", "give", 2, ("ask",)))
    plan = Plan("p", (Step("a", "give", 1), Step("other", signal="x"), *asked))
    await engine.enqueue(plan, run_id="r")
    await engine.signal("r", "ok", "early", error=error)
    if not error:
        await engine.signal("r", "x")
    run = await asyncio.wait_for((await engine.resume("r")).settled(), 5)

    ok = {"a": "succeeded", "other": "succeeded", "ask": "succeeded", "b": "succeeded"}
    stopped = "canceled:run-failed"
    bad = {"a": "succeeded", "other": stopped, "ask": "failed", "b": stopped}
    assert states(run) == (bad if error else ok)


async def test_promise_w5_a_signal_that_does_not_come_is_a_timeout(
    engine: RunEngine, clock: ManualClock
) -> None:
    """After its timeout an assigned step gets its default, or fails."""
    plan = Plan(
        "p",
        (
            Step("a", signal="x", timeout_seconds=5, default="none came"),
            Step("b", signal="y", timeout_seconds=6),
        ),
    )
    handle = await engine.start(plan)
    await handle.settled()
    clock.advance(5)
    await asyncio.sleep(0.01)
    clock.advance(1)
    run = await asyncio.wait_for(handle, 5)
    assert run.results == {"a": "none came"}
    assert (run.error or {})["code"] == "timeout"


async def test_promise_w5_a_body_may_hand_its_work_outside(journal: MemoryJournal) -> None:
    """What a body assigned is completed or failed by a signal, and tried again if asked."""

    def hand(context: StepContext, value: JSONValue) -> Assigned:
        return Assigned({"please": value}, signal="executed")

    engine = RunEngine({"hand": hand}, journal=journal)
    retry = Retry(attempts=2, backoff=AT_ONCE)
    handle = await engine.start(Plan("p", (Step("a", "hand", 1, retry=retry),)), run_id="r")
    assert (await handle.settled()).steps["a"].prompt == {"please": 1}
    await engine.signal("r", "executed", error="the executor broke", step="a")
    await asyncio.sleep(0.01)
    assert (await handle.settled()).steps["a"].attempt == 2
    await engine.signal("r", "executed", "done", step="a")
    assert (await handle).results == {"a": "done"}
    await engine.close()


async def test_promise_w5_retries_wait_and_know_which_errors(
    journal: MemoryJournal, clock: ManualClock
) -> None:
    """A step is tried again after its delay, for the errors that it names, and no more often."""
    calls: list[tuple[int, float]] = []

    def flaky(context: StepContext, value: JSONValue) -> JSONValue:
        calls.append((context.attempt, clock.monotonic()))
        raise {1: ValueError, 2: KeyError}.get(context.attempt, TypeError)("no")

    engine = RunEngine({"flaky": flaky}, journal=journal, clock=clock, lease_seconds=1e9)
    retry = Retry(attempts=9, backoff=Backoff(base_seconds=4), on=("ValueError", "LookupError"))
    handle = await engine.start(Plan("p", (Step("a", "flaky", retry=retry),)), run_id="r")
    for seconds in (4, 8):
        await clock.until_waiting(2)
        clock.advance(seconds)
    run = await asyncio.wait_for(handle, 5)
    assert calls == [(1, 0.0), (2, 4.0), (3, 12.0)]
    assert [error["type"] for error in run.steps["a"].failures] == ["ValueError", "KeyError"]
    assert (run.steps["a"].error or {})["type"] == "TypeError"
    await engine.close()


async def test_promise_w5_a_step_has_a_timeout_and_the_run_one_too(
    journal: MemoryJournal, clock: ManualClock
) -> None:
    """A body that takes too long is ended; a run that does fails, and its final steps run."""
    engine = RunEngine(FUNCTIONS, journal=journal, clock=clock, lease_seconds=1e9)
    run = await engine.run(Plan("p", (Step("a", "hang", timeout_seconds=0.02),)))
    assert (run.steps["a"].error or {})["code"] == "timeout"
    steps = (Step("a", "hang"), Step("z", "give", is_final=True))
    handle = await engine.start(Plan("p", steps, timeout_seconds=60))
    await clock.until_waiting(2)
    clock.advance(60)
    run = await asyncio.wait_for(handle, 5)
    assert (run.state, states(run)) == ("failed", {"a": "canceled:run-timeout", "z": "succeeded"})
    assert (run.error or {})["code"] == "timeout"
    await engine.close()


async def test_a_plain_function_leaves_nothing_behind(journal: MemoryJournal) -> None:
    """What a body sets of its context is gone with it, whether it is awaited or not."""
    mark: ContextVar[str] = ContextVar("mark", default="unset")

    def plainly(context: StepContext, value: JSONValue) -> JSONValue:
        was = mark.get()
        mark.set(context.step_id)
        return was

    async def awaited(context: StepContext, value: JSONValue) -> JSONValue:
        return plainly(context, value)

    engine = RunEngine({"plainly": plainly, "awaited": awaited}, journal=journal)
    steps = [Step("a", "plainly"), Step("b", "awaited", None, ("a",))]
    run = await engine.run(Plan("p", (*steps, Step("c", "plainly", None, ("b",)))))
    assert run.results == {"a": "unset", "b": "unset", "c": "unset"}
    assert mark.get() == "unset"
    await engine.close()


async def test_plain_functions_let_others_have_their_turn(journal: MemoryJournal) -> None:
    """A chain of steps that never wait does not keep the loop from whoever else is on it."""

    def work(context: StepContext, value: JSONValue) -> JSONValue:
        time.sleep(0.002)
        return len(turns)

    async def other() -> None:
        while True:
            turns.append(None)
            await asyncio.sleep(0)

    turns: list[None] = []
    engine = RunEngine({"work": work}, journal=journal)
    task = asyncio.ensure_future(other())
    run = await engine.run(chain(10))
    task.cancel()
    assert len({run.results[name] for name in run.results}) == 10
    await engine.close()


async def test_work_that_is_ended_before_it_began_leaves_nothing(
    journal: MemoryJournal, clock: ManualClock
) -> None:
    """A body that would be awaited, but whose run is let go at that moment, never begins."""

    def leave(context: StepContext, value: JSONValue) -> JSONValue:
        conductor = engine._under_way["r"]
        conductor.is_lost = True
        conductor.wake()
        return None

    async def late(context: StepContext, value: JSONValue) -> JSONValue:
        begun.append(context.step_id)
        await asyncio.Event().wait()
        return None

    begun: list[str] = []
    functions = {**FUNCTIONS, "late": late, "leave": leave}
    engine = RunEngine(functions, journal=journal, clock=clock, lease_seconds=1e9)
    last = Step("a", "late", None, ("first",)), Step("b", "leave", None, ("first",))
    handle = await engine.start(Plan("p", (Step("first", "give"), *last)), run_id="r")
    with pytest.raises(LeaseLostError):
        await handle
    await engine.close()
    gc.collect()
    assert begun == (["a"] if sys.version_info >= (3, 12) else [])  # there tasks begin at once


@pytest.mark.parametrize("times", [1, 2])
async def test_promise_w5_a_function_that_cancels_its_own_task_fails_its_step_alone(
    times: int,
) -> None:
    """Its run goes on, a retry of it too; and the run can still be stopped from outside."""

    def rash(context: StepContext, value: JSONValue) -> JSONValue:
        if context.attempt == 1:
            for _ in range(times):
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
        return value

    engine = RunEngine({"rash": rash, **FUNCTIONS})
    again = Step("again", "rash", 3, retry=Retry(attempts=2, backoff=AT_ONCE))
    steps = (Step("a", "rash", 1, on_error=OnError.CONTINUE), Step("b", "give", 2), again)
    run = await asyncio.wait_for(engine.run(Plan("p", steps)), 5)
    assert states(run) == {"a": "failed", "b": "succeeded", "again": "succeeded"}
    assert run.steps["a"].error is not None
    assert run.steps["a"].error["message"] == "RuntimeError: cancelled itself"

    hanging = Plan("p", (Step("a", "rash", on_error=OnError.CONTINUE), Step("b", "hang")))
    handle = await engine.start(hanging)
    async for event in engine._journal.follow(handle.run_id):
        if event.kind is EventKind.STEP_FAILED:
            break
    await asyncio.wait_for(engine.close(), 5)
    assert handle._conductor.task.cancelled()
