"""Work that is pushed to us over HTTP: each form of it, and the one run that it asks for."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from oneiric.clock import uuid7
from oneiric.documents import parse
from oneiric.domains.events import Event
from oneiric.domains.events.runs import DISPATCH
from oneiric.domains.messages import InvalidMessageError, WorkMessage, read_message
from oneiric.errors import JSONValue

if TYPE_CHECKING:
    from oneiric.clock import Clock

_JSON = "application/json"
CLOUD_TASKS, PUB_SUB, HTTP = "cloud-tasks", "pub-sub", "http"
_LONGEST_NAME = 1_024
_COUNT = re.compile(r"\d{1,9}")


@dataclass(frozen=True, slots=True)
class Delivery:
    """What was pushed: the run that it asks for, and who calls the delivery what.

    `name` is the sender's own, the same however often it is delivered, and empty where it has
    none; `attempt` counts the deliveries before this one, as far as the sender tells.
    """

    message: WorkMessage
    sender: str
    name: str = ""
    attempt: int = 0

    def by(self, subject: str) -> WorkMessage:
        """Return the message, whose run will tell how it came, and from whom."""
        came: dict[str, JSONValue] = {"sender": self.sender, "name": self.name, "by": subject}
        return replace(self.message, metadata={**(self.message.metadata or {}), "delivery": came})


def read_delivery(
    kind: str, body: JSONValue, headers: Mapping[str, str], *, clock: Clock
) -> Delivery:
    """Return what a request asks for, strictly.

    The body is `{"workflow" or "task", "run_id", …}`, or a Pub/Sub push whose data is that. Where
    it names no run, the run's id follows from the task name, the message id or the
    `Idempotency-Key`, so that a repeated delivery asks for the same run in every process; a
    request that has none of these asks for a new one.

    Raises:
        InvalidMessageError, DocumentError: it is no such request.
    """
    sent = _sent(body, headers)
    content = sent.content if sent.push is None else _table(_parsed(_data(sent.push)))
    message = read_message(content, run_id=sent.run_id or clock.new_id())
    if message.kind != kind:
        raise InvalidMessageError(f"here a {kind} can be asked for, not a {message.kind}")
    return Delivery(message, sent.sender, sent.name, sent.attempt)


def read_event(body: JSONValue, headers: Mapping[str, str]) -> Delivery:
    """Return the event that a request tells, strictly, as what one run is to dispatch.

    The body is the event in the JSON format of CloudEvents, or a Pub/Sub push: of that, or of
    data beside attributes such as `ce-type`, where message id and subscription stand for an id
    and a source that are not told. The run's id follows from the names of the delivery as for
    `read_delivery`, and without any from the event's source and id.

    Raises:
        InvalidError, DocumentError: it is no such request.

    Source: CloudEvents 1.0.2, and its Pub/Sub protocol binding.
    """
    sent = _sent(body, headers)
    event = Event.from_json(sent.content) if sent.push is None else _event_of(sent)
    run_id = sent.run_id or derived_id("event", event.source, event.id)
    kind, _, key = DISPATCH.partition(":")
    message = WorkMessage(kind, key, run_id, event.as_json())
    return Delivery(message, sent.sender, sent.name, sent.attempt)


@dataclass(frozen=True, slots=True)
class _Sent:
    """What came, and by which name: `run_id` follows from that, and is empty without one."""

    content: Mapping[str, JSONValue]
    sender: str = HTTP
    name: str = ""
    run_id: str = ""
    attempt: int = 0
    push: Mapping[str, JSONValue] | None = None


def _sent(body: JSONValue, headers: Mapping[str, str]) -> _Sent:
    content = _table(body)
    if "message" in content:
        return _pushed(content)
    task = headers.get("X-CloudTasks-TaskName", "")
    if task:
        queue = headers.get("X-CloudTasks-QueueName", "")
        run_id = derived_id(CLOUD_TASKS, _name("queue", queue), _name("task", task))
        count = _count(headers.get("X-CloudTasks-TaskRetryCount", ""))
        return _Sent(content, CLOUD_TASKS, f"{queue}/{task}", run_id, count)
    if key := headers.get("Idempotency-Key", ""):
        return _Sent(content, HTTP, key, derived_id(HTTP, _name("key", key)))
    return _Sent(content)


def _table(value: JSONValue) -> Mapping[str, JSONValue]:
    if not isinstance(value, Mapping):
        raise InvalidMessageError("a message is a table")
    return value


def derived_id(*names: str, at: datetime | None = None) -> str:
    """Return the id of the run that a delivery of these names asks for: the same everywhere.

    It is a UUIDv7 of the time that the sender gives, and sorts before all others without one.

    >>> derived_id("cloud-tasks", "orders", "1")
    '00000000-0000-7c4c-8210-d3037d37deb6'
    """
    digest = hashlib.sha256("\0".join(names).encode(errors="backslashreplace")).digest()
    milliseconds = max(0, int(at.timestamp() * 1000)) if at is not None else 0
    ticks = milliseconds << 12 | int.from_bytes(digest[8:10]) >> 4
    return uuid7(ticks, int.from_bytes(digest[:8]) >> 2)


def _pushed(body: Mapping[str, JSONValue]) -> _Sent:
    """Return what a Pub/Sub push brings; subscription and message id are its name."""
    message = body["message"]
    if not isinstance(message, Mapping):
        raise InvalidMessageError("the message of a push is a table")
    subscription = _name("subscription", body.get("subscription"))
    told = message.get("messageId", message.get("message_id"))
    message_id = _name("message id", told)
    at = _moment(message.get("publishTime", message.get("publish_time")))
    run_id = derived_id(PUB_SUB, subscription, message_id, at=at)
    attempt = body.get("deliveryAttempt")
    attempt = max(0, attempt - 1) if isinstance(attempt, int) else 0
    return _Sent(body, PUB_SUB, f"{subscription}/{message_id}", run_id, attempt, message)


def _data(message: Mapping[str, JSONValue]) -> bytes:
    data = message.get("data")
    if not isinstance(data, str):
        raise InvalidMessageError("the message of a push has data, in base64")
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidMessageError("the data of a push is not base64") from None


def _parsed(data: bytes) -> JSONValue:
    return parse(data, "json", source="message.data")


def _event_of(sent: _Sent) -> Event:
    """Return the event of a push: as its attributes say, or as its data does without a type."""
    assert sent.push is not None
    attributes = sent.push.get("attributes") or {}
    if not isinstance(attributes, Mapping):
        raise InvalidMessageError("the attributes of a message are a table")
    if "ce-type" not in attributes:
        found = _table(_parsed(_data(sent.push)))
        if "specversion" not in found:
            hint = "push an event in the JSON format of CloudEvents, or with an attribute ce-type"
            raise InvalidMessageError("the message is no event", hint=hint)
        return Event.from_json(found)
    subscription, _, message_id = sent.name.rpartition("/")
    told: dict[str, JSONValue] = {"specversion": "1.0", "id": message_id}
    told["source"] = f"//pubsub.googleapis.com/{subscription}"
    told |= {name[3:]: text for name, text in attributes.items() if name.startswith("ce-")}
    kind = attributes.get("content-type", attributes.get("Content-Type", _JSON))
    told["datacontenttype"] = kind
    if not sent.push.get("data"):  # what is empty is left out, or told as empty
        return Event.from_json(told)
    if str(kind).partition(";")[0].strip().endswith("json"):
        return Event.from_json({**told, "data": _parsed(_data(sent.push))})
    return Event.from_json({**told, "data_base64": sent.push["data"]})


def _name(what: str, text: JSONValue) -> str:
    if not isinstance(text, str) or not 0 < len(text) <= _LONGEST_NAME:
        raise InvalidMessageError(f"its {what} is text, of up to {_LONGEST_NAME} characters")
    return text


def _count(text: str) -> int:
    return int(text) if _COUNT.fullmatch(text) else 0


def _moment(text: JSONValue) -> datetime | None:
    """Return the time that RFC 3339 text tells, or None for anything else."""
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
