"""Send what `workflow.notify` gave to people, and keep what could not be sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from functools import partial
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast, get_args

from oneiric.clock import rfc3339
from oneiric.core.guard import Outcome, attempt
from oneiric.domains.events import Event, HandlerOutcome, HandlerResult, Replay
from oneiric.errors import InvalidError, JSONValue, OneiricError, PausedError
from oneiric.ports.dead_letters import DeadLetter
from oneiric.ports.messaging import MessageLevel, NotificationMessage, SendResult
from oneiric.runtime.notification_route import NotificationRoute
from oneiric.stores.dead_letters import DeadLetterStore

if TYPE_CHECKING:
    from oneiric.domains.bridge import DomainBridge
    from oneiric.ports.dead_letters import DeadLetters
    from oneiric.runtime.orchestrator import RuntimeOrchestrator

__all__ = ["NotificationMessage", "NotificationOutcome", "NotificationRoute", "NotificationRouter"]

TOPIC = "oneiric.notification"
SEND_SECONDS = 300.0
MARGIN_SECONDS = 60.0
OWED = "owed"
_NOTHING: Mapping[str, JSONValue] = MappingProxyType({})
ANYWHERE = "default"
"""The channel of a payload that names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationOutcome:
    """What came of one route: sent by whom under which id, or why not and where it is kept.

    `letter` is the id of the dead letter that keeps it; empty where nothing is to be kept.
    """

    ref: str
    target: str = ""
    title: str = ""
    provider: str = ""
    message_id: str = ""
    code: str = ""
    error: str = ""
    letter: str = ""

    @property
    def success(self) -> bool:
        """Whether the receiver took it."""
        return not self.code

    def as_json(self) -> dict[str, JSONValue]:
        """Return every field; what is empty is null, but for target and title."""
        return {
            "ref": self.ref,
            "target": self.target,
            "title": self.title,
            "success": self.success,
            "provider": self.provider or None,
            "message_id": self.message_id or None,
            "code": self.code or None,
            "error": self.error or None,
            "dead_letter": self.letter or None,
        }


