"""Work to be done elsewhere, as a message in a queue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from oneiric.clock import ID, rfc3339
from oneiric.core.ref import ComponentRef
from oneiric.documents import parse
from oneiric.documents.model import validate_settings
from oneiric.errors import ConfigError, InvalidError, JSONValue, UnavailableError
from oneiric.text.names import is_name

if TYPE_CHECKING:
    from oneiric.core.lifecycle import LifecycleManager
    from oneiric.ports.queue import QueueProducer

KINDS = ("workflow", "task")
CATEGORY = "queue"
PUT_SECONDS = 30.0


class InvalidMessageError(InvalidError):
    """A message that asks for nothing that could be run."""

    code = "invalid-message"


@dataclass(frozen=True, slots=True)
class WorkMessage:
    """Ask for one run: of which workflow or task, or of an event, under which id, on what.

    `provider` is empty unless one was asked for. Whoever takes it gives the run this id, so
    that a message that is delivered twice runs once.
    """

    kind: str
    key: str
    run_id: str
    given: JSONValue = None
    provider: str = ""
    metadata: Mapping[str, JSONValue] | None = None
    queued_at: str = ""

    @property
    def name(self) -> str:
        """The name of the run's plan."""
        return f"{self.kind}:{self.key}"

    def as_json(self) -> dict[str, JSONValue]:
        """Return `{"workflow", "run_id", "workflow_provider", "context", "metadata", "queued_at"}`.

        For a task the names are `task`, `task_provider` and `payload`.
        """
        return {
            self.kind: self.key,
            "run_id": self.run_id,
            f"{self.kind}_provider": self.provider or None,
            "context" if self.kind == "workflow" else "payload": self.given,
            "metadata": dict(self.metadata or {}),
            "queued_at": self.queued_at,
        }


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    run_id: str | None = Field(default=None, pattern=f"^{ID}$")
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    queued_at: str = ""


class _SentWorkflow(_Sent):
    workflow: str
    workflow_provider: str | None = None
    context: dict[str, JsonValue] | None = None


class _SentTask(_Sent):
    task: str
    task_provider: str | None = None
    payload: JsonValue = None


def read_message(body: bytes | Mapping[str, JSONValue], *, run_id: str = "") -> WorkMessage:
    """Return what a message asks for, strictly: a checkpoint, say, is not the sender's to give.

    *run_id* is for a message that names none.

    Raises:
        InvalidMessageError: it is no such message, or names no run and none was given.
    """
    try:
        value = parse(body, "json", source="message") if isinstance(body, bytes) else body
        if not isinstance(value, Mapping):
            raise InvalidMessageError("a message is a table")
        kind = next((each for each in KINDS if each in value), "")
        if not kind:
            raise InvalidMessageError("it names no workflow and no task")
        model = _SentWorkflow if kind == "workflow" else _SentTask
        sent: Any = validate_settings(model, value, key="message", origin_of=str)
    except ConfigError as error:
        told = "; ".join(f"{each.key}: {each.what}" for each in error.problems)
        raise InvalidMessageError(told) from None
    key, provider = getattr(sent, kind), getattr(sent, f"{kind}_provider") or ""
    for name in filter(None, (key, provider)):
        if not is_name(name):
            raise InvalidMessageError(f"{name!r} is no name")
    run_id = sent.run_id or run_id
    if not run_id:
        raise InvalidMessageError("it names no run_id, so delivered twice it would run twice")
    given = (sent.context or {}) if kind == "workflow" else sent.payload
    return WorkMessage(kind, key, run_id, given, provider, sent.metadata, sent.queued_at)


@dataclass(frozen=True, slots=True)
class Enqueued:
    """A message that is in a queue: which, and by whose id there."""

    message: WorkMessage
    message_id: str
    queue_category: str
    queue_provider: str

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.enqueue/1`, with the key under `workflow` or `task`."""
        return {
            "schema": "oneiric.enqueue/1",
            self.message.kind: self.message.key,
            "run_id": self.message.run_id,
            "task_name": self.message_id,
            "queue_category": self.queue_category,
            "queue_provider": self.queue_provider,
            "queued_at": self.message.queued_at,
        }


async def put(
    lifecycle: LifecycleManager, message: WorkMessage, *, category: str = "", provider: str = ""
) -> Enqueued:
    """Put a message into the queue `adapter:CATEGORY`, whichever provider serves it.

    Where the provider can (`dedup`), the run's id keeps a second message for it out.

    Raises:
        NoCandidateError, UnknownSelectionError: there is no such queue.
        UnavailableError: it did not take the message.
    """
    ref: ComponentRef[QueueProducer] = ComponentRef(f"adapter:{category or CATEGORY}")
    handle = lifecycle.use(ref, provider=provider)
    async with handle as queue:
        candidate = handle.candidate
        assert candidate is not None
        once = message.run_id if "dedup" in candidate.capabilities else None
        function = partial(queue.enqueue, message.as_json(), dedup_id=once)
        outcome = await lifecycle.builder.guard.call(function, limit=PUT_SECONDS)
        if outcome.timed_out:
            raise UnavailableError(f"{candidate.offer} {outcome.reason}")
        if outcome.error is not None:
            raise outcome.error
        return Enqueued(message, str(outcome.value), ref.key, candidate.provider)


def message_of(
    lifecycle: LifecycleManager,
    kind: str,
    ref: ComponentRef[object],
    given: JSONValue,
    metadata: Mapping[str, JSONValue] | None,
) -> WorkMessage:
    """Return a new message, with the id of the run to come."""
    clock = lifecycle.clock
    at = rfc3339(clock.now())
    return WorkMessage(kind, ref.key, clock.new_id(), given, ref.provider, metadata, at)
