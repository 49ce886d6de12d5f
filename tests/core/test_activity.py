"""Pause, resume and drain within one process: at once, counted, and nothing accepted is lost."""

import asyncio
import threading
from datetime import UTC, datetime

import pytest

from oneiric.core.activity import ACTIVE, Activity, ActivityBoard, ActivityState
from oneiric.core.generation import LifecycleState
from oneiric.core.lifecycle import LifecycleManager
from oneiric.core.slots import Slots
from oneiric.core.status import DrainReport
from oneiric.errors import ComponentError, NoCandidateError, PausedError
from oneiric.testing import ManualClock
from tests.core.components import CACHE, Ledger, Phased, Staged, offer, running, until

A = f"{CACHE}@a"
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


async def _refusal(lifecycle: LifecycleManager, ref: str = CACHE) -> dict[str, object]:
    with pytest.raises(PausedError) as caught:
        async with lifecycle.use(ref):
            pass
    return dict(caught.value.details())


async def test_promise_a1_a_pause_refuses_new_work_at_once_with_note_and_actor() -> None:
    """Warm or cold, by task or by thread, the refusal says who paused, and why."""
    async with running(offer(Ledger(), "a"), clock=ManualClock(NOON)) as lifecycle:
        await lifecycle.activate(CACHE)
        activity = await lifecycle.pause(CACHE, note="moving disks", actor="ann")
        told = {"ref": CACHE, "state": "paused", "note": "moving disks", "actor": "ann"}
        assert activity == Activity(ActivityState.PAUSED, "moving disks", "ann", NOON)
        assert await _refusal(lifecycle) == told
        assert await _refusal(lifecycle, A) == told | {"ref": A}

        def thread() -> str:
            with pytest.raises(PausedError) as caught:
                lifecycle.use(CACHE).__enter__()
            return caught.value.message

        assert await asyncio.to_thread(thread) == "adapter:cache is paused by ann: moving disks"
        assert lifecycle.status(CACHE).activity == activity


async def test_promise_a1_a_pause_takes_effect_before_anything_is_awaited() -> None:
    """The component's own `pause` may take its time; nobody enters meanwhile."""
    pausing, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Phased):
        async def pause(self) -> None:
            pausing.set()
            await go_on.wait()

    async with running(offer(Ledger(), "a", Slow)) as lifecycle:
        await lifecycle.activate(CACHE)
        task = asyncio.create_task(lifecycle.pause(CACHE))
        await pausing.wait()
        assert (await _refusal(lifecycle))["state"] == "paused"
        go_on.set()
        await task


async def test_promise_a1_what_is_in_flight_may_finish() -> None:
    """A pause does not disturb those who hold the component already."""
    async with running(offer(Ledger(), "a")) as lifecycle, lifecycle.use(CACHE) as held:
        await lifecycle.pause(CACHE)
        await _refusal(lifecycle)
        assert (held.work(), lifecycle.in_flight(CACHE)) == ("a", 1)


async def test_promise_a1_a_drain_counts_what_is_in_flight_and_reports_when_it_is_zero() -> None:
    """New work is refused, the count falls to zero, and only then does the drain return."""
    async with running(offer(Ledger(), "a"), clock=ManualClock(NOON)) as lifecycle:
        go_on = [asyncio.Event() for _ in range(3)]

        async def hold(until_set: asyncio.Event) -> None:
            async with lifecycle.use(CACHE):
                await until_set.wait()

        holding = [asyncio.create_task(hold(event)) for event in go_on]
        await until(lambda: lifecycle.in_flight(CACHE) == 3)
        draining = asyncio.create_task(lifecycle.drain(CACHE, note="upgrade", actor="bob"))
        counts = []
        for event in go_on:
            await asyncio.sleep(0.001)
            counts.append((lifecycle.in_flight(CACHE), draining.done()))
            event.set()
        assert await draining == DrainReport(lifecycle.status(CACHE).ref, 0, ())
        assert counts == [(3, False), (2, False), (1, False)]
        assert (await _refusal(lifecycle))["state"] == "draining"
        assert lifecycle.status(CACHE).activity == Activity(
            ActivityState.DRAINING, "upgrade", "bob", NOON
        )
        await asyncio.gather(*holding)


async def test_promise_a1_a_drain_that_ends_early_names_who_holds_on() -> None:
    """At its limit the report says how many there are, and who."""
    async with running(offer(Ledger(), "a")) as lifecycle, lifecycle.use(CACHE):
        report = await lifecycle.drain(CACHE, limit=0.001)
        name = asyncio.current_task().get_name()  # type: ignore[union-attr]
        assert (report.ref, report.in_flight) == (CACHE, 1)
        assert [holder.split(" at ")[0] for holder in report.holders] == [f"task {name}"]