class NotificationRouter:
    """Turn what `workflow.notify` gave into messages, and send each by its routes.

    What no receiver took becomes a dead letter, `oneiric.notification`, and can be replayed as
    the same message, id included. One route that fails holds up no other.

    Args:
        bridge: the way into the adapters.
        letters: where messages are kept that could not be sent.
    """

    def __init__(self, bridge: DomainBridge, *, letters: DeadLetters) -> None:
        self._lifecycle = bridge.lifecycle
        self._clock = bridge.lifecycle.clock
        self._guard = bridge.lifecycle.builder.guard
        self._letters = letters

    def message(
        self,
        record: JSONValue,
        route: NotificationRoute,
        *,
        workflow: str = "",
        message_id: str = "",
    ) -> NotificationMessage:
        """Return what goes out by *route* of a result of `workflow.notify`.

        Its id is new, or *message_id*.

        Raises:
            InvalidError: there is no message in it, or one beyond a limit.
        """
        if not isinstance(record, Mapping) or not isinstance(record.get("message"), str):
            raise InvalidError("the action gave no message to send")
        level = record.get("level")
        context = record.get("context")
        facts = dict(context) if route.include_context and isinstance(context, Mapping) else {}
        if recipients := record.get("recipients"):
            facts["recipients"] = recipients
        return NotificationMessage(
            id=message_id or self._clock.new_id(),
            text=str(record["message"]),
            title=route.title or workflow,
            target=route.target_for(_channel(record)),
            level=cast("MessageLevel", level) if level in get_args(MessageLevel) else "info",
            context=facts,
            extra_payload=route.extra_payload,
            at=rfc3339(self._clock.now()),
        )

    async def send(
        self,
        record: JSONValue,
        route: NotificationRoute,
        *,
        workflow: str = "",
        message_id: str = "",
    ) -> NotificationOutcome:
        """Send what `workflow.notify` gave by one route, and tell what came of it; never raise.

        A message that is sent again under its *message_id* takes the place of its dead letter.
        """
        told = NotificationOutcome(ref=f"{route.adapter_key}@{route.provider}")
        try:
            told = replace(told, ref=str(route.ref))
            message = self.message(record, route, workflow=workflow, message_id=message_id)
        except OneiricError as error:
            return replace(told, code=error.code, error=error.message)
        told = await self.deliver(message, told.ref)
        if told.success and message_id:
            await self._guard.call(partial(self._letters.remove, message_id), limit=MARGIN_SECONDS)
        return told

    async def deliver(
        self, message: NotificationMessage, ref: str, *, limit: float = SEND_SECONDS
    ) -> NotificationOutcome:
        """Send a message through *ref* within *limit* seconds, and keep it if it is not taken."""
        sent = await self._sent(message, ref, limit)
        told = _told(_about(message, ref), sent)
        return told if told.success else await self._kept(message, told, sent)

    async def send_all(
        self,
        record: JSONValue,
        routes: Iterable[NotificationRoute],
        *,
        workflow: str = "",
        key: str = "",
    ) -> tuple[NotificationOutcome, ...]:
        """Send it by all routes at once, and tell what came of each, in their order.

        With a *key* the id of each message follows from it and the number of its route.
        """
        listed = tuple(routes)
        ids = [f"{key}-{n}" if key else "" for n in range(len(listed))]
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self.send(record, route, workflow=workflow, message_id=id_))
                for route, id_ in zip(listed, ids, strict=True)
            ]
        return tuple(task.result() for task in tasks)

    async def owe(
        self, message: NotificationMessage, route: NotificationRoute, about: Mapping[str, JSONValue]
    ) -> DeadLetter:
        """Keep a message that shall be sent when something has come true, and return its letter.

        What it is *about* are extensions of its event.

        Raises:
            InvalidRefError: the route names nobody.
            UnavailableError: it is not kept.
        """
        letter = self._letter(message, str(route.ref), reason=OWED, about=about)
        await self._letters.add(letter)
        return letter

    async def owed(self) -> list[DeadLetter]:
        """Return the messages that were to be sent and that nobody is sending.

        Raises:
            UnavailableError: the letters cannot be read.
        """
        now = rfc3339(self._clock.now())
        return [
            letter
            for letter in await self._letters.letters()
            if letter.reason == OWED and is_notification(letter) and letter.claimed_until <= now
        ]

    async def settle(self, letter: DeadLetter, *, limit: float) -> NotificationOutcome | None:
        """Send a message that is owed, and tell what came of it; None where somebody else does.

        Not sent, it stays a dead letter, and is nobody's debt any more.

        Raises:
            UnavailableError: the letters cannot be changed.
        """
        read = attempt(partial(_message, letter))
        if read.value is None:
            return None
        tried = await self._tried(letter, read.value, limit)
        if tried is None:
            return None
        told = _told(_about(read.value, letter.handler), tried[1])
        return told if told.success else replace(told, letter=letter.id)

    async def drop(self, letter: DeadLetter) -> None:
        """Forget a message that is owed no more.

        Raises:
            UnavailableError: the letters cannot be changed.
        """
        await self._letters.remove(letter.id)

    async def replay(self, letter_id: str = "") -> list[Replay]:
        """Send the message of one dead letter again, or of all that are messages.

        A letter goes when its message was taken, and stays with the new error when not; a
        letter of something else is left alone.

        Raises:
            UnavailableError: the letters cannot be read or changed.
        """
        found = [
            letter
            for letter in await self._letters.letters()
            if is_notification(letter) and letter_id in ("", letter.id)
        ]
        return [await self._replayed(letter) for letter in found]

    async def _sent(
        self, message: NotificationMessage, ref: str, limit: float = SEND_SECONDS
    ) -> Outcome[object]:
        async def send() -> SendResult:
            handle = self._lifecycle.use(ref)
            async with handle as messenger:
                result = await messenger.send_notification(message)
                provider = handle.provider
            found = result.message_id if isinstance(result, SendResult) else message.id
            return SendResult(message_id=found, provider=provider)

        return await self._guard.call(send, limit=limit)

    async def _kept(
        self, message: NotificationMessage, told: NotificationOutcome, sent: Outcome[object]
    ) -> NotificationOutcome:
        letter = self._letter(message, told.ref, reason=str(_meaning(sent)), error=told.error)
        kept = await self._guard.call(partial(self._letters.add, letter), limit=MARGIN_SECONDS)
        if kept.error is None:
            return replace(told, letter=letter.id)
        return replace(told, error=f"{told.error}; its dead letter was not kept: {kept.reason}")

    def _letter(
        self,
        message: NotificationMessage,
        ref: str,
        *,
        reason: str,
        error: str = "",
        about: Mapping[str, JSONValue] = _NOTHING,
    ) -> DeadLetter:
        """Return a letter that keeps *message*, under the same id."""
        return DeadLetter(
            id=message.id,
            handler=ref,
            event=_event(message, about).as_json(),
            reason=reason,
            error=error,
            attempts=0 if reason == OWED else 1,
            at=rfc3339(self._clock.now()),
        )

    async def _replayed(self, letter: DeadLetter) -> Replay:
        read = attempt(partial(_message, letter))
        if read.value is None:
            return Replay(letter, problem=f"its message cannot be read: {read.reason}")
        began = perf_counter()
        tried = await self._tried(letter, read.value, SEND_SECONDS)
        if tried is None:
            return Replay(letter, problem="it is being replayed, or was")
        claimed, sent = tried
        took, meaning = (perf_counter() - began) * 1e3, _meaning(sent)
        if sent.error is None:
            value = asdict(cast("SendResult", sent.value))
            return Replay(claimed, (HandlerResult(letter.handler, meaning, value, "", 1, took),))
        told = HandlerResult(letter.handler, meaning, None, _reason(sent), 1, took)
        return Replay(claimed, (told,))

    async def _tried(
        self, letter: DeadLetter, message: NotificationMessage, limit: float
    ) -> tuple[DeadLetter, Outcome[object]] | None:
        """Claim a letter and send its message; it goes, or stays with the new error."""
        now = self._clock.now()
        until = now + timedelta(seconds=limit + MARGIN_SECONDS)
        claimed = await self._letters.claim(letter.id, now=rfc3339(now), until=rfc3339(until))
        if claimed is None:
            return None
        sent = await self._sent(message, letter.handler, limit)
        if sent.error is None:
            await self._letters.remove(letter.id)
        else:
            reason, attempts = str(_meaning(sent)), claimed.attempts + 1
            kept = replace(claimed, reason=reason, error=_reason(sent), attempts=attempts)
            await self._letters.add(kept)
        return claimed, sent


