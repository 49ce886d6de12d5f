"""The laws of runs, for any plan: the journal is the run, and recovery finishes it."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from oneiric.backoff import Backoff
from oneiric.errors import JSONValue, StoreError
from oneiric.runs.body import Functions
from oneiric.runs.engine import RunEngine
from oneiric.runs.event import EventKind
from oneiric.runs.journal import MemoryJournal
from oneiric.runs.plan import OnError, Plan, Retry, Step
from oneiric.runs.run import Run, fold
from oneiric.runs.state import StepState
from oneiric.testing import ManualClock
from tests.runs.worlds import (
    LEASE,
    BreakingJournal,
    SlowlyOpened,
    World,
    ends,
    seconds_pass,
    until_over,
)

AT_ONCE = Backoff(base_seconds=0)


@st.composite
def steps(draw: st.DrawFn, number: int) -> Step:
    """Draw a step that may depend on any before it."""
    before = [f"s{each}" for each in range(number)]
    is_final = number > 0 and draw(st.integers(0, 5)) == 0
    depends = draw(st.lists(st.sampled_from(before), max_size=2, unique=True)) if before else []
    has_signal = draw(st.integers(0, 5)) == 0
    conditions = ["", "", "", "input.flag", "not input.flag"]
    return Step(
        f"s{number}",
        "" if has_signal and draw(st.booleans()) else "work",
        {"number": number, "flag": "${ input.flag }"},
        depends_on=tuple(depends),
        condition=draw(st.sampled_from(conditions)),
        retry=Retry(attempts=draw(st.integers(1, 3)), backoff=AT_ONCE),
        on_error=draw(st.sampled_from(list(OnError))),
        compensation=draw(st.sampled_from(["", "work"])),
        group=draw(st.sampled_from(["", "one"])),
        signal="go" if has_signal else "",
        is_final=is_final,
    )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Draw a plan that can be run: no step depends on a final one unless it is final too."""
    found: list[Step] = []
    for number in range(draw(st.integers(1, 6))):
        step = draw(steps(number))
        finals = {each.id for each in found if each.is_final}
        if finals & set(step.depends_on) and not step.is_final:
            step = Step(step.id, "work")
        found.append(step)
    return Plan("any", tuple(found), groups={"one": 1}, fail_fast=draw(st.booleans()))


scripts = st.dictionaries(
    st.sampled_from([f"s{n}" for n in range(6)] + [f"undo:s{n}" for n in range(6)]),
    st.lists(st.sampled_from(["ok", "fail"]), max_size=3),
)


def check(run: Run, world: World) -> None:
    """Check what holds of every run that is over, however it came about."""
    events = world.journal._runs[run.run_id].events
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert fold(events) == run
    partial = fold(events[:1])
    for event in events[1:]:
        partial.apply(event)
    assert partial == run
    assert all(step.state.is_over for step in run.steps.values())
    assert all(count == 1 for count in ends(events).values())
    assert sum(event.kind is EventKind.RUN_ENDED for event in events) == 1
    assert all(len(keys) == 1 for keys in world.keys.values())
    failed = [
        name
        for name, step in run.steps.items()
        if step.state is StepState.FAILED and step.step.on_error is not OnError.CONTINUE
    ]
    if not run.cancels:
        assert run.state == ("failed" if failed else "succeeded")
    assert set((run.error or {}).get("failed", {})) == set(failed)  # type: ignore[arg-type]
    for name, step in run.steps.items():
        if step.started_at and not step.step.is_final and not name.startswith("undo:"):
            assert all(run.steps[before].is_met for before in step.step.depends_on)


@settings(max_examples=150, deadline=None)
@given(
    plan=plans(),
    script=scripts,
    flag=st.booleans(),
    answer=st.sampled_from(["", "", "no"]),
    kind=st.sampled_from([Functions, SlowlyOpened]),
)
def test_promise_w1_a_run_is_its_journal(
    plan: Plan, script: dict[str, list[str]], flag: bool, answer: str, kind: type[Functions]
) -> None:
    """Whatever the plan and the failures, folding what was stored gives the live run."""

    async def main() -> None:
        world = World(MemoryJournal(ManualClock()), script)
        engine = RunEngine(kind({"work": world.work}), journal=world.journal)
        handle = await engine.start(plan, {"flag": flag})
        check(await until_over(engine, handle, answer=answer), world)
        await engine.close()

    asyncio.run(main())


@settings(max_examples=150, deadline=None)
@given(
    plan=plans(),
    script=scripts,
    flag=st.booleans(),
    breaks=st.lists(st.tuples(st.integers(1, 6), st.booleans()), max_size=4),
    cancels=st.none() | st.integers(0, 12),
    kind=st.sampled_from([Functions, SlowlyOpened]),
)
def test_promise_w2_any_run_is_finished_after_any_crashes(
    plan: Plan,
    script: dict[str, list[str]],
    flag: bool,
    breaks: list[tuple[int, bool]],
    cancels: int | None,
    kind: type[Functions],
) -> None:
    """A process that ends at any append leaves a run that the next one finishes."""

    async def main() -> None:
        clock = ManualClock()
        world = World(MemoryJournal(clock), script)
        run_id = await RunEngine({"work": world.work}, journal=world.journal).enqueue(
            plan, {"flag": flag}, run_id="r"
        )
        for at, stores in [*breaks, (0, False)]:
            broken = BreakingJournal(world.journal, at, stores=stores)
            engine = RunEngine(
                kind({"work": world.work}), journal=broken, clock=clock, lease_seconds=LEASE
            )
            canceling = None
            for handle in await engine.recover():
                if cancels is not None:
                    canceling = asyncio.ensure_future(cancel(engine, run_id, cancels))
                try:
                    check(await until_over(engine, handle), world)
                except StoreError:
                    assert broken.is_broken
            if canceling:
                await canceling
            await engine.close()
            seconds_pass(clock)
        run = fold(await world.journal.read(run_id))
        assert run.state.is_over
        check(run, world)

    asyncio.run(main())


async def cancel(engine: RunEngine, run_id: str, turns: int) -> None:
    """Cancel a run after so many turns of the loop, if it is still open."""
    for _ in range(turns):
        await asyncio.sleep(0)
    run = await engine.get(run_id)
    try:
        if not run.state.is_over and not run.cancels:
            await engine.cancel(run_id)
    except StoreError:
        return


json_values: st.SearchStrategy[JSONValue] = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text("ab${", max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab", max_size=2), inner),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None)
@given(plan=plans(), value=json_values)
def test_a_plan_is_read_back_as_it_was_written(plan: Plan, value: JSONValue) -> None:
    """Reading what was written gives the plan, and the same digest."""
    whole = Plan("x", (*plan.steps, Step("last", "work", value)), "v1", 5.0, {"one": 2}, False)
    assert Plan.from_json(whole.as_json()) == whole
    assert Plan.from_json(whole.as_json()).digest == whole.digest