async def test_promise_a1_a_drain_is_not_forgotten_by_a_swap_that_is_undone() -> None:
    """Whoever waits for the last holder is told, though a swap retired the instance meanwhile."""
    ledger, go_on, bound = Ledger(), asyncio.Event(), asyncio.Event()
    async with running(offer(ledger, "a"), offer(ledger, "b", stack_level=-1)) as lifecycle:

        async def hold() -> None:
            async with lifecycle.use(CACHE):
                await go_on.wait()

        async def refuse(_: object) -> None:
            bound.set()
            await asyncio.sleep(0)
            raise ValueError("no")

        lifecycle.hook("post_swap", refuse)
        holding = asyncio.create_task(hold())
        await until(lambda: lifecycle.in_flight(CACHE) == 1)
        swapping = asyncio.create_task(lifecycle.swap(CACHE, provider="b"))
        await bound.wait()
        draining = asyncio.create_task(lifecycle.drain(CACHE, limit=30.0))
        assert (await swapping).rolled_back
        go_on.set()
        report = await asyncio.wait_for(draining, 1.0)
        assert (report.in_flight, report.holders) == (0, ())
        await holding


async def test_promise_a1_no_accepted_work_is_lost_under_pauses_and_drains() -> None:
    """Tasks and threads work while it is paused, drained and resumed: each is refused or served."""
    ledger, stop = Ledger(), threading.Event()
    async with running(offer(ledger, "a")) as lifecycle:
        await lifecycle.activate(CACHE)
        begun, ended, refused = list[int](), list[int](), list[int]()

        async def task() -> None:
            while not stop.is_set():
                try:
                    async with lifecycle.use(CACHE) as held:
                        begun.append(1)
                        await asyncio.sleep(0)
                        held.work()
                        ended.append(1)
                except PausedError:
                    refused.append(1)
                    await asyncio.sleep(0)

        def thread() -> None:
            while not stop.wait(0.0001):
                try:
                    with lifecycle.use(CACHE) as held:
                        begun.append(1)
                        held.work()
                        ended.append(1)
                except PausedError:
                    refused.append(1)

        working = [asyncio.create_task(task()) for _ in range(8)]
        working += [asyncio.create_task(asyncio.to_thread(thread)) for _ in range(3)]
        for _ in range(20):
            await asyncio.sleep(0.001)
            report = await lifecycle.drain(CACHE)
            counted = (len(begun), len(ended), lifecycle.in_flight(CACHE))
            await asyncio.sleep(0.001)
            assert (report.in_flight, counted) == (0, (len(begun), len(ended), 0))
            assert len(begun) == len(ended)
            await lifecycle.resume(CACHE)
        stop.set()
        await asyncio.gather(*working)
        assert (len(begun), ledger.late, len(refused) > 0) == (len(ended), [], True)


async def test_what_nobody_knows_is_no_row_of_the_status() -> None:
    """A misspelt reference fails its caller and is not listed, unless it is offered later."""
    async with running(offer(Ledger(), "a")) as lifecycle:
        for ref in ("adapter:cahce", "service:nobody@x"):
            with pytest.raises(NoCandidateError):
                await lifecycle.activate(ref)
        await lifecycle.activate(CACHE)
        assert [status.ref for status in lifecycle.statuses()] == [CACHE]
        lifecycle.resolver.register(offer(Ledger(), "late", ref="adapter:cahce"))
        assert [status.ref for status in lifecycle.statuses()] == [CACHE, "adapter:cahce"]


async def test_resuming_accepts_work_again_and_forgets_the_note() -> None:
    """Active has no note, no actor and no time."""
    async with running(offer(Ledger(), "a")) as lifecycle:
        await lifecycle.pause(CACHE, note="maint", actor="ann")
        assert await lifecycle.resume(CACHE, actor="bob") == ACTIVE
        async with lifecycle.use(CACHE) as held:
            assert held.work() == "a"
        assert lifecycle.activity.snapshot() == {}


async def test_the_components_own_phases_are_called_in_order() -> None:
    """`pause` after work is refused, `resume` before it is accepted; drain calls neither."""
    ledger = Ledger()
    async with running(offer(ledger, "a", Staged)) as lifecycle:
        await lifecycle.activate(CACHE)
        ledger.take()
        await asyncio.gather(lifecycle.pause(CACHE), lifecycle.resume(CACHE))
        await lifecycle.drain(CACHE)
        await lifecycle.resume(CACHE)
        assert ledger.log == ["a pause", "a resume", "a resume"]
        assert lifecycle.status(CACHE).activity == ACTIVE


