"""Tell people something, over whichever channel they read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Protocol, TypeAlias

from oneiric.core.ref import ComponentRef
from oneiric.errors import InvalidError, JSONValue
from oneiric.ports.adapter import Adapter

MessageLevel: TypeAlias = Literal["debug", "info", "warning", "error"]

LONGEST_TEXT = 20_000
LONGEST_TITLE = 150
LONGEST_NAME = 256
MOST_FACTS = 50
_NOTHING: Mapping[str, JSONValue] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationMessage:
    """Say something to people: the same message whoever carries it.

    No provider lets what stands in it address a whole channel. Limits hold for every provider,
    so that a swap never makes a message too long.

    >>> NotificationMessage(id="1", text="Deploy ready", target="deploys").level
    'info'

    Args:
        id: the same in a repeated delivery, so that receivers can tell.
        text: at most 20,000 characters.
        title: at most 150 characters, in one line.
        target: where it is to be read, in the provider's words, such as a channel; empty for
            the provider's own default.
        level: how serious it is.
        context: facts that belong to it, at most 50.
        extra_payload: fields of the provider's own, laid over what it sends.
        at: when it was written, RFC 3339.

    Raises:
        InvalidError: something is empty or beyond its limit.
    """

    id: str
    text: str
    title: str = ""
    target: str = ""
    level: MessageLevel = "info"
    context: Mapping[str, JSONValue] = field(default_factory=lambda: _NOTHING)
    extra_payload: Mapping[str, JSONValue] = field(default_factory=lambda: _NOTHING)
    at: str = ""

    def __post_init__(self) -> None:
        _check("id", self.id, most=LONGEST_NAME, line=True, needed=True)
        _check("text", self.text, most=LONGEST_TEXT, needed=True)
        _check("title", self.title, most=LONGEST_TITLE, line=True)
        _check("target", self.target, most=LONGEST_NAME, line=True)
        if len(self.context) > MOST_FACTS:
            raise InvalidError(f"the context of a message has at most {MOST_FACTS} facts")


@dataclass(frozen=True, slots=True, kw_only=True)
class SendResult:
    """Tell that a message was taken: by which provider, and under which id.

    `message_id` is the receiver's own where it gives one, else the message's. `status_code` is
    that of the answer, or None where nobody was called.
    """

    message_id: str
    provider: str
    status_code: int | None = None


class Messenger(Adapter, Protocol):
    """Send messages; what `send_notification` returned for was taken by the receiver.

    A delivery that may have failed is tried again within the provider's limits, with the same
    id: a message may arrive twice, and is never lost in silence.
    """

    async def send_notification(self, message: NotificationMessage) -> SendResult:
        """Send *message* and return when the receiver has taken it.

        Raises:
            InvalidRequestError: the receiver would never take it.
            NotFoundError: there is no such target.
            PermissionDeniedError: the receiver refuses who sends.
            RateLimitedError: too many messages, for longer than the provider waits.
            UnavailableError: the receiver cannot be reached, after all attempts.
        """
        ...


MESSAGING: ComponentRef[Messenger] = ComponentRef("adapter:messaging")


def _check(name: str, text: str, *, most: int, line: bool = False, needed: bool = False) -> None:
    if needed and not text.strip():
        raise InvalidError(f"the {name} of a message is not empty")
    if len(text) > most:
        raise InvalidError(f"the {name} of a message has at most {most:,} characters")
    if line and any(not char.isprintable() for char in text):
        raise InvalidError(f"the {name} of a message is one line of printable characters")
