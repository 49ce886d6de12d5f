"""Messages as signed webhooks."""

import base64
import binascii
import hmac
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, SecretStr

from oneiric.adapters.messaging.post import Parcel, Post, PostSettings, SecretURL
from oneiric.clock import Clock
from oneiric.core.handle import Link
from oneiric.core.health import HealthReport
from oneiric.documents import canonical
from oneiric.documents.model import refused
from oneiric.errors import JSONValue
from oneiric.ports.http import HTTPClient
from oneiric.ports.messaging import NotificationMessage, SendResult

_PREFIX = "whsec_"


def _key(secret: SecretStr) -> bytes:
    """Return the bytes to sign with: what follows `whsec_` is base64, else the text itself."""
    text = secret.get_secret_value()
    if not text.startswith(_PREFIX):
        return text.encode()
    return base64.b64decode(text.removeprefix(_PREFIX), validate=True)


def _is_key(secret: SecretStr) -> SecretStr:
    try:
        key = _key(secret)
    except (binascii.Error, ValueError):
        raise refused("after whsec_ stands base64") from None
    if not key:
        raise refused("a secret is not empty")
    return secret


class WebhookMessengerSettings(PostSettings):
    """Name the address, the secret to sign with, and further header fields."""

    url: SecretURL
    method: Literal["POST", "PUT"] = "POST"
    secret: Annotated[SecretStr, AfterValidator(_is_key)] | None = None
    headers: Mapping[str, SecretStr] = Field(default_factory=dict)


class WebhookMessenger:
    """Send each message as JSON to one address, signed so that the receiver can trust it.

    The body is `{"type": "notification", "timestamp", "data": {"id", "text", "title", "target",
    "level", "context"}}`. Each attempt has the header fields `webhook-id`, the same in a repeated
    delivery, and `webhook-timestamp` in seconds; with a `secret` also `webhook-signature`: `v1,`
    and the base64 of an HMAC-SHA256 over `id.timestamp.body`, as Standard Webhooks says. A
    secret that begins with `whsec_` is base64, any other is taken as it is.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"notifications", "signed"})

    def __init__(
        self,
        settings: WebhookMessengerSettings,
        *,
        http: Link[HTTPClient],
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._post = Post(settings, http, clock)
        self._url = settings.url.get_secret_value()
        self._key = _key(settings.secret) if settings.secret else b""

    async def init(self) -> None:
        """Do nothing: the HTTP client is up."""

    async def health(self) -> HealthReport:
        """Tell whether the host answers at all; the address itself is not called."""
        return await self._post.reach(self._url)

    async def cleanup(self) -> None:
        """Do nothing: the HTTP client closes itself."""

    async def send_notification(self, message: NotificationMessage) -> SendResult:
        """Send it; any answer of 2xx means that it was taken."""
        data: dict[str, JSONValue] = {
            "id": message.id,
            "text": message.text,
            "title": message.title,
            "target": message.target,
            "level": message.level,
            "context": message.context,
        }
        content = canonical(
            {
                "type": "notification",
                "timestamp": message.at or None,
                "data": data,
                **message.extra_payload,
            }
        )
        return await self._post.deliver(
            self._settings.method,
            self._url,
            lambda: Parcel(self._headers(message.id, content), content),
            lambda answer: SendResult(
                message_id=message.id, provider="webhook", status_code=answer.status_code
            ),
        )

    def _headers(self, message_id: str, content: bytes) -> dict[str, str]:
        at = str(int(self._post.clock.now().timestamp()))
        told = {name: text.get_secret_value() for name, text in self._settings.headers.items()}
        told |= {"Content-Type": "application/json"}
        told |= {"webhook-id": message_id, "webhook-timestamp": at}
        if self._key:
            signed = f"{message_id}.{at}.".encode() + content
            digest = hmac.digest(self._key, signed, "sha256")
            told["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
        return told