async def test_a_failing_pause_refuses_work_and_a_failing_resume_goes_on_refusing() -> None:
    """The error reaches whoever asked; what is refused stays on the safe side."""
    ledger, fails = Ledger(), {"pause"}

    def make(ledger: Ledger, name: str) -> Staged:
        return Staged(ledger, name, fails=fails)

    async with running(offer(ledger, "a", make)) as lifecycle:
        await lifecycle.activate(CACHE)
        with pytest.raises(ComponentError, match="failed in pause: Broken: pause"):
            await lifecycle.pause(CACHE, note="n")
        assert (await _refusal(lifecycle))["note"] == "n"
        fails.add("resume")
        with pytest.raises(ComponentError, match="failed in resume: Broken: resume"):
            await lifecycle.resume(CACHE)
        assert (await _refusal(lifecycle))["note"] == "n"
        fails.clear()
        assert await lifecycle.resume(CACHE) == ACTIVE


async def test_a_pause_that_comes_during_a_resume_wins() -> None:
    """Who spoke last is obeyed, and never is work let in between."""
    resuming, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Phased):
        async def resume(self) -> None:
            resuming.set()
            await go_on.wait()

    async with running(offer(Ledger(), "a", Slow)) as lifecycle:
        await lifecycle.activate(CACHE)
        await lifecycle.pause(CACHE, note="first")
        resumed = asyncio.create_task(lifecycle.resume(CACHE))
        await resuming.wait()
        paused = asyncio.create_task(lifecycle.pause(CACHE, note="second"))
        await asyncio.sleep(0)
        go_on.set()
        activities = [await resumed, await paused]
        assert [activity.note for activity in activities] == ["second", "second"]
        assert (await _refusal(lifecycle))["note"] == "second"


async def test_a_paused_offer_is_out_of_resolution_and_the_next_best_serves() -> None:
    """Explain says who paused it; resumed, it competes again and is followed back."""
    ledger = Ledger()
    offers = offer(ledger, "a", priority=1), offer(ledger, "b")
    async with running(*offers) as lifecycle:
        await lifecycle.activate(CACHE)
        await lifecycle.pause(A, note="leak", actor="ann")
        assert lifecycle.resolver.explain(CACHE).render() == (
            "adapter:cache\n"
            "  selected  b  the only one that may serve\n"
            "  rejected  a  paused by ann: leak"
        )
        async with lifecycle.use(CACHE) as held:
            assert held.work() == "b"
        assert (await _refusal(lifecycle, A))["note"] == "leak"
        await lifecycle.resume(A)
        async with lifecycle.use(CACHE) as held:
            assert held.work() == "a"
        assert (ledger.open, ledger.late) == (1, [])


async def test_an_offer_paused_while_a_swap_brings_it_up_is_not_bound() -> None:
    """The swap is refused, naming who paused it; the old one serves on."""
    ledger = Ledger()
    offers = offer(ledger, "a", priority=1), offer(ledger, "b")
    async with running(*offers) as lifecycle:
        await lifecycle.activate(CACHE)
        lifecycle.hook("pre_swap", lambda _: lifecycle.pause(f"{CACHE}@b", note="stop"))
        report = await lifecycle.swap(CACHE, provider="b")
        assert (report.failed_phase, report.rolled_back) == ("resolve", False)
        assert str(report.error).splitlines()[1:] == ["  b  paused: stop"]
        assert (lifecycle.status(CACHE).provider, ledger.ended) == ("a", ["b"])


async def test_an_offer_paused_while_it_is_swapped_out_is_not_bound_again() -> None:
    """When the swap is undone the place goes to the next best, not to the one paused."""
    ledger = Ledger()
    offers = offer(ledger, "a", priority=2), offer(ledger, "b", priority=1), offer(ledger, "c")
    async with running(*offers) as lifecycle:
        await lifecycle.activate(CACHE)

        async def refuse(_: object) -> None:
            await lifecycle.pause(A)
            raise ValueError("no")

        remove = lifecycle.hook("post_swap", refuse)
        report = await lifecycle.swap(CACHE, provider="c")
        remove()
        assert (report.rolled_back, lifecycle.status(CACHE).provider) == (True, "")
        async with lifecycle.use(CACHE) as held:
            assert held.work() == "b"
        assert (sorted(ledger.made), ledger.ended) == (["a", "b", "c"], ["c"])


