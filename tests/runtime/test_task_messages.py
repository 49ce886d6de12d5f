"""What senders push, read strictly into one message with one run id."""

import uuid
from typing import Any

import pytest

from oneiric.clock import checked_id
from oneiric.domains.messages import InvalidMessageError
from oneiric.errors import InvalidError
from oneiric.runtime.task_messages import Delivery, derived_id, read_delivery
from oneiric.testing import ManualClock
from tests.runtime.callbacks import push

ASKED: dict[str, Any] = {"workflow": "ship", "context": {"order": 7}}
TASK = {"X-CloudTasks-TaskName": "t-1", "X-CloudTasks-QueueName": "orders"}


def read(body: Any, headers: dict[str, str] | None = None, kind: str = "workflow") -> Delivery:
    return read_delivery(kind, body, headers or {}, clock=ManualClock())


def test_a_task_name_is_one_run_however_often_it_comes() -> None:
    """Whatever its retry count, and in every process."""
    first = read(ASKED, TASK)
    again = read(ASKED, {**TASK, "X-CloudTasks-TaskRetryCount": "3"})

    assert first.message == again.message
    assert (first.attempt, again.attempt) == (0, 3)
    assert (first.sender, first.name) == ("cloud-tasks", "orders/t-1")
    assert first.message.run_id == derived_id("cloud-tasks", "orders", "t-1")


def test_names_of_different_senders_and_queues_are_different_runs() -> None:
    """And none can be written so that it reads like another."""
    ids = {
        read(ASKED, TASK).message.run_id,
        read(ASKED, {**TASK, "X-CloudTasks-QueueName": "others"}).message.run_id,
        read(ASKED, {"Idempotency-Key": "t-1"}).message.run_id,
        read(push(ASKED, "t-1")).message.run_id,
        read(push(ASKED, "t-2")).message.run_id,
        read({**push(ASKED, "t-1"), "subscription": "other"}).message.run_id,
    }

    assert len(ids) == 6
    assert {uuid.UUID(checked_id(each)).version for each in ids} == {7}


def test_a_push_is_one_run_of_the_time_it_was_published() -> None:
    """Its attributes and attempts say nothing of which."""
    first = read(push(ASKED))
    again = read({**push(ASKED, attributes={}), "deliveryAttempt": 4})

    assert first.message == again.message
    assert (first.attempt, again.attempt) == (0, 3)
    assert first.message.run_id.startswith("01a1fd8c-697b-7")
    assert first.message.given == {"order": 7}


def test_what_names_a_run_asks_for_that() -> None:
    """Whoever delivers it under whichever name."""
    named = {**ASKED, "run_id": "order-7"}

    assert read(named, TASK).message.run_id == "order-7"
    assert read(push(named)).message.run_id == "order-7"
    assert read(named).message.run_id == "order-7"


def test_what_has_no_name_at_all_asks_for_a_new_run() -> None:
    """As a person with curl does."""
    clock = ManualClock()
    ids = {read_delivery("workflow", ASKED, {}, clock=clock).message.run_id for _ in range(2)}

    assert len(ids) == 2


def test_the_run_tells_how_it_came() -> None:
    """By whom, and under which name."""
    message = read({**ASKED, "metadata": {"a": 1}}, TASK).by("ci")

    assert message.metadata == {
        "a": 1,
        "delivery": {"sender": "cloud-tasks", "name": "orders/t-1", "by": "ci"},
    }


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "text",
        {},
        {"workflow": 7},
        {"workflow": "a b"},
        {"workflow": "../x"},
        {**ASKED, "run_id": "no id"},
        {**ASKED, "run_id": 7},
        {**ASKED, "context": []},
        {**ASKED, "unknown": 1},
        {**ASKED, "task": "pick"},
        {"task": "pick", "payload": 1},
        {"message": None},
        {"message": {}},
        {"message": {"messageId": "1"}, "subscription": "s"},
        {"message": {"messageId": "", "data": ""}, "subscription": "s"},
        {"message": {"messageId": "1", "data": "e30="}},
        {"message": {"messageId": 7, "data": "e30="}, "subscription": "s"},
        {"message": {"messageId": "x" * 2_000, "data": "e30="}, "subscription": "s"},
        {"message": {"messageId": "1", "data": "e30"}, "subscription": "s"},
        {"message": {"messageId": "1", "data": "%%%%"}, "subscription": "s"},
        {"message": {"messageId": "1", "data": 7}, "subscription": "s"},
        push(b"not json"),
        push(b"[]"),
        push(b"[" * 10_000),
        push(b'{"workflow": "a", "workflow": "b"}'),
        push(push(ASKED)),
    ],
    ids=lambda body: str(body)[:60],
)
def test_what_is_no_message_is_refused(body: Any) -> None:
    """Whole, and as the sender's mistake."""
    with pytest.raises(InvalidError):
        read(body, TASK)


def test_defect_oneiric_h1_a_checkpoint_is_not_the_senders_to_give() -> None:
    """It would skip steps that nobody did."""
    for body in ({**ASKED, "checkpoint": {"pick": 1}}, push({**ASKED, "checkpoint": {}})):
        with pytest.raises(InvalidMessageError, match="checkpoint"):
            read(body, TASK)


@pytest.mark.parametrize(
    "told", [{"X-CloudTasks-TaskRetryCount": text} for text in ("", "-1", "x", "9" * 10_000)]
)
def test_counts_that_are_none_count_as_none(told: dict[str, str]) -> None:
    """They are for the log only."""
    assert read(ASKED, TASK | told).attempt == 0


@pytest.mark.parametrize("at", [None, 7, "", "yesterday", "0001-01-01T00:00:00Z", "9999-12-31"])
def test_a_push_without_a_proper_time_is_a_run_all_the_same(at: Any) -> None:
    """Its id is still an id."""
    assert checked_id(read(push(ASKED, publishTime=at)).message.run_id)
