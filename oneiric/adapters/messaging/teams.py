"""Messages to Microsoft Teams, as Adaptive Cards to a Workflows webhook."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import ClassVar

from oneiric.adapters.messaging.facts import as_text
from oneiric.adapters.messaging.post import Parcel, Post, PostSettings, SecretURL
from oneiric.clock import Clock
from oneiric.core.handle import Link
from oneiric.core.health import HealthReport
from oneiric.documents import canonical
from oneiric.errors import JSONValue
from oneiric.ports.errors import InvalidRequestError
from oneiric.ports.http import HTTPClient
from oneiric.ports.messaging import MessageLevel, NotificationMessage, SendResult

MAX_BYTES = 28 * 1024
LONGEST_NAME, LONGEST_VALUE = 80, 300
_CARD = "application/vnd.microsoft.card.adaptive"
_SCHEMA = "http://adaptivecards.io/schemas/adaptive-card.json"
_COLOURS: Mapping[MessageLevel, str] = MappingProxyType(
    {"debug": "default", "info": "accent", "warning": "warning", "error": "attention"}
)


class TeamsMessengerSettings(PostSettings):
    """Give the address of the Workflows webhook, which is a secret."""

    webhook_url: SecretURL


class TeamsMessenger:
    """Post messages to the channel of a Workflows webhook, each as an Adaptive Card.

    The webhook belongs to one channel, so a message's `target` is told in the card and moves
    nothing. Teams takes at most 28 KiB; what is longer is refused before it is sent.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"notifications", "chatops"})

    def __init__(
        self,
        settings: TeamsMessengerSettings,
        *,
        http: Link[HTTPClient],
        clock: Clock | None = None,
    ) -> None:
        self._post = Post(settings, http, clock)
        self._url = settings.webhook_url.get_secret_value()

    async def init(self) -> None:
        """Do nothing: the HTTP client is up."""

    async def health(self) -> HealthReport:
        """Tell whether the host answers at all; the webhook itself is not called."""
        return await self._post.reach(self._url)

    async def cleanup(self) -> None:
        """Do nothing: the HTTP client closes itself."""

    async def send_notification(self, message: NotificationMessage) -> SendResult:
        """Send its card; Teams gives no id, so the result has the message's own."""
        card: dict[str, JSONValue] = {
            "$schema": _SCHEMA,
            "type": "AdaptiveCard",
            "version": "1.4",
            "msteams": {"width": "Full"},
            "body": list(_body(message)),
            **message.extra_payload,
        }
        attachment: JSONValue = {"contentType": _CARD, "contentUrl": None, "content": card}
        content = canonical({"type": "message", "attachments": [attachment]})
        if len(content) > MAX_BYTES:
            raise InvalidRequestError("teams", f"the card is longer than {MAX_BYTES} bytes")
        parcel = Parcel({"Content-Type": "application/json"}, content)
        return await self._post.deliver(
            "POST",
            self._url,
            lambda: parcel,
            lambda answer: SendResult(
                message_id=message.id, provider="teams", status_code=answer.status_code
            ),
        )


def _body(message: NotificationMessage) -> Iterator[dict[str, JSONValue]]:
    if message.title:
        yield {
            **_block(message.title),
            "size": "medium",
            "weight": "bolder",
            "color": _COLOURS[message.level],
        }
    yield _block(message.text)
    if message.context:
        facts: list[JSONValue] = [
            {
                "title": as_text(name, most=LONGEST_NAME),
                "value": as_text(value, most=LONGEST_VALUE),
            }
            for name, value in message.context.items()
        ]
        yield {"type": "FactSet", "facts": facts}
    told = " · ".join(filter(None, (message.target, message.level, message.at)))
    yield {**_block(told), "isSubtle": True, "size": "small"}


def _block(text: str) -> dict[str, JSONValue]:
    return {"type": "TextBlock", "text": text, "wrap": True}
