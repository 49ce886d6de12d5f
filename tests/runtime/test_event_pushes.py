"""Events over HTTP: told to their handlers once each, from whoever may tell them."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest

from oneiric.core.candidate import Candidate
from oneiric.domains.events import Event
from oneiric.errors import InvalidError
from oneiric.runtime.task_messages import read_event
from tests.runtime.callbacks import GUARDED, TOKEN, Desk, callbacks, cloud_task, push

CREATED: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "//shop.example.org",
    "type": "order.created",
    "data": {"order": 7},
}
BEARER = f"Authorization: Bearer {TOKEN}"
PATH = "/events"


class Ledger:
    """What handlers were told, and how often they are to fail."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, Any]] = []
        self.failures = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun = asyncio.Event()

    def offer(self, key: str = "audit", *topics: str) -> Candidate:
        """Offer a handler that notes what it is told."""
        ledger = self

        class Noting:
            async def handle(self, event: Event) -> None:
                ledger.begun.set()
                await ledger.gate.wait()
                if ledger.failures:
                    ledger.failures -= 1
                    raise ConnectionError("no ledger")
                ledger.told.append((event.topic, event.id, event.data))

        metadata: Any = {"event_topics": list(topics or ("order.*",))}
        return Candidate(f"event:{key}", "test", Noting, metadata=metadata)


async def tell(desk: Desk, body: object, *fields: str, **more: str) -> Any:
    return await desk.post(body, *fields, path=PATH, **more)


async def leave(ledger: Ledger, folder: Path) -> Any:
    """Push an event to a process that ends before its handler does; return the answer."""
    ledger.gate.clear()
    async with callbacks(folder, also=[ledger.offer()], grace=0.1) as desk:
        under_way = asyncio.create_task(tell(desk, push(CREATED)))
        await ledger.begun.wait()
    ledger.gate.set()
    return await under_way


async def test_an_event_is_dispatched_as_one_recorded_run(tmp_path: Path) -> None:
    """Answered when all its handlers are done, with what became of it."""
    ledger = Ledger()
    async with callbacks(tmp_path, also=[ledger.offer()]) as desk:
        status, _, told = await tell(desk, push(CREATED))
        run = await desk.work.engine.get(told["run_id"])

    assert (status, told["schema"], told["state"]) == (200, "oneiric.callback/1", "succeeded")
    assert told["name"] == "event:dispatch"
    assert ledger.told == [("order.created", "e-1", {"order": 7})]
    assert run.results["dispatch"] == {
        "topic": "order.created",
        "id": "e-1",
        "handlers": {"audit": "handled"},
    }
    assert run.metadata["delivery"] == {
        "sender": "pub-sub",
        "name": "projects/p/subscriptions/orders/1",
        "by": "this-machine",
    }


@pytest.mark.parametrize("form", ["push", "task", "key", "event"])
async def test_an_event_that_is_delivered_again_is_told_to_nobody_twice(
    tmp_path: Path, form: str
) -> None:
    """One after another, at the same time, and after a restart."""
    ledger, body = Ledger(), push(CREATED) if form == "push" else CREATED
    fields = {"task": cloud_task("t-1"), "key": ("Idempotency-Key: k",)}.get(form, ())
    async with callbacks(tmp_path, also=[ledger.offer()]) as desk:
        answers = await asyncio.gather(*(tell(desk, body, *fields) for _ in range(8)))
    async with callbacks(tmp_path, also=[ledger.offer()]) as desk:
        answers.append(await tell(desk, body, *fields))

    assert {answer[0] for answer in answers} == {200}
    assert len({answer[2]["run_id"] for answer in answers}) == 1
    assert len(ledger.told) == 1


async def test_another_message_is_another_event(tmp_path: Path) -> None:
    """Another message id, task name or event id is told again."""
    ledger = Ledger()
    async with callbacks(tmp_path, also=[ledger.offer()]) as desk:
        await tell(desk, push(CREATED, "1"))
        await tell(desk, push(CREATED, "2"))
        await tell(desk, CREATED)
        await tell(desk, {**CREATED, "id": "e-2"})
        await tell(desk, CREATED, *cloud_task("t-1"))

    assert [each[1] for each in ledger.told] == ["e-1", "e-1", "e-1", "e-2", "e-1"]


async def test_an_event_that_nobody_wants_is_done_with(tmp_path: Path) -> None:
    """Pushing it again would change nothing."""
    async with callbacks(tmp_path) as desk:
        status, _, told = await tell(desk, push(CREATED))

    assert (status, told["state"]) == (200, "succeeded")


async def test_what_a_handler_misses_is_a_dead_letter_and_is_not_pushed_again(
    tmp_path: Path,
) -> None:
    """So is what comes for one that is paused, until it is resumed."""
    ledger = Ledger()
    ledger.failures = 1
    async with callbacks(tmp_path, also=[ledger.offer()]) as desk:
        failed = await tell(desk, push(CREATED, "1"))
        await desk.work.runtime.pause("event:audit")
        paused = await tell(desk, push({**CREATED, "id": "e-2"}, "2"))
        letters = [each.reason for each in await desk.work.runtime.events.letters()]
        await desk.work.runtime.resume("event:audit")

    assert [failed[0], paused[0]] == [200, 200]
    assert letters == ["failed", "deferred"]
    assert [each[1] for each in ledger.told] == ["e-2"]


async def test_only_who_may_call_may_tell(tmp_path: Path) -> None:
    """The same callers as for tasks."""
    ledger = Ledger()
    async with callbacks(tmp_path, config=GUARDED, also=[ledger.offer()]) as desk:
        refused = await tell(desk, push(CREATED))
        let_in = await tell(desk, push(CREATED), BEARER)

    assert (refused[0], let_in[0], len(ledger.told)) == (401, 200, 1)


