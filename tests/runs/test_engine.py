"""The promises of runs W2 to W8 by name, and the engine's verbs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext

import pytest

from oneiric.errors import (
    InvalidError,
    JSONValue,
    LeaseLostError,
    LockedError,
    NotFoundError,
    PausedError,
    PlanChangedError,
    PlanError,
    RunExistsError,
    StoppedError,
)
from oneiric.runs.body import Bodies, Body, Functions, Provenance, Work
from oneiric.runs.context import StepContext
from oneiric.runs.engine import RunEngine
from oneiric.runs.event import EventKind
from oneiric.runs.journal import MemoryJournal
from oneiric.runs.plan import Limits, OnError, Plan, Retry, Step
from oneiric.runs.run import fold
from oneiric.testing import ManualClock
from tests.runs.worlds import (
    AT_ONCE,
    FUNCTIONS,
    LEASE,
    BreakingJournal,
    World,
    chain,
    ends,
    fail,
    give,
    hang,
    states,
    until_over,
)


@pytest.mark.parametrize("stores", [False, True])
@pytest.mark.parametrize("at", range(1, 9))
async def test_promise_w2_recovery_at_every_append(
    journal: MemoryJournal, clock: ManualClock, at: int, *, stores: bool
) -> None:
    """Wherever a process ends, the next finishes the run and repeats no recorded step."""
    world = World(journal, {"b": ["fail"]})
    plan = Plan(
        "shop",
        (
            Step("a", "work", "${ input }", compensation="work"),
            Step("b", "work", retry=Retry(attempts=2, backoff=AT_ONCE), depends_on=("a",)),
            Step("c", "work", depends_on=("b",), signal="paid"),
            Step("d", "fail", depends_on=("c",), on_error=OnError.COMPENSATE),
            Step("e", "work", is_final=True),
        ),
    )
    bodies: Mapping[str, Work] = {"work": world.work, "fail": fail}
    broken = BreakingJournal(journal, at, stores=stores)
    first = RunEngine(bodies, journal=broken, clock=clock, lease_seconds=LEASE)
    handle = await first.start(plan, 1, run_id="r")
    waiter = asyncio.ensure_future(until_over(first, handle))
    await asyncio.wait({waiter}, timeout=5)
    assert waiter.done()
    broken_off = waiter.exception() is not None
    await first.close()
    clock.advance(LEASE + 1)
    second = RunEngine(bodies, journal=journal, clock=clock, lease_seconds=LEASE)
    for found in await second.recover():
        await until_over(second, found)
    run = await second.get("r")
    assert run.state == "failed"
    assert states(run) == {
        "a": "succeeded",
        "b": "succeeded",
        "c": "succeeded",
        "d": "failed",
        "undo:a": "succeeded",
        "e": "succeeded",
    }
    assert set(ends(await journal.read("r")).values()) == {1}
    assert broken_off is (broken.is_broken)
    assert all(len(keys) == 1 for keys in world.keys.values())
    await second.close()


async def test_promise_w2_the_idempotency_key_is_one_for_each_step(engine: RunEngine) -> None:
    """Attempts of a step share their key; other steps and other runs have others."""
    keys = {StepContext(r, s, n).idempotency_key for r in "ab" for s in "xy" for n in (1, 2)}
    assert len(keys) == 4


async def test_promise_w3_a_changed_plan_is_refused_with_a_diff(engine: RunEngine) -> None:
    """Resuming with another plan says what differs; forced, what is the same keeps its result."""
    plan = Plan("p", (Step("a", "give", 1), Step("b", "give", 2), Step("c", "hang")))
    handle = await engine.start(plan, run_id="r")
    await asyncio.sleep(0.01)
    await engine.cancel("r")
    await handle
    other = Plan(
        "p",
        (
            Step("a", "give", 1),
            Step("b", "give", 3),
            Step("d", "give", "${ steps.b.output }", depends_on=("b",)),
        ),
    )
    with pytest.raises(PlanChangedError) as caught:
        await engine.retry("r", other)
    assert caught.value.lines() == ("- c", "+ d", "~ b: input")
    run = await (await engine.retry("r", other, force=True))
    assert run.results == {"a": 1, "b": 3, "d": 3}
    assert ends(await engine._journal.read("r"))["a"] == 1
    assert run.digest == other.digest


async def test_promise_w3_the_same_plan_goes_on(journal: MemoryJournal, clock: ManualClock) -> None:
    """A plan that is the same in content is no change, also after the run was extended."""
    engine = RunEngine(FUNCTIONS, journal=journal, clock=clock)
    plan = Plan("p", (Step("wait", signal="go"),))
    handle = await engine.start(plan, run_id="r")
    await engine.extend("r", [Step("more", "give", 1)])
    await handle.settled()
    await engine.close()
    engine = RunEngine(FUNCTIONS, journal=journal, clock=clock)
    handle = await engine.resume("r", Plan("p", (Step("wait", signal="go"),)))
    await engine.signal("r", "go", "yes")
    assert (await handle).results == {"wait": "yes", "more": 1}
    await engine.close()


async def test_promise_w4_everything_wrong_is_told_at_once(engine: RunEngine) -> None:
    """All that is wrong with a plan is one error, before anything is stored."""
    plan = Plan(
        "bad",
        (
            Step("a", "give", "${ steps.b.output }"),
            Step("b", "giv", depends_on=("c", "nobody")),
            Step("c", "give", depends_on=("b",), group="nogroup"),
            Step("c", "give", "${ steps.zz.output } ${ input.totl }"),
            Step("d", condition="1 +"),
            Step("undo:x", "give", retry=Retry(attempts=0)),
            Step("f", "give", "${ nothing.x }", is_final=True),
            Step("g", "give", "${ steps.c.result }", depends_on=("c", "f")),
        ),
    )
    with pytest.raises(PlanError) as caught:
        await engine.start(plan, {"total": 5})
    assert list(caught.value.lines()) == [
        "steps.a.input: it does not depend on b, so steps.b.output may not be there",
        "steps.b.depends_on: there is no step nobody",
        "steps.b.target: nobody does giv; did you mean give?",
        "steps.c.group: there is no group nogroup",
        "steps.c: there are two steps of that id",
        "steps.c.input: there is no input totl; did you mean total?",
        "steps.c.input: there is no step zz",
        "steps.d: it needs a target or a signal",
        "steps.d.condition: '1 +': it is no expression",
        "steps.undo:x: an id is up to 200 letters, digits, spaces and any of _.@/-",
        "steps.undo:x: attempts must be above 0 and at most 1000000000",
        "steps.f.input: there is no nothing, only context, input, steps",
        "steps.g.depends_on: f is final: it runs after this one",
        "steps.g.input: a step has output, state and error, not result",
    ]
    assert await engine._journal.runs() == []


async def test_promise_w4_a_ring_is_printed(engine: RunEngine) -> None:
    """A cycle is told as the steps that wait for each other."""
    ring = (("a", "c"), ("b", "a"), ("c", "b"))
    plan = Plan("ring", tuple(Step(name, "give", depends_on=(on,)) for name, on in ring))
    with pytest.raises(PlanError, match="they wait in a ring: a -> c -> b -> a"):
        await engine.start(plan)


async def test_promise_w4_data_flows_and_a_missing_field_is_named(engine: RunEngine) -> None:
    """Inputs read the run's input, context and outputs; what is not there fails the reader."""
    plan = Plan(
        "flow",
        (
            Step("a", "give", {"sum": "${ input.n }", "who": "${ context.who }"}),
            Step("b", "give", "${ steps.a.output.sum }", depends_on=("a",)),
            Step("c", "give", "${ steps.a.output.gone }", depends_on=("b",)),
        ),
    )
    run = await engine.run(plan, {"n": 4}, context={"who": "me"})
    assert run.results == {"a": {"sum": 4, "who": "me"}, "b": 4}
    assert run.steps["c"].error is not None
    assert "steps.a.output.gone" in str(run.steps["c"].error["message"])
    assert run.state == "failed"


