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
from oneiric.domains.messages import InvalidMessageError, WorkMessage, read_message
from oneiric.errors import JSONValue

if TYPE_CHECKING:
    from oneiric.clock import Clock

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
    if not isinstance(body, Mapping):
        raise InvalidMessageError("a message is a table")
    if "message" in body:
        return _pushed(kind, body)
    task = headers.get("X-CloudTasks-TaskName", "")
    if task:
        queue = headers.get("X-CloudTasks-QueueName", "")
        run_id = derived_id(CLOUD_TASKS, _name("queue", queue), _name("task", task))
        count = _count(headers.get("X-CloudTasks-TaskRetryCount", ""))
        return Delivery(_asked(kind, body, run_id), CLOUD_TASKS, f"{queue}/{task}", count)
    if key := headers.get("Idempotency-Key", ""):
        return Delivery(_asked(kind, body, derived_id(HTTP, _name("key", key))), HTTP, key)
    return Delivery(_asked(kind, body, clock.new_id()), HTTP)


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


def _pushed(kind: str, body: Mapping[str, JSONValue]) -> Delivery:
    """Return what a Pub/Sub push asks for; subscription and message id are its name."""
    message = body["message"]
    if not isinstance(message, Mapping):
        raise InvalidMessageError("the message of a push is a table")
    subscription = _name("subscription", body.get("subscription"))
    told = message.get("messageId", message.get("message_id"))
    message_id = _name("message id", told)
    at = _moment(message.get("publishTime", message.get("publish_time")))
    asked = _asked(kind, _data(message), derived_id(PUB_SUB, subscription, message_id, at=at))
    attempt = body.get("deliveryAttempt")
    attempt = attempt if isinstance(attempt, int) else 0
    return Delivery(asked, PUB_SUB, f"{subscription}/{message_id}", max(0, attempt - 1))


def _data(message: Mapping[str, JSONValue]) -> Mapping[str, JSONValue]:
    data = message.get("data")
    if not isinstance(data, str):
        raise InvalidMessageError("the message of a push has data, in base64")
    try:
        text = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidMessageError("the data of a push is not base64") from None
    found = parse(text, "json", source="message.data")
    if not isinstance(found, Mapping):
        raise InvalidMessageError("a message is a table")
    return found


def _asked(kind: str, body: Mapping[str, JSONValue], run_id: str) -> WorkMessage:
    message = read_message(body, run_id=run_id)
    if message.kind != kind:
        raise InvalidMessageError(f"here a {kind} can be asked for, not a {message.kind}")
    return message


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
