"""Promise W5: one signal is one answer, to one question."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from oneiric.clock import SystemClock
from oneiric.errors import InvalidError, JSONValue
from oneiric.runs.body import Assigned
from oneiric.runs.context import StepContext
from oneiric.runs.engine import RunEngine
from oneiric.runs.event import EventKind, RunEvent
from oneiric.runs.journal import MemoryJournal
from oneiric.runs.plan import Plan, Retry, Step
from oneiric.runs.run import fold
from oneiric.stores.journal import SqliteJournal
from oneiric.testing import ManualClock
from tests.runs.worlds import AT_ONCE, states

FIRST, SECOND = Step("first", signal="ok"), Step("second", signal="ok", depends_on=("first",))
TWICE = Plan("twice", (FIRST, SECOND))


def ask(context: StepContext, value: JSONValue) -> Assigned:
    """Ask for an approval."""
    return Assigned({"please": "approve"}, signal="ok")


@pytest.fixture
async def asking(journal: MemoryJournal, clock: ManualClock) -> AsyncIterator[RunEngine]:
    """An engine whose one body asks."""
    engine = RunEngine({"ask": ask}, journal=journal, clock=clock)
    yield engine
    await engine.close()


async def test_promise_w5_a_step_with_a_signal_is_never_approved_by_the_cache(
    journal: MemoryJournal, clock: ManualClock
) -> None:
    """Such a plan is refused; one that is in a journal already asks again."""
    kept: dict[str, JSONValue] = {}

    class Cache:
        async def get(self, key: str) -> JSONValue:
            return kept.get(key)

        async def set(self, key: str, value: JSONValue) -> None:
            kept[key] = value

    engine = RunEngine({"x": lambda c, v: {"please": v}}, journal=journal, cache=Cache())
    plan = Plan("p", (Step("a", "x", 1, cache_key="k", signal="ok"),))
    with pytest.raises(InvalidError):
        await engine.start(plan)
    for run_id in ("r1", "r2"):
        data: dict[str, JSONValue] = {"plan": plan.as_json(), "digest": plan.digest}
        await journal.create(run_id, [RunEvent(run_id, EventKind.RUN_CREATED, "", "", data)])
        handle = await engine.resume(run_id)
        assert (await handle.settled()).steps["a"].state == "assigned"
        await engine.signal(run_id, "ok", "yes")
        assert (await handle).results == {"a": "yes"}
    await engine.close()


async def test_promise_w5_a_signal_that_nobody_can_take_is_refused(asking: RunEngine) -> None:
    """A step that is over takes none, nor one that waits for another; nor does a wrong name."""
    await asking.start(TWICE, run_id="r")
    with pytest.raises(InvalidError, match="no step that is left waits for typo"):
        await asking.signal("r", "typo")
    with pytest.raises(InvalidError, match="no step that is left waits for typo"):
        await asking.signal("r", "typo", step="second")
    await asking.signal("r", "ok", step="first")
    async for event in asking._journal.follow("r"):
        if event.kind is EventKind.STEP_SUCCEEDED:
            break
    with pytest.raises(InvalidError, match="first is succeeded"):
        await asking.signal("r", "ok", step="first")
    assert (await asking.get("r")).signals == {}


async def test_promise_w5_a_signal_may_come_before_a_body_says_that_it_waits(
    asking: RunEngine,
) -> None:
    """Whoever hands work outside chooses the name, so any may be kept until then."""
    await asking.enqueue(Plan("p", (Step("a", "ask"),)), run_id="r")
    await asking.signal("r", "ok", "early")
    await asking.signal("r", "other")
    assert (await (await asking.resume("r"))).results == {"a": "early"}


@pytest.mark.parametrize("at_once", [True, False])
async def test_promise_w5_an_approval_sent_twice_approves_one_step(
    asking: RunEngine, *, at_once: bool
) -> None:
    """The second click is for nobody, be it before the first was heeded or after."""
    handle = await asking.start(TWICE, run_id="r")
    await handle.settled()
    if at_once:  # both are stored before the engine looks
        data: dict[str, JSONValue] = {"name": "ok", "value": 1}
        two = [RunEvent("r", EventKind.SIGNALED, "", "", data)] * 2
        await asking._journal.append("r", two)
        await asking.note("r", "look", {})
    else:
        await asking.signal("r", "ok")
        async for event in asking._journal.follow("r"):
            if event.kind is EventKind.STEP_SUCCEEDED:
                break
        run = await handle.settled()
        assert states(run) == {"first": "succeeded", "second": "assigned"}
        return
    async for event in asking._journal.follow("r"):
        if event.kind is EventKind.STEP_ASSIGNED and event.step == "second":
            break
    run = await handle.settled()
    assert states(run) == {"first": "succeeded", "second": "assigned"}
    assert run.signals == {}
    assert fold(await asking._journal.read("r")) == run
    await asking.signal("r", "ok", "now")
    assert (await handle).results == {"first": 1, "second": "now"}


async def test_promise_w5_a_signal_before_its_time_names_its_step_once_one_was_heeded(
    asking: RunEngine,
) -> None:
    """Between two steps of one signal nobody can tell a second click from a word in advance."""
    plan = Plan("p", (FIRST, Step("between", signal="go", depends_on=("first",))))
    plan = plan.extended([Step("second", signal="ok", depends_on=("between",))])
    handle = await asking.start(plan, run_id="r")
    await handle.settled()
    await asking.signal("r", "ok", 1)
    async for event in asking._journal.follow("r"):
        if event.kind is EventKind.STEP_ASSIGNED and event.step == "between":
            break
    with pytest.raises(InvalidError, match="ok was heeded already"):
        await asking.signal("r", "ok", "a second click")
    # one that was stored while nobody had told yet is not kept either
    late = RunEvent("r", EventKind.SIGNALED, "", "", {"name": "ok", "value": "late"})
    await asking._journal.append("r", [late])
    await asking.signal("r", "ok", 2, step="second")
    await asking.signal("r", "go")
    assert (await handle).results == {"first": 1, "between": None, "second": 2}


async def test_promise_w5_two_steps_that_wait_at_once_take_one_signal_each(
    asking: RunEngine,
) -> None:
    """What comes while another waits is for the other."""
    plan = Plan("p", (Step("a", signal="ok"), Step("b", signal="ok"), Step("c", signal="ok")))
    handle = await asking.start(plan, run_id="r")
    await handle.settled()
    await asyncio.gather(*(asking.signal("r", "ok", n) for n in (1, 2, 3)))
    run = await asyncio.wait_for(handle, 5)
    assert sorted(run.results.values(), key=str) == [1, 2, 3]


@pytest.mark.parametrize("step", ["", "a"])
async def test_promise_w5_a_rejection_sent_twice_fails_one_attempt(
    asking: RunEngine, step: str
) -> None:
    """Neither the next attempt nor the step that is retried with its run hears the second."""
    retry = Retry(attempts=2, backoff=AT_ONCE)
    handle = await asking.start(Plan("p", (Step("a", "ask", retry=retry),)), run_id="r")
    for count in (1, 2):
        await handle.settled()
        data: dict[str, JSONValue] = {"name": "ok", "error": {"code": "failed", "message": "no"}}
        two = [RunEvent("r", EventKind.SIGNALED, "", step, data)] * 2
        await asking._journal.append("r", two)
        async for event in asking._journal.follow("r"):
            if event.data.get("attempt") == count and "error" in event.data:
                break
    assert (await handle).state == "failed"
    again = await asking.retry("r")
    assert (await asyncio.wait_for(again.settled(), 5)).steps["a"].state == "assigned"
    await asking.signal("r", "ok", "yes")
    assert (await again).results == {"a": "yes"}


@pytest.mark.parametrize("is_outside", [False, True])
async def test_promise_w5_a_signal_before_its_step_waits_is_heeded_on_disk_too(
    tmp_path: Path, *, is_outside: bool
) -> None:
    """It is taken as the step begins to wait, whoever told it, and not when leases are renewed."""
    told = asyncio.Event()

    async def work(context: StepContext, value: JSONValue) -> JSONValue:
        await told.wait()
        return value

    journal, other = (SqliteJournal(tmp_path / "r.sqlite", clock=SystemClock()) for _ in "12")
    engine = RunEngine({"work": work}, journal=journal, lease_seconds=900)
    outside = RunEngine({"work": work}, journal=other)
    plan = Plan("p", (Step("a", "work", 1), Step("w", signal="go", depends_on=("a",))))
    handle = await engine.start(plan, run_id="r")
    await (outside if is_outside else engine).signal("r", "go", 9)
    told.set()
    assert (await asyncio.wait_for(handle.settled(), 30)).results == {"a": 1, "w": 9}
    for each in (engine, outside, journal, other):
        await (each.close() if isinstance(each, RunEngine) else each.aclose())