def router_of(runtime: RuntimeOrchestrator) -> NotificationRouter:
    """Return the router to the adapters that *runtime* has."""
    letters = DeadLetterStore(runtime.paths.database)
    return NotificationRouter(runtime.bridges["adapter"], letters=letters)


def is_notification(letter: DeadLetter) -> bool:
    """Tell whether a dead letter keeps a message for people, not an event for a handler."""
    return letter.event.get("type") == TOPIC and ":" in letter.handler


def _channel(record: Mapping[str, JSONValue]) -> str:
    channel = record.get("channel")
    return channel if isinstance(channel, str) and channel != ANYWHERE else ""


def _about(message: NotificationMessage, ref: str) -> NotificationOutcome:
    return NotificationOutcome(ref=ref, target=message.target, title=message.title)


def _told(told: NotificationOutcome, sent: Outcome[object]) -> NotificationOutcome:
    """Return *told* with what came of sending."""
    if sent.error is not None:
        return replace(told, code=_code(sent), error=_reason(sent))
    result = cast("SendResult", sent.value)
    return replace(told, provider=result.provider, message_id=result.message_id)


def _event(message: NotificationMessage, about: Mapping[str, JSONValue] = _NOTHING) -> Event:
    data: dict[str, Any] = {
        "text": message.text,
        "title": message.title,
        "target": message.target,
        "level": message.level,
        "context": dict(message.context),
        "extra_payload": dict(message.extra_payload),
    }
    return Event(id=message.id, type=TOPIC, time=message.at, data=data, extensions=about)


def _message(letter: DeadLetter) -> NotificationMessage:
    event = Event.from_json(letter.event)
    return NotificationMessage(id=event.id, at=event.time, **event.data)


def _meaning(sent: Outcome[object]) -> HandlerOutcome:
    if sent.error is None:
        return HandlerOutcome.HANDLED
    if isinstance(sent.error, PausedError):
        return HandlerOutcome.DEFERRED
    return HandlerOutcome.TIMED_OUT if sent.timed_out else HandlerOutcome.FAILED


def _code(sent: Outcome[object]) -> str:
    return sent.error.code if isinstance(sent.error, OneiricError) else "failed"


def _reason(sent: Outcome[object]) -> str:
    if not isinstance(sent.error, OneiricError):
        return sent.reason
    told = "; ".join(" ".join(line.split()) for line in sent.error.lines())
    return f"{sent.error.message}: {told}" if told else sent.error.message
