"""Every queue keeps what the port `Queue` promises."""

import asyncio
from typing import Any

import pytest

from oneiric.ports import AdapterError, InvalidRequestError, NotSupportedError, Queue, QueueMessage
from tests.contract.cases import Find, ProviderCase, Surroundings, for_each

pytestmark = for_each("queue")


@pytest.fixture
async def queue(case: ProviderCase, component: Find) -> Queue:
    """The queue of the case, with nothing in it."""
    found: Queue = await component(case.offer)
    return found


async def one(queue: Queue) -> QueueMessage:
    [message] = await queue.read(timeout=5)
    return message


async def test_bodies_and_headers_come_back_as_they_were(queue: Queue) -> None:
    """Bytes as bytes, a payload as its JSON, headers and key beside them."""
    first = await queue.publish(b"\x00\xff", headers={"a": "é\n"}, key="k")
    second = await queue.enqueue({"n": [1, None, "é"]})
    messages = [*await queue.read(count=10), *await queue.read(count=10)]

    assert [each.id for each in messages] == [first, second]
    assert messages[0].body == b"\x00\xff"
    assert (messages[0].headers, messages[0].key) == ({"a": "é\n"}, "k")
    assert messages[1].body == b'{"n":[1,null,"\\u00e9"]}'
    assert (messages[1].headers, messages[1].key, messages[1].delivery_count) == ({}, None, 1)


async def test_what_was_acknowledged_is_gone(queue: Queue) -> None:
    """Once each, and only by the delivery that holds it."""
    await queue.publish(b"1")
    message = await one(queue)
    assert await queue.pending() == 1

    assert await queue.ack(message) == 1
    assert await queue.ack(message) == 0
    assert await queue.nack(message) == 0
    assert await queue.pending() == 0
    assert await queue.read() == []


async def test_what_is_given_back_comes_again_at_once(queue: Queue) -> None:
    """With a higher count; the earlier delivery can no longer settle it."""
    await queue.publish(b"1")
    first = await one(queue)
    assert await queue.nack(first) == 1
    again = await one(queue)

    assert (again.id, again.delivery_count) == (first.id, 2)
    assert await queue.ack(first) == 0
    assert await queue.nack(first) == 0
    assert await queue.ack(again) == 1


async def test_what_is_set_aside_comes_no_more(queue: Queue) -> None:
    """It neither waits nor counts."""
    await queue.publish(b"1")
    assert await queue.nack(await one(queue), requeue=False) == 1

    assert await queue.read() == []
    assert await queue.pending() == 0


async def test_a_silent_readers_message_goes_to_another(
    case: ProviderCase, here: Surroundings, component: Find
) -> None:
    """After the visibility timeout, unless the reader says that work goes on."""
    here.changes[case.offer] = {"visibility_timeout": 0.4}
    queue: Queue = await component(case.offer)
    assert await queue.visibility() == 0.4
    await queue.publish(b"1")
    first = await one(queue)
    await asyncio.sleep(0.25)
    assert await queue.extend(first) == 1
    await asyncio.sleep(0.25)
    assert await queue.read() == []

    again = await one(queue)
    assert (again.body, again.delivery_count) == (b"1", 2)
    assert await queue.ack(first) == 0
    assert await queue.extend(first) == 0
    assert await queue.ack(again) == 1


async def test_an_empty_read_takes_as_long_as_it_was_told(queue: Queue) -> None:
    """No time without a timeout, about the timeout otherwise."""
    clock = asyncio.get_running_loop().time
    start = clock()
    assert await queue.read() == []
    at_once = clock() - start
    assert await queue.read(timeout=0.3) == []

    assert at_once < 0.25
    assert 0.25 < clock() - start < 2


async def test_a_waiting_reader_is_woken(queue: Queue) -> None:
    """A message that is put while somebody reads is delivered without delay."""
    reader = asyncio.create_task(queue.read(timeout=30))
    await asyncio.sleep(0.05)
    await queue.publish(b"1")
    [message] = await asyncio.wait_for(reader, 5)

    assert message.body == b"1"


