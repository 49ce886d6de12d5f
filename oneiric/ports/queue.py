"""Hand messages to whoever works on them, at least once each."""

import json
import math
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from oneiric.core.ref import ComponentRef
from oneiric.errors import JSONValue
from oneiric.ports.adapter import Adapter
from oneiric.ports.errors import InvalidRequestError

BODY_LIMIT = 4 * 1024 * 1024
"""The most bytes a body may have."""

HEADERS_LIMIT = 64 * 1024
COUNT_LIMIT = 1_000
POLL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """A message as it was delivered.

    `delivery_count` is 1 the first time; `key` groups messages that keep their order.
    `receipt` names this delivery to the provider, and says nothing to anybody else.
    """

    id: str
    body: bytes
    headers: Mapping[str, str]
    key: str | None
    delivery_count: int
    receipt: str


class QueueProducer(Adapter, Protocol):
    """Put messages into a queue; what was put is kept until somebody acknowledged it.

    `headers` come back as they were. Messages of one `key` are delivered in the order in
    which they were put, one at a time, where the capability `ordered` is announced; `delay`
    is seconds and needs `delay`; of several messages with one `dedup_id` within the
    provider's window one is kept, and all get its id, where `dedup` is announced.

    Every call may raise `InvalidRequestError` (no queue takes this), `NotSupportedError`
    (this one lacks the capability) and `UnavailableError`.
    """

    async def enqueue(
        self,
        payload: Mapping[str, JSONValue],
        *,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
        delay: float | None = None,
        dedup_id: str | None = None,
    ) -> str:
        """Put *payload* as JSON and return the message's id."""
        ...

    async def publish(
        self,
        body: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
        delay: float | None = None,
        dedup_id: str | None = None,
    ) -> str:
        """Put *body* as it is and return the message's id."""
        ...


class QueueConsumer(Adapter, Protocol):
    """Take messages, and say what became of them.

    A delivered message belongs to its reader for the time that `visibility` tells; then,
    or when it is given back, it is delivered again with a higher `delivery_count`. A delivery
    that was superseded can no longer be acknowledged: `ack`, `nack` and `extend` count only
    what they did.
    """

    async def read(self, *, count: int = 1, timeout: float = 0) -> list[QueueMessage]:
        """Return up to *count* messages; wait at most *timeout* seconds for the first."""
        ...

    async def ack(self, *messages: QueueMessage) -> int:
        """Forget messages whose work is done, and return how many were."""
        ...

    async def nack(self, *messages: QueueMessage, requeue: bool = True) -> int:
        """Give messages back to be delivered at once, or set them aside for good."""
        ...

    async def extend(self, *messages: QueueMessage) -> int:
        """Keep messages for another `visibility` from now, as work goes on."""
        ...

    async def visibility(self) -> float:
        """Return the seconds for which a message that is delivered now belongs to its reader."""
        ...

    async def pending(self) -> int:
        """Return how many messages wait or are being worked on; those set aside do not count."""
        ...

    def subscribe(self, *, prefetch: int = 1) -> AsyncIterator[QueueMessage]:
        """Yield messages as they come, reading up to *prefetch* at a time, without end."""
        ...


class Queue(QueueProducer, QueueConsumer, Protocol):
    """A queue that can be filled and emptied; what our own providers are."""


QUEUE: ComponentRef[Queue] = ComponentRef("adapter:queue")


async def subscription(queue: QueueConsumer, prefetch: int) -> AsyncIterator[QueueMessage]:
    """Yield what *queue* delivers, without end: what `subscribe` is made of."""
    while True:
        for message in await queue.read(count=prefetch, timeout=POLL_SECONDS):
            yield message


def pack_payload(payload: object) -> bytes:
    """Write a payload as JSON.

    Raises:
        InvalidRequestError: it is no JSON object; no value is shown.
    """
    if not isinstance(payload, Mapping):
        raise InvalidRequestError("queue", f"a payload is a table, not {type(payload).__name__}")
    try:
        return json.dumps(dict(payload), separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        raise InvalidRequestError("queue", "a payload holds what JSON cannot say") from None


def pack_headers(headers: Mapping[str, str] | None) -> str:
    """Write headers as JSON text.

    Raises:
        InvalidRequestError: they are not texts by name, or too many.
    """
    found = dict(headers or {})
    if not all(isinstance(each, str) for pair in found.items() for each in pair):
        raise InvalidRequestError("queue", "headers are texts by name")
    packed = json.dumps(found, separators=(",", ":"))
    if len(packed) > HEADERS_LIMIT:
        raise InvalidRequestError("queue", f"headers are more than {HEADERS_LIMIT} bytes")
    return packed


def unpack_headers(text: str | bytes) -> dict[str, str] | None:
    """Read headers back, or None where somebody else wrote what is none.

    >>> unpack_headers(pack_headers({"a": "b"})), unpack_headers(b"[1]")
    ({'a': 'b'}, None)
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        return None
    return found


def check_body(body: object) -> bytes:
    """Return *body* if every queue takes it.

    Raises:
        InvalidRequestError: it is not bytes, or too long.
    """
    if not isinstance(body, bytes):
        raise InvalidRequestError("queue", f"a body is bytes, not {type(body).__name__}")
    if len(body) > BODY_LIMIT:
        raise InvalidRequestError("queue", f"a body of {len(body)} bytes, {BODY_LIMIT} allowed")
    return body


def check_name(what: str, name: object) -> str | None:
    """Return *name* if it is None, or text that every queue takes as a key or dedup id.

    Raises:
        InvalidRequestError: it is empty, too long, or cannot be written as UTF-8.
    """
    if name is None:
        return None
    if not isinstance(name, str) or not 0 < len(name) <= 500 or not name.isprintable():
        raise InvalidRequestError("queue", f"a {what} is 1 to 500 printable characters")
    return name


def check_delay(delay: object) -> float:
    """Return *delay* in seconds, 0 for None.

    Raises:
        InvalidRequestError: it is negative or not finite.
    """
    if delay is None:
        return 0.0
    if isinstance(delay, int | float) and 0 <= delay < math.inf:
        return float(delay)
    raise InvalidRequestError("queue", f"a delay is seconds from zero, not {delay!r}")


def check_count(count: object) -> int:
    """Return *count* if so many messages can be read at once.

    Raises:
        InvalidRequestError: it is below 1 or above 1,000.
    """
    if isinstance(count, int) and 1 <= count <= COUNT_LIMIT:
        return count
    raise InvalidRequestError("queue", f"1 to {COUNT_LIMIT} messages can be read, not {count!r}")
