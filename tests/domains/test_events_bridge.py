"""The events domain: components handle what their metadata says they listen to."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from oneiric.core.candidate import Candidate
from oneiric.core.lifecycle import LifecycleManager
from oneiric.core.resolver import Resolver
from oneiric.domains import ALL
from oneiric.domains.events import DeclinedError, Event, EventBridge
from oneiric.errors import InvalidError, JSONValue
from oneiric.testing import ManualClock
from tests.core.components import until


class Keeper:
    """Keep the topics of events."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.closed = False

    async def handle(self, event: Event) -> str:
        await asyncio.sleep(0)
        assert not self.closed
        self.kept.append(event.topic)
        return type(self).__name__

    def cleanup(self) -> None:
        self.closed = True


class Second(Keeper):
    """Do the same under another name."""


class Plain:
    """Handle at once, without async."""

    def handle(self, event: Event) -> str:
        return threading.current_thread().name


class Picky:
    """Decline everything."""

    async def handle(self, event: Event) -> None:
        raise DeclinedError("not mine")


@pytest.fixture
async def events() -> AsyncIterator[EventBridge]:
    """Return a bridge over nothing, whose lifecycle is closed in the end."""
    async with LifecycleManager(Resolver(), clock=ManualClock()) as lifecycle:
        yield EventBridge(ALL["event"], lifecycle)


def offer(
    events: EventBridge, key: str, factory: Any = Keeper, *, provider: str = "p", **more: Any
) -> None:
    """Register an offer; keywords that Candidate does not know are metadata."""
    own = {name: more.pop(name) for name in ("priority", "blocking") if name in more}
    events.lifecycle.resolver.register(
        Candidate(f"event:{key}", provider, factory, metadata=more, **own)
    )


async def told(events: EventBridge, topic: str = "a", payload: JSONValue = None) -> list[Any]:
    results = await events.emit(topic, payload)
    return [(each.handler, each.value if each.success else each.error) for each in results]


async def test_a_component_handles_what_its_metadata_says(events: EventBridge) -> None:
    """Topics, filters, priority, policy, limits and retries come from the candidate."""
    offer(
        events,
        "orders",
        event_topics=["order.*"],
        event_filters=[{"path": "payload.region", "any_of": ["eu"]}],
        event_priority=7,
        event_max_concurrency=3,
        event_fanout_policy="exclusive",
        retry_policy={"attempts": 2, "jitter": 0},
        timeout_seconds=5,
        priority=1,
    )
    (handler,) = events.handlers()
    assert handler.as_json() == {
        "name": "orders",
        "topics": ["order.*"],
        "filters": [{"path": "payload.region", "any_of": ["eu"]}],
        "priority": 7,
        "fanout_policy": "exclusive",
        "max_concurrency": 3,
        "timeout_seconds": 5,
        "retry_policy": {
            "attempts": 2,
            "base_delay": 1.0,
            "max_delay": 60.0,
            "factor": 2.0,
            "jitter": 0,
        },
        "origin": "event:orders@p (code)",
    }
    assert await told(events, "order.created", {"region": "eu"}) == [("orders", "Keeper")]
    assert await told(events, "order.created", {"region": "us"}) == []
    assert await told(events, "other", {"region": "eu"}) == []


async def test_defect_oneiric_e7_a_component_may_handle_without_async(events: EventBridge) -> None:
    """A sync `handle` is called on the loop, or in a thread when the candidate blocks."""
    offer(events, "here", Plain)
    offer(events, "thread", Plain, blocking=True)
    here = threading.current_thread().name
    assert await told(events) == [("here", here), ("thread", "oneiric-blocking")]


async def test_defect_oneiric_e8_handlers_are_seen_as_soon_as_they_are_registered(
    events: EventBridge,
) -> None:
    """They were invisible until a manual refresh: what is registered counts from the next event."""
    assert await told(events) == []
    offer(events, "one")
    assert await told(events) == [("one", "Keeper")]
    offer(events, "two")
    assert await told(events) == [("one", "Keeper"), ("two", "Keeper")]
    events.lifecycle.resolver.withdraw("event:one")
    assert await told(events) == [("two", "Keeper")]