async def test_a_group_bounds_how_many_run_at_once(journal: MemoryJournal) -> None:
    """At most as many steps of a group are called at once as the plan says."""
    running, most = 0, 0

    async def count(context: StepContext, value: JSONValue) -> JSONValue:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        return None

    engine = RunEngine({"count": count}, journal=journal)
    steps = tuple(Step(f"s{n}", "count", group="db") for n in range(9))
    run = await engine.run(Plan("p", steps, groups={"db": 3}))
    assert (run.state, most) == ("succeeded", 3)
    await engine.close()


@pytest.mark.parametrize("bad", [object(), {"deep": [1, {2}]}, float("nan"), 2**60])
async def test_promise_w6_a_result_that_is_no_json_names_its_path(bad: object) -> None:
    """Such a result fails its step and nothing else; the path leads to the offending value."""
    engine = RunEngine({"bad": lambda context, value: bad})  # type: ignore[dict-item,return-value]
    run = await engine.run(Plan("p", (Step("a", "bad"),)))
    error = run.steps["a"].error or {}
    assert (run.state, error["code"]) == ("failed", "invalid-document")
    path = "deep.1" if isinstance(bad, dict) else ""
    assert error["details"]["path"] == path  # type: ignore[index,call-overload]
    await engine.close()


async def test_a_result_that_is_too_large_fails_its_step() -> None:
    """Limits hold for results, inputs and signals alike."""
    engine = RunEngine({"big": lambda c, v: "x" * 200}, limits=Limits(max_value_bytes=100))
    run = await engine.run(Plan("p", (Step("a", "big"),)))
    assert (run.steps["a"].error or {})["code"] == "value-too-large"
    with pytest.raises(InvalidError):
        await engine.start(Plan("p", (Step("a", "big"),)), "x" * 200)
    await engine.close()