async def test_each_message_goes_to_one_of_many_readers(queue: Queue) -> None:
    """A hundred messages and eight readers: each delivered once."""
    put = [await queue.publish(str(number).encode()) for number in range(100)]

    async def reader() -> list[str]:
        found = []
        while messages := await queue.read(count=5, timeout=0.2):
            found += [each.id for each in messages]
            await queue.ack(*messages)
        return found

    found = await asyncio.gather(*(reader() for _ in range(8)))
    assert sorted(id_ for each in found for id_ in each) == sorted(put)


async def test_subscribe_yields_what_comes(queue: Queue) -> None:
    """Without end, until the caller leaves."""
    await queue.publish(b"1")
    await queue.publish(b"2")
    seen = []
    async for message in queue.subscribe(prefetch=2):
        seen.append(message.body)
        await queue.ack(message)
        if len(seen) == 2:
            break

    assert seen == [b"1", b"2"]
    assert await queue.pending() == 0


async def test_capability_dedup(queue: Queue) -> None:
    """Of messages with one dedup id one is kept, also when it was worked on meanwhile."""
    if "dedup" not in queue.capabilities:
        with pytest.raises(NotSupportedError):
            await queue.publish(b"1", dedup_id="d")
        return
    ids = await asyncio.gather(*(queue.publish(b"1", dedup_id="d") for _ in range(5)))
    other = await queue.publish(b"2", dedup_id="e")
    assert len({*ids, other}) == 2
    messages = await queue.read(count=10)
    await queue.ack(*messages)

    assert sorted(each.body for each in messages) == [b"1", b"2"]
    assert await queue.publish(b"1", dedup_id="d") == ids[0]
    assert await queue.read() == []


async def test_capability_delay(queue: Queue) -> None:
    """A delayed message is delivered once its time has come, and not before."""
    if "delay" not in queue.capabilities:
        with pytest.raises(NotSupportedError):
            await queue.publish(b"1", delay=1)
        return
    await queue.publish(b"later", delay=0.3)
    await queue.publish(b"now")
    assert [each.body for each in await queue.read(count=5)] == [b"now"]
    assert (await one(queue)).body == b"later"


async def test_capability_ordered(queue: Queue) -> None:
    """Messages of a key come in order, one at a time; those of other keys do not wait."""
    if "ordered" not in queue.capabilities:
        return
    for body, key in ((b"a1", "a"), (b"a2", "a"), (b"b1", "b"), (b"free", None)):
        await queue.publish(body, key=key)
    first = await queue.read(count=10)
    assert [each.body for each in first] == [b"a1", b"b1", b"free"]
    assert await queue.read() == []
    await queue.nack(first[0])
    assert (await one(queue)).body == b"a1"
    again = await queue.read(count=10)
    assert again == []


@pytest.mark.parametrize(
    "call",
    [
        lambda queue: queue.publish("text"),
        lambda queue: queue.publish(b"x" * (4 * 1024 * 1024 + 1)),
        lambda queue: queue.publish(b"", key=""),
        lambda queue: queue.publish(b"", dedup_id="x" * 501),
        lambda queue: queue.publish(b"", delay=-1),
        lambda queue: queue.publish(b"", headers={"a": 1}),
        lambda queue: queue.publish(b"", headers={"a": "x" * 70_000}),
        lambda queue: queue.enqueue([1]),
        lambda queue: queue.enqueue({"a": object()}),
        lambda queue: queue.enqueue({"a": float("nan")}),
        lambda queue: queue.read(count=0),
        lambda queue: queue.read(count=10**6),
        lambda queue: queue.read(timeout=-1),
    ],
)
async def test_what_no_queue_takes_is_refused(queue: Queue, call: Any) -> None:
    """Every provider refuses the same, and nothing is put."""
    with pytest.raises(InvalidRequestError) as caught:
        await call(queue)

    assert isinstance(caught.value, AdapterError)
    assert await queue.pending() == 0