async def test_defect_oneiric_e8_several_providers_of_a_key_handle_when_they_say_so(
    events: EventBridge,
) -> None:
    """The winner handles under its key; one that says `all` handles beside it."""
    offer(events, "k", Keeper, provider="first", priority=9)
    offer(events, "k", Second, provider="second")
    assert await told(events) == [("k", "Keeper")]
    offer(events, "k", Second, provider="third", event_providers="all")
    assert await told(events) == [("k", "Keeper"), ("k@third", "Second")]
    offer(events, "k", Second, provider="fourth", priority=20, event_providers="all")
    assert await told(events) == [("k@fourth", "Second"), ("k@third", "Second")]


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({"event_topics": "abc"}, "topics are a list, not 'abc'"),
        ({"event_topic": ["abc"]}, "its metadata has no 'event_topic'"),
        ({"event_filters": [{"pth": "a", "equals": 1}]}, "a filter has no 'pth'"),
        ({"event_filters": {"path": "a"}}, "filters are a list of tables"),
        ({"event_fanout_policy": "broadcats"}, "there is no fan-out policy 'broadcats'"),
        ({"event_providers": "every"}, "event_providers is winner or all, not 'every'"),
        ({"retry_policy": {"tries": 3}}, "a retry policy has no 'tries'"),
        ({"timeout_seconds": "soon"}, "timeout_seconds is a number, not 'soon'"),
        ({"topics": ["a"], "event_topics": ["a"]}, "its metadata has both topics and"),
    ],
)
async def test_promise_e1_an_offer_nobody_can_follow_is_refused_alone(
    events: EventBridge, metadata: dict[str, Any], why: str
) -> None:
    """It handles nothing, the problem names it and its source, and the others go on."""
    offer(events, "good")
    offer(events, "wrong", **metadata)
    assert await told(events) == [("good", "Keeper")]
    (problem,) = events.problems
    assert (problem.handler, problem.origin) == ("wrong", "event:wrong@p (code)")
    assert problem.reason.startswith(why)


async def test_promise_e2_a_component_that_does_not_come_up_is_one_failure(
    events: EventBridge,
) -> None:
    """Others handle the event, and it is kept for the one that could not."""

    def fail() -> None:
        raise ConnectionError("refused")

    offer(events, "good")
    offer(events, "bad", fail)
    results = {each.handler: each for each in await events.emit("a")}
    assert (results["good"].success, results["bad"].success) == (True, False)
    assert "event:bad@p failed in create: ConnectionError: refused" in results["bad"].error
    assert [letter.handler for letter in await events.letters()] == ["bad"]


async def test_promise_a1_events_for_a_paused_component_wait_until_it_resumes(
    events: EventBridge,
) -> None:
    """Nothing is handled meanwhile and nothing is lost: what arrived is delivered then, once."""
    offer(events, "k")
    offer(events, "other")
    await events.pause("k", note="moving", actor="ada")

    results = await events.emit("a.first")

    assert [(each.handler, each.outcome, each.attempts) for each in results] == [
        ("k", "deferred", 0),
        ("other", "handled", 1),
    ]
    assert results[0].error == "PausedError: event:k is paused by ada: moving"
    await events.resume("k")
    assert await events.letters() == []
    async with events.use("k") as keeper, events.use("other") as other:
        assert (keeper.kept, other.kept) == (["a.first"], ["a.first"])


async def test_promise_a1_events_for_a_paused_offer_wait_until_it_resumes(
    events: EventBridge,
) -> None:
    """Where no other stands in for it, its events are kept under the name of the key."""
    offer(events, "k")
    offer(events, "all", provider="a", event_providers="all")
    offer(events, "all", provider="b", event_providers="all")
    await events.pause("k@p")
    await events.pause("all@b")

    results = await events.emit("a.first")

    assert sorted((each.handler, str(each.outcome)) for each in results) == [
        ("all@a", "handled"),
        ("all@b", "deferred"),
        ("k", "deferred"),
    ]
    await events.resume("k@p")
    await events.resume("all@b")
    assert await events.letters() == []
    async with events.use("k") as keeper, events.use("all@b") as other:
        assert (keeper.kept, other.kept) == (["a.first"], ["a.first"])