class OpenBodies(Bodies):
    """Bodies that may be paused, and say where they come from."""

    def __init__(self) -> None:
        self.functions = Functions(FUNCTIONS)
        self.is_paused = False
        self.opened = 0

    def problem(self, target: str) -> str:
        return ""

    def open(self, target: str) -> AbstractAsyncContextManager[Body]:
        self.opened += 1
        if self.is_paused:
            raise PausedError(target, "paused")
        return nullcontext(Known())


class Known(Body):
    """A body with a provenance, called in a thread."""

    provenance = Provenance("acme", "1.2", "sha256:m", "sha256:d")
    is_blocking = True

    def __call__(self, context: StepContext, value: JSONValue, /) -> JSONValue:
        time.sleep(0.001)
        context.progress(1, 2, "half")
        return {"got": value}


async def test_promise_w7_a_step_records_who_did_it(journal: MemoryJournal) -> None:
    """Provider, version, manifest digest and decision digest are on record with the start."""
    engine = RunEngine(OpenBodies(), journal=journal)
    run = await engine.run(Plan("p", (Step("a", "x", 1),)), run_id="r")
    assert run.steps["a"].provenance == Known.provenance
    assert run.results == {"a": {"got": 1}}
    (started,) = [e for e in await journal.read("r") if e.kind is EventKind.STEP_STARTED]
    assert started.data["decision"] == "sha256:d"
    await engine.close()


async def test_promise_a1_a_paused_target_loses_no_work(
    journal: MemoryJournal, clock: ManualClock
) -> None:
    """A step whose target is paused waits, and spends no attempt."""
    bodies = OpenBodies()
    bodies.is_paused = True
    engine = RunEngine(bodies, journal=journal, clock=clock, lease_seconds=1e9)
    handle = await engine.start(Plan("p", (Step("a", "x"),)))
    for _ in range(3):
        await clock.until_waiting(2)
        clock.advance(0.5)
    await clock.until_waiting(2)
    bodies.is_paused = False
    clock.advance(0.5)
    run = await asyncio.wait_for(handle, 5)
    assert (run.state, run.steps["a"].attempt, bodies.opened) == ("succeeded", 1, 5)
    await engine.close()