async def test_an_event_in_the_media_type_of_cloudevents_is_taken(tmp_path: Path) -> None:
    """At this path only."""
    kind, ledger = "application/cloudevents+json", Ledger()
    async with callbacks(tmp_path, also=[ledger.offer()]) as desk:
        taken = await tell(desk, CREATED, kind=kind)
        elsewhere = await desk.post({"workflow": "ship"}, kind=kind)

    assert (taken[0], elsewhere[0], len(ledger.told)) == (200, 415, 1)


async def test_more_events_than_are_taken_on_come_again(tmp_path: Path) -> None:
    """They share the limits of callbacks, and each answers within the same time."""
    ledger = Ledger()
    ledger.gate.clear()
    config = "[http]\nconcurrency = 1\n"
    async with callbacks(tmp_path, config=config, also=[ledger.offer()]) as desk:
        first = asyncio.create_task(tell(desk, push(CREATED, "1")))
        await ledger.begun.wait()
        busy = await tell(desk, push(CREATED, "2"))
        ledger.gate.set()
        done = await first

    assert (busy[0], busy[2]["error"]["code"], "retry-after" in busy[1]) == (503, "busy", True)
    assert done[0] == 200


async def test_an_event_whose_process_was_killed_is_told_by_another(tmp_path: Path) -> None:
    """Without waiting for the next push, as any other run that was left."""
    ledger = Ledger()
    await leave(ledger, tmp_path)
    async with callbacks(tmp_path, also=[ledger.offer()]) as desk:
        for handle in await desk.work.recovery().look():
            await handle

    assert [each[1] for each in ledger.told] == ["e-1"]


async def test_an_event_that_was_left_is_told_by_who_gets_the_next_push(tmp_path: Path) -> None:
    """Its handlers had not come to an end, so they are told again."""
    ledger = Ledger()
    left = await leave(ledger, tmp_path)
    async with callbacks(tmp_path, also=[ledger.offer()]) as desk:
        again = await tell(desk, push(CREATED))

    assert (left[0], again[0], len(ledger.told)) == (503, 200, 1)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        {},
        {"workflow": "ship"},
        {key: value for key, value in CREATED.items() if key != "type"},
        {**CREATED, "type": "order.*"},
        {**CREATED, "specversion": "0.3"},
        {**CREATED, "id": 7},
        {**CREATED, "type": None},
        push({"order": 7}, attributes={"ce-type": None}),
        push({"order": 7}),
        push(b"no json"),
        push({"order": 7}, attributes={"ce-type": "order created"}),
        push({"order": 7}, attributes={"ce-type": 7}),
        push({"order": 7}, attributes=["ce-type"]),
        push(b"no json", attributes={"ce-type": "order.created"}),
        push({"order": 7}, attributes={"ce-type": "a", "ce-Bad_Name": "x"}),
        {"message": {"data": "!"}, "subscription": "s"},
        {"message": {}, "subscription": "s"},
    ],
    ids=lambda body: str(body)[:40],
)
async def test_what_is_no_event_is_the_senders_mistake(tmp_path: Path, body: Any) -> None:
    """It is told so, with nothing begun, and will do no good if it comes again."""
    ledger = Ledger()
    async with callbacks(tmp_path, also=[ledger.offer("all", "**")]) as desk:
        status, fields, _ = await tell(desk, body)
        runs = await desk.work.journal.runs()

    assert (status, "retry-after" in fields, list(runs), ledger.told) == (400, False, [], [])


def event(**message: Any) -> Event:
    """Return the event of a push."""
    return Event.from_json(read_event(push(b'{"order": 7}', **message), {}).message.given)


def test_a_push_may_tell_of_its_event_in_attributes() -> None:
    """Message id and subscription stand for what they do not tell."""
    plain = event(message_id="m-1", attributes={"ce-type": "order.created", "origin": "x"})
    told = {"ce-type": "a", "ce-id": "e", "ce-source": "s", "ce-subject": "o-7", "ce-region": "eu"}
    full = event(attributes=told)

    assert (plain.topic, plain.id, plain.data) == ("order.created", "m-1", {"order": 7})
    assert plain.source == "//pubsub.googleapis.com/projects/p/subscriptions/orders"
    assert (full.topic, full.id, full.source) == ("a", "e", "s")
    assert (full.subject, full.extensions["region"]) == ("o-7", "eu")


def test_a_push_may_carry_what_is_no_json() -> None:
    """Where its attributes say so."""
    found = event(attributes={"ce-type": "a", "content-type": "text/plain"})

    assert (found.data, found.datacontenttype) == (b'{"order": 7}', "text/plain")


def test_an_event_of_nothing_but_a_name_is_one() -> None:
    """A message without data has no more to tell than that it came."""
    body = push(b"", attributes={"ce-type": "order.created"})
    del body["message"]["data"]
    found = Event.from_json(read_event(body, {}).message.given)

    assert (found.topic, found.data) == ("order.created", None)


@pytest.mark.parametrize("empty", ["", None])
def test_defect_empty_data_of_an_event_may_be_told(empty: str | None) -> None:
    """In the JSON of Pub/Sub what is empty is left out, or told as empty, or as null."""
    body = push(b"", attributes={"ce-type": "order.created"})
    body["message"]["data"] = empty

    found = Event.from_json(read_event(body, {}).message.given)

    assert (found.topic, found.data) == ("order.created", None)


def test_a_push_that_is_no_event_says_what_would_be() -> None:
    """As the hint."""
    with pytest.raises(InvalidError) as caught:
        read_event(push({"order": 7}), {})

    assert "ce-type" in (caught.value.hint or "")
    assert base64.b64encode(b"7").decode() not in caught.value.message
