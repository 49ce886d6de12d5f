"""What is undone, when, and by which key it is known when it is done anew."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import replace

import pytest

from oneiric.errors import JSONValue
from oneiric.runs.context import StepContext
from oneiric.runs.engine import RunEngine
from oneiric.runs.journal import MemoryJournal
from oneiric.runs.plan import OnError, Plan, Retry, Step
from oneiric.runs.run import fold
from oneiric.testing import ManualClock
from tests.runs.worlds import AT_ONCE, hang, states


class Shop:
    """Work that notes under which keys it was asked for, and fails where it is told to."""

    def __init__(self) -> None:
        self.keys: dict[str, list[str]] = defaultdict(list)
        self.broken: set[str] = set()

    def work(self, context: StepContext, value: JSONValue) -> JSONValue:
        """Do the work of any step."""
        self.keys[context.step_id].append(context.idempotency_key)
        if context.step_id in self.broken:
            raise ValueError(f"{context.step_id} is broken")
        return value


CHARGE = Step("charge", "work", 5, compensation="work")
SHIP = Step("ship", "work", None, ("charge",), on_error=OnError.COMPENSATE)


@pytest.mark.parametrize("refund", ["works", "fails"])
async def test_promise_w2_what_was_undone_is_done_again_under_another_key(
    journal: MemoryJournal, refund: str
) -> None:
    """A new charge is none that was refunded; one whose refund failed may still stand."""
    shop = Shop()
    engine = RunEngine({"work": shop.work}, journal=journal)
    shop.broken = {"ship"} if refund == "works" else {"ship", "undo:charge"}
    plan = Plan("order", (CHARGE, SHIP, Step("tell", "work", is_final=True)))
    assert (await engine.run(plan, run_id="r")).state == "failed"
    assert (await (await engine.retry("r"))).state == "failed"
    shop.broken.clear()
    run = await (await engine.retry("r"))
    assert (run.state, fold(await journal.read("r"))) == ("succeeded", run)
    different = {name: len(set(keys)) for name, keys in shop.keys.items()}
    is_new = 3 if refund == "works" else 1
    assert different == {
        "charge": is_new,
        "undo:charge": is_new - (refund == "works"),
        "ship": 1,  # it never succeeded, so it is the same
        "tell": 3,
    }
    every = [key for keys in shop.keys.values() for key in set(keys)]
    assert len(every) == len(set(every))
    await engine.close()


async def test_promise_w2_a_plan_changed_by_force_asks_under_another_key(
    journal: MemoryJournal,
) -> None:
    """What had succeeded on other input is not what is asked for now; what had not, is."""
    shop = Shop()
    engine = RunEngine({"work": shop.work}, journal=journal)
    shop.broken = {"b"}
    plan = Plan("p", (Step("a", "work", 1), Step("b", "work", "${ steps.a.output }", ("a",))))
    await engine.run(plan, run_id="r")
    shop.broken.clear()
    changed = Plan("p", (Step("a", "work", 2), plan.steps[1]))
    run = await (await engine.retry("r", changed, force=True))
    assert run.results == {"a": 2, "b": 2}
    assert [len(set(shop.keys[name])) for name in "ab"] == [2, 1]
    assert [step.attempt for step in run.steps.values()] == [2, 2]
    assert fold(await journal.read("r")) == run
    await engine.close()


async def test_promise_w2_the_key_outlives_a_crash_and_a_retry(
    journal: MemoryJournal, clock: ManualClock
) -> None:
    """In a later round too every attempt has the same key."""
    shop = Shop()
    engine = RunEngine({"work": shop.work}, journal=journal, clock=clock)
    shop.broken = {"ship"}
    again = Retry(attempts=2, backoff=AT_ONCE)
    charge = replace(CHARGE, retry=again)
    await engine.run(Plan("order", (charge, SHIP)), run_id="r")
    shop.broken = {"charge"}
    await (await engine.retry("r"))
    await engine.close()
    engine = RunEngine({"work": shop.work}, journal=journal, clock=clock)
    await (await engine.retry("r"))
    assert fold(await journal.read("r")).steps["charge"].round == 1
    first, *later = shop.keys["charge"]
    assert len(later) == 4
    assert len({first, *later}) == 2
    await engine.close()


@pytest.mark.parametrize("how", ["timeout", "cancel"])
@pytest.mark.parametrize("says", list(OnError))
async def test_promise_w5_a_run_that_is_stopped_undoes_what_its_steps_say(
    journal: MemoryJournal, clock: ManualClock, how: str, says: OnError
) -> None:
    """Where a step that was stopped says compensate, what had succeeded is undone."""
    shop = Shop()
    engine = RunEngine({"work": shop.work, "hang": hang}, journal=journal, clock=clock)
    ship = Step("ship", "hang", None, ("charge",), on_error=says)
    tell = Step("tell", "work", is_final=True)
    handle = await engine.start(Plan("p", (CHARGE, ship, tell), timeout_seconds=20), run_id="r")
    async for event in journal.follow("r"):
        if event.step == "ship":
            break
    if how == "timeout":
        await clock.until_waiting(2)
        clock.advance(20)
    else:
        await engine.cancel("r")
    run = await asyncio.wait_for(handle, 10)
    assert run.state == ("failed" if how == "timeout" else "canceled")
    reason = "run-timeout" if how == "timeout" else "run-canceled"
    undone = {"undo:charge": "succeeded"} if says is OnError.COMPENSATE else {}
    stood = {"charge": "succeeded", "ship": f"canceled:{reason}", "tell": "succeeded"}
    assert states(run) == stood | undone
    assert fold(await journal.read("r")) == run
    await engine.close()


async def test_promise_w5_asked_twice_to_cancel_nothing_more_is_undone(
    journal: MemoryJournal,
) -> None:
    """The second time what undoes is stopped too."""

    async def refund(context: StepContext, value: JSONValue) -> JSONValue:
        return await hang(context, value)

    engine = RunEngine({"work": Shop().work, "hang": hang, "refund": refund}, journal=journal)
    charge = Step("charge", "work", 5, compensation="refund")
    ship = Step("ship", "hang", None, ("charge",), on_error=OnError.COMPENSATE)
    handle = await engine.start(Plan("p", (charge, ship)), run_id="r")
    for name in ("ship", "undo:charge"):
        async for event in journal.follow("r"):
            if event.step == name:
                break
        await engine.cancel("r")
    run = await asyncio.wait_for(handle, 10)
    assert states(run)["undo:charge"] == "canceled:run-canceled"
    assert run.state == "canceled"
    await engine.close()