async def test_promise_w8_a_holder_that_lost_its_lease_is_stopped(
    journal: MemoryJournal, clock: ManualClock
) -> None:
    """Its bodies are cancelled, it records nothing more, and the other's result counts."""
    first = RunEngine(FUNCTIONS, journal=journal, clock=clock, lease_seconds=LEASE)
    handle = await first.start(Plan("p", (Step("a", "hang"),)), run_id="r")
    await asyncio.sleep(0.01)
    second = RunEngine({"hang": give}, journal=journal, clock=clock, lease_seconds=LEASE)
    assert await second.recover() == []
    with pytest.raises(LockedError):
        await second.resume("r")
    journal._runs["r"].until = 0.0
    taken = await second.resume("r")
    assert (await taken).state == "succeeded"
    clock.advance(LEASE / 3 + 1)
    with pytest.raises(LeaseLostError):
        await asyncio.wait_for(handle, 5)
    assert ends(await journal.read("r")) == {"a": 1}
    await first.close()
    await second.close()


async def test_a_run_is_created_once(engine: RunEngine) -> None:
    """The same id delivered twice runs once."""
    plan = Plan("p", (Step("a", "give", 1),))
    await engine.run(plan, run_id="r")
    with pytest.raises(RunExistsError):
        await engine.start(plan, run_id="r")
    with pytest.raises(NotFoundError):
        await engine.get("q")


async def test_an_enqueued_run_is_taken_up_by_whoever_recovers(engine: RunEngine) -> None:
    """enqueue stores the run without working on it."""
    run_id = await engine.enqueue(Plan("p", (Step("a", "give", 1),)))
    assert (await engine.get(run_id)).state == "queued"
    (handle,) = await engine.recover()
    assert (await handle).results == {"a": 1}


async def test_retry_keeps_what_succeeded(journal: MemoryJournal) -> None:
    """A failed run is opened again; its good results stand, what failed is done again."""
    world = World(journal, {"s1": ["fail"]})
    engine = RunEngine({"work": world.work}, journal=journal)
    handle = await engine.start(chain(3), 1, run_id="r")
    assert states(await handle) == {"s0": "succeeded", "s1": "failed", "s2": "canceled:run-failed"}
    run = await (await engine.retry("r"))
    assert run.state == "succeeded"
    assert world.calls == {"s0": 1, "s1": 2, "s2": 1}
    assert run.steps["s1"].attempt == 2
    with pytest.raises(InvalidError, match="is succeeded"):
        await engine.retry("r")
    await engine.close()


async def test_extend_adds_steps_within_limits(journal: MemoryJournal) -> None:
    """A body may add steps to its own run; a wrong or too long extension is refused whole."""

    async def grow(context: StepContext, value: JSONValue) -> JSONValue:
        await growing.extend(context.run_id, [Step("new", "give", "${ steps.a.output }", ("a",))])
        for wrong in ([Step("new", "give")], [Step("x", "give", None, ("y",))]):
            with pytest.raises(PlanError):
                await growing.extend(context.run_id, wrong)
        with pytest.raises(PlanError, match="3 steps are more than 2"):
            await growing.extend(context.run_id, [Step("third", "give")])
        return "grown"

    growing = RunEngine({"grow": grow, "give": give}, journal=journal, limits=Limits(max_steps=2))
    run = await growing.run(Plan("p", (Step("a", "grow"),)), run_id="r")
    assert run.results == {"a": "grown", "new": "grown"}
    assert fold(await journal.read("r")) == run
    with pytest.raises(NotFoundError):
        await growing.extend("r", [])
    await growing.close()


async def test_context_is_shared_and_has_history(journal: MemoryJournal) -> None:
    """What a step sets is seen by later ones, with who set it; a failed step sets nothing."""

    def write(context: StepContext, value: JSONValue) -> JSONValue:
        context.set("n", {"list": [value]}, who="writer")
        seen = context.get("n")
        assert isinstance(seen, dict)
        seen["list"] = "only a copy"
        return context.get("n")

    def spoil(context: StepContext, value: JSONValue) -> JSONValue:
        context.set("n", "spoilt")
        raise ValueError("after all, no")

    engine = RunEngine({"write": write, "spoil": spoil, "give": give}, journal=journal)
    steps = (
        Step("a", "write", 1),
        Step("b", "spoil", None, ("a",), on_error=OnError.CONTINUE),
        Step("c", "give", "${ context.n.list }", ("b",)),
    )
    run = await engine.run(Plan("p", steps), run_id="r")
    assert run.results == {"a": {"list": [1]}, "c": [1]}
    assert [(c.key, c.value, c.who) for c in run.context.history] == [
        ("n", {"list": [1]}, "writer")
    ]
    assert fold(await journal.read("r")) == run
    await engine.close()


