"""What a run says of itself is stored, and what a body says of itself can be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oneiric.errors import DocumentError, InvalidError, JSONValue, StoreError
from oneiric.runs.body import Assigned
from oneiric.runs.context import StepContext
from oneiric.runs.engine import RunEngine
from oneiric.runs.event import EventKind, RunEvent
from oneiric.runs.journal import MemoryJournal
from oneiric.runs.plan import Plan, Step
from oneiric.stores.journal import SqliteJournal
from oneiric.testing import ManualClock
from tests.runs.worlds import BreakingJournal, hang, states

Say = Callable[[StepContext], Any]


def told_wrong() -> dict[str, tuple[Say, str]]:
    """Return what a body might say that no journal can keep, and what the error says of it."""
    anything: Any = object()
    return {
        "nan": (lambda c: c.progress(float("nan")), "done: "),
        "infinity": (lambda c: c.progress(1, float("inf")), "total: "),
        "object": (lambda c: c.progress(1, note=anything), "note: "),
        "too large": (lambda c: c.progress(2**70), "done: "),
        "who": (lambda c: c.set("a", 1, who=anything), "object is not JSON"),
        "key": (lambda c: c.set(anything, 1), "a key must be text"),
        "seconds": (lambda c: Assigned(timeout_seconds=float("nan")), "seconds to wait"),
        "text": (lambda c: Assigned(timeout_seconds=anything), "seconds to wait"),
        "long": (lambda c: Assigned(timeout_seconds=1e306), "seconds to wait"),
        "signal": (lambda c: Assigned(signal=anything), "no signal"),
    }


@pytest.mark.parametrize("said", list(told_wrong()))
async def test_promise_w6_what_a_body_says_that_is_no_json_fails_its_step_alone(
    tmp_path: Path, clock: ManualClock, said: str
) -> None:
    """The step fails and names what was wrong; the run goes on and is not left to others."""
    say, wrong = told_wrong()[said]

    async def body(context: StepContext, value: JSONValue) -> JSONValue | Assigned:
        given: Assigned | None = say(context)
        await asyncio.sleep(0)
        return given

    journal = SqliteJournal(tmp_path / "runs.sqlite", clock=clock)
    engine = RunEngine({"body": body, "ok": lambda c, v: v}, journal=journal, clock=clock)
    plan = Plan("p", (Step("a", "body"), Step("b", "ok", 1)), fail_fast=False)
    run = await engine.run(plan)
    assert states(run) == {"a": "failed", "b": "succeeded"}
    assert wrong in str((run.steps["a"].error or {})["message"])
    await engine.close()
    await journal.aclose()


async def test_promise_a2_events_that_are_no_json_are_refused_as_documents(
    tmp_path: Path, clock: ManualClock
) -> None:
    """The journal on disk says in its own words what it cannot store, and stores nothing."""
    journal = SqliteJournal(tmp_path / "runs.sqlite", clock=clock)
    await journal.create(
        "r", [RunEvent("r", EventKind.RUN_CREATED, "", "", {"plan": {"name": "p"}})]
    )
    for bad in (float("nan"), object(), {1, 2}):
        data: Any = {"bad": bad}
        with pytest.raises(DocumentError, match="noted"):
            await journal.append("r", [RunEvent("r", EventKind.NOTED, "", "", data)])
    assert len(await journal.read("r")) == 1
    await journal.aclose()


async def test_promise_w1_a_run_settles_only_on_what_is_stored(journal: MemoryJournal) -> None:
    """Where the waiting could not be stored, nobody is told that the run waits."""
    breaking = BreakingJournal(journal, at=2)
    engine = RunEngine({"ask": lambda c, v: Assigned("please")}, journal=breaking)
    handle = await engine.start(Plan("p", (Step("a", "ask"),)), run_id="r")
    with pytest.raises(StoreError):
        await asyncio.wait_for(handle.settled(), 10)
    assert (await engine.get("r")).steps["a"].state == "running"
    await engine.close()


async def test_promise_w1_a_run_that_leaves_while_it_waits_says_so(journal: MemoryJournal) -> None:
    """A run that was let go of before it began has no standing, and nobody waits for one."""
    engine = RunEngine({"hang": hang}, journal=journal)
    handle = await engine.start(Plan("p", (Step("a", "hang"),)))
    closing = asyncio.ensure_future(engine.close())
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(handle.settled(), 10)
    await closing


async def test_a_run_that_is_over_can_be_retried_at_once(journal: MemoryJournal) -> None:
    """Whoever has the run as it ended need not wait a moment for the engine to have let go."""
    engine = RunEngine({"fail": lambda c, v: 1 / 0}, journal=journal)
    handle = await engine.start(Plan("p", (Step("a", "fail"),)), run_id="r")
    for count in (1, 2, 3):
        async for event in journal.follow("r", after=(count - 1) * 5):
            assert event.seq <= count * 5
        assert (await handle).last_seq == count * 5
        handle = await engine.retry("r")
    assert (await handle).state == "failed"
    with pytest.raises(InvalidError):
        await engine.resume("r")
    await engine.close()