async def test_promise_e2_events_for_a_handler_in_quarantine_are_kept(events: EventBridge) -> None:
    """However often its start failed, no event is lost without a dead letter."""

    def refused() -> Keeper:
        raise ConnectionError("refused")

    offer(events, "bad", refused)

    results = [await events.emit("a", number) for number in range(6)]

    assert [[(each.handler, each.success) for each in found] for found in results] == [
        [("bad", False)]
    ] * 6
    assert [letter.handler for letter in await events.letters()] == ["bad"] * 6
    assert "quarantined" in results[-1][0].error


async def test_promise_e2_the_next_best_handles_for_an_offer_that_is_out(
    events: EventBridge,
) -> None:
    """Nobody is told twice, and nothing is kept, while somebody stands in."""
    offer(events, "k", provider="first", priority=9)
    offer(events, "k", Second, provider="second")
    await events.pause("k@first")

    assert await told(events) == [("k", "Second")]
    assert await events.letters() == []


async def test_promise_a1_what_waited_is_delivered_to_those_that_take_work(
    events: EventBridge,
) -> None:
    """Resumed by whom nobody heard, a handler gets what waited; one still paused does not."""
    offer(events, "k")
    offer(events, "other")
    await events.pause("k")
    await events.pause("other")
    await events.emit("a.first")
    await events.lifecycle.resume("event:k")

    replays = await events.replay_deferred()

    assert len(replays) == 1
    assert [letter.handler for letter in await events.letters()] == ["other"]


async def test_promise_e3_a_paused_exclusive_component_is_passed_over(events: EventBridge) -> None:
    """The next exclusive one handles the event, and nothing is kept."""
    for key, priority in (("picky", 9), ("best", 5), ("next", 1)):
        factory = Picky if key == "picky" else Keeper
        offer(events, key, factory, priority=priority, event_fanout_policy="exclusive")
    await events.pause("best")
    results = await events.emit("a")
    assert [(each.handler, str(each.outcome), each.covered) for each in results] == [
        ("picky", "declined", False),
        ("best", "deferred", True),
        ("next", "handled", False),
    ]
    assert await events.letters() == []


async def test_a_drain_waits_for_events_in_hand(events: EventBridge) -> None:
    """What was accepted is handled to its end; what comes after waits in the dead letters."""
    gate = asyncio.Event()

    class Slow:
        async def handle(self, event: Event) -> str:
            await gate.wait()
            return "done"

    offer(events, "k", Slow)
    dispatch = asyncio.ensure_future(events.emit("a"))
    await until(lambda: events.lifecycle.in_flight("event:k"))
    drain = asyncio.ensure_future(events.drain("k", limit=5))
    await until(lambda: events.lifecycle.activity.get("event:k").state == "draining")
    assert [each.outcome for each in await events.emit("a")] == ["deferred"]
    gate.set()
    assert ((await dispatch)[0].value, (await drain).in_flight) == ("done", 0)


async def test_promise_l3_swaps_while_events_are_handled_lose_nothing(events: EventBridge) -> None:
    """Each of many events is handled once, by an instance that is not closed."""
    made: list[Keeper] = []

    def make() -> Keeper:
        made.append(Keeper())
        return made[-1]

    offer(events, "k", make)
    stop = asyncio.Event()

    async def emit() -> int:
        count = 0
        while not stop.is_set():
            (result,) = await events.emit("a")
            assert result.success, result
            count += 1
        return count

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(emit()) for _ in range(8)]
        for _ in range(20):
            assert (await events.lifecycle.swap("event:k")).ok
        stop.set()
    assert sum(task.result() for task in tasks) == sum(len(each.kept) for each in made)
    assert len(made) >= 20


async def test_an_event_is_checked_before_anybody_is_told(events: EventBridge) -> None:
    """A wrong topic or header is the emitter's error."""
    offer(events, "k")
    for topic, headers in (("a.*", {}), ("", {}), ("a", {"Not-A-Name": "x"})):
        with pytest.raises(InvalidError):
            await events.emit(topic, None, headers=headers)


async def test_promise_e1_an_offer_that_does_not_serve_is_checked_too(events: EventBridge) -> None:
    """Wrong metadata is told when it is registered, not when the offer wins."""
    offer(events, "k", priority=1)
    offer(events, "k", provider="shadowed", event_topics="abc")
    assert await told(events) == [("k", "Keeper")]
    assert [problem.handler for problem in events.problems] == ["k@shadowed"]