class Shelf(dict[str, JSONValue]):
    """A cache."""

    async def get(self, key: str) -> JSONValue:  # type: ignore[override]
        return super().get(key)

    async def set(self, key: str, value: JSONValue) -> None:
        self[key] = value


async def test_a_cached_result_stands_in_for_a_call(journal: MemoryJournal) -> None:
    """The same key, target and input are not done twice; what failed is."""
    world = World(journal, {"s0": ["fail"]})
    engine = RunEngine({"work": world.work}, journal=journal, cache=Shelf())
    plan = Plan("p", (Step("s0", "work", "${ input }", cache_key="v${ input }"),))
    outcomes = [await engine.run(plan, value) for value in (1, 1, 1, 2)]
    assert [str(run.state) for run in outcomes] == ["failed", *["succeeded"] * 3]
    assert [run.steps["s0"].reason for run in outcomes] == ["", "", "cache", ""]
    assert outcomes[2].results == outcomes[1].results
    assert world.calls["s0"] == 3
    await engine.close()


async def test_canceling_stops_a_body_and_tells_it(journal: MemoryJournal) -> None:
    """A body that asks learns that its run is canceled; a second cancel stops final steps."""
    told: list[str] = []

    async def polite(context: StepContext, value: JSONValue) -> JSONValue:
        try:
            await asyncio.Event().wait()
        finally:
            with pytest.raises(StoppedError) as caught:
                context.heartbeat()
            told.append(caught.value.code)
        return None

    engine = RunEngine({"polite": polite, "hang": hang}, journal=journal)
    plan = Plan("p", (Step("a", "polite"), Step("z", "hang", is_final=True)))
    handle = await engine.start(plan, run_id="r")
    await asyncio.sleep(0.01)
    await engine.cancel("r")
    await asyncio.sleep(0.01)
    assert states(await engine.get("r")) == {"a": "canceled:run-canceled", "z": "running"}
    await engine.cancel("r")
    run = await asyncio.wait_for(handle, 5)
    assert states(run) == {"a": "canceled:run-canceled", "z": "canceled:run-canceled"}
    assert told == ["stopped"]
    await engine.close()


async def test_cancel_ends_a_run_that_nobody_holds(engine: RunEngine) -> None:
    """Whoever cancels an orphan takes it up to end it."""
    run_id = await engine.enqueue(Plan("p", (Step("a", "give"),)))
    await engine.cancel(run_id)
    async for _ in engine._journal.follow(run_id):
        pass
    run = await engine.get(run_id)
    assert (run.state, states(run)) == ("canceled", {"a": "canceled:run-canceled"})


async def test_a_note_changes_nothing(engine: RunEngine) -> None:
    """Products may put what they have to say into the journal, also after the end."""
    run = await engine.run(Plan("p", (Step("a", "give"),)), run_id="r")
    await engine.note("r", "evaluation", {"status": "success"}, step="a")
    noted = await engine.get("r")
    assert noted.last_seq == run.last_seq + 1
    noted.last_seq = run.last_seq
    assert noted == run


@pytest.mark.parametrize("turns", range(40))
async def test_closing_at_any_moment_leaves_no_task_and_a_run_to_recover(turns: int) -> None:
    """close stops what is under way; what was stored is gone on with by the next engine."""
    journal = MemoryJournal(ManualClock())
    world = World(journal)
    engine = RunEngine({"work": world.work}, journal=journal)
    await engine.start(chain(4), 1, run_id="r")
    for _ in range(turns):
        await asyncio.sleep(0)
    await engine.close()
    second = RunEngine({"work": world.work}, journal=journal)
    for handle in await second.recover():
        await handle
    run = await second.get("r")
    assert run.state == "succeeded"
    assert set(ends(await journal.read("r")).values()) == {1}
    await second.close()