async def test_an_offer_paused_while_it_comes_up_does_not_serve_its_place() -> None:
    """Whoever waited for the place is given the next best."""
    ledger, go_on = Ledger(), asyncio.Event()

    class Slow(Phased):
        async def init(self) -> None:
            await go_on.wait()

    async with running(offer(ledger, "a", Slow, priority=1), offer(ledger, "b")) as lifecycle:
        waiting = asyncio.create_task(lifecycle.activate(CACHE))
        await until(lambda: ledger.made)
        await lifecycle.pause(A)
        go_on.set()
        assert (await waiting).provider == "b"


async def test_a_paused_offer_leaves_nobody_when_there_is_no_failover() -> None:
    """With failover off the place waits for it."""
    offers = offer(Ledger(), "a", priority=1), offer(Ledger(), "b")
    async with running(*offers) as lifecycle:
        lifecycle.resolver.configure(failover=False)
        await lifecycle.activate(CACHE)
        await lifecycle.pause(A, note="leak")
        with pytest.raises(NoCandidateError) as caught:
            await lifecycle.activate(CACHE)
        assert caught.value.rejected == (("a", "paused: leak"),)
        await lifecycle.resume(A)
        assert (await lifecycle.activate(CACHE)).provider == "a"


async def test_a_place_resumed_keeps_its_paused_offer_paused() -> None:
    """An offer's own pause outlives that of its place, and the other way round."""
    offers = offer(Ledger(), "a", priority=1), offer(Ledger(), "b")
    async with running(*offers) as lifecycle:
        await lifecycle.pause(A, note="offer")
        await lifecycle.pause(CACHE, note="place")
        await lifecycle.resume(CACHE)
        assert (await _refusal(lifecycle, A))["note"] == "offer"
        assert (await lifecycle.activate(CACHE)).provider == "b"
        await lifecycle.pause(CACHE, note="place")
        await lifecycle.resume(A)
        assert (await _refusal(lifecycle, A))["note"] == "place"


async def test_a_swap_of_a_paused_place_stays_paused() -> None:
    """Swapping is no work of the component's; it serves when it is resumed."""
    ledger = Ledger()
    async with running(offer(ledger, "a")) as lifecycle:
        await lifecycle.pause(CACHE)
        assert (await lifecycle.swap(CACHE)).ok
        await _refusal(lifecycle)
        assert lifecycle.status(CACHE).state is LifecycleState.READY
        assert (await lifecycle.probe(CACHE)).detail == "paused"


async def test_callers_who_wait_for_a_start_are_refused_when_it_is_paused_meanwhile() -> None:
    """They were not accepted yet; the instance stays up for later."""
    ledger, go_on = Ledger(), asyncio.Event()

    class Slow(Phased):
        async def init(self) -> None:
            await go_on.wait()

    async with running(offer(ledger, "a", Slow)) as lifecycle:
        waiting = asyncio.create_task(lifecycle.activate(CACHE))
        await until(lambda: ledger.made)
        pausing = asyncio.create_task(lifecycle.pause(CACHE, note="wait"))
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(PausedError, match="adapter:cache is paused: wait"):
            await waiting
        await pausing
        assert (ledger.open, lifecycle.in_flight(CACHE)) == (1, 0)


def test_a_slot_that_is_asked_for_while_its_place_is_paused_is_shut() -> None:
    """However a thread's asking and a pause interleave, both end up paused."""
    for _ in range(200):
        board = ActivityBoard()
        slots, start = Slots(board), threading.Barrier(2)

        def ask(slots: Slots = slots, start: threading.Barrier = start) -> None:
            start.wait(5.0)
            slots[A]

        asking = threading.Thread(target=ask)
        asking.start()
        start.wait(5.0)
        slots.set_activity(CACHE, Activity(ActivityState.PAUSED))
        asking.join(5.0)
        assert (slots[A].shut, slots[CACHE].shut) == (True, True)


def test_the_board_shows_what_is_not_active_sorted() -> None:
    """By reference, each with its note, who and when; as JSON too."""
    board = ActivityBoard()
    board.set("task:b", Activity(ActivityState.DRAINING, "n", "bob", NOON))
    board.set("adapter:a", Activity(ActivityState.PAUSED, since=NOON))
    board.set("adapter:c", Activity(ActivityState.PAUSED))
    board.set("adapter:c", Activity(note="ignored"))
    assert {ref: activity.as_json() for ref, activity in board.snapshot().items()} == {
        "adapter:a": {
            "state": "paused",
            "note": "",
            "actor": "",
            "since": "2026-06-01T12:00:00.000000Z",
        },
        "task:b": {
            "state": "draining",
            "note": "n",
            "actor": "bob",
            "since": "2026-06-01T12:00:00.000000Z",
        },
    }
    assert list(board.snapshot()) == ["adapter:a", "task:b"]
