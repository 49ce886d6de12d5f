"""Messages to Slack, by its Web API."""

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, SecretStr

from oneiric.adapters.messaging.facts import as_text
from oneiric.adapters.messaging.post import Parcel, Post, PostSettings
from oneiric.clock import Clock
from oneiric.core.handle import Link
from oneiric.core.health import HealthReport
from oneiric.documents import canonical
from oneiric.documents.model import refused
from oneiric.errors import JSONValue, OneiricError
from oneiric.ports.errors import (
    AdapterError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    UnavailableError,
)
from oneiric.ports.http import HTTPClient, HTTPResponse, retry_after
from oneiric.ports.messaging import NotificationMessage, SendResult
from oneiric.remote.errors import AddressError
from oneiric.remote.origin import Origin

SECTION, FALLBACK, FIELDS = 3_000, 3_000, 10
LONGEST_NAME, LONGEST_VALUE = 80, 300
_CODE = re.compile(r"[a-z0-9_]{1,64}")
_DENIED = frozenset(
    {
        "access_denied",
        "account_inactive",
        "ekm_access_denied",
        "invalid_auth",
        "missing_scope",
        "no_permission",
        "not_allowed_token_type",
        "not_authed",
        "not_in_channel",
        "org_login_required",
        "restricted_action",
        "team_access_not_granted",
        "token_expired",
        "token_revoked",
    }
)
_LIMITED = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
_PASSING = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout"})


def _is_address(url: str) -> str:
    try:
        Origin.of(url)
    except AddressError as error:
        raise refused(error.message) from None
    return url.rstrip("/")


class SlackMessengerSettings(PostSettings):
    """Give the bot's token, and the channel of messages that name none."""

    token: Annotated[SecretStr, Field(min_length=1)]
    default_channel: str = ""
    base_url: Annotated[str, AfterValidator(_is_address)] = "https://slack.com/api"


class SlackMessenger:
    """Post messages to channels with `chat.postMessage`, as blocks with a text to fall back to.

    A message's `target` is a channel, by name or id. What Slack would read as a mention or a
    link in angle brackets is shown as it was typed. An answer whose `ok` is false is an error,
    whatever its status.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"notifications", "chatops"})

    def __init__(
        self,
        settings: SlackMessengerSettings,
        *,
        http: Link[HTTPClient],
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._post = Post(settings, http, clock)
        self._headers = {
            "Authorization": f"Bearer {settings.token.get_secret_value()}",
            "Content-Type": "application/json; charset=utf-8",
        }

    async def init(self) -> None:
        """Do nothing: the HTTP client is up."""

    async def health(self) -> HealthReport:
        """Ask Slack whether it takes the token; being asked too often is no illness."""
        try:
            await self._call("auth.test", b"{}", channel="")
        except RateLimitedError:
            return HealthReport(healthy=True)
        except OneiricError as error:
            return HealthReport(healthy=False, detail=error.message)
        return HealthReport(healthy=True)

    async def cleanup(self) -> None:
        """Do nothing: the HTTP client closes itself."""

    async def send_notification(self, message: NotificationMessage) -> SendResult:
        """Post it; the id of the result is Slack's `ts`."""
        channel = message.target or self._settings.default_channel
        if not channel:
            raise InvalidRequestError(
                "slack", "the message names no channel", hint="set default_channel, or a target"
            )
        heading = f"{message.title}: " if message.title else ""
        body: dict[str, JSONValue] = {
            "channel": channel,
            "text": _escaped(as_text(f"{heading}{message.text}", most=FALLBACK)),
            "blocks": list(_blocks(message)),
            **message.extra_payload,
        }
        status, answer = await self._call("chat.postMessage", canonical(body), channel=channel)
        posted = answer.get("ts")
        found = posted if isinstance(posted, str) and posted else message.id
        return SendResult(message_id=found, provider="slack", status_code=status)

    async def _call(
        self, method: str, content: bytes, *, channel: str
    ) -> tuple[int, dict[str, JSONValue]]:
        return await self._post.deliver(
            "POST",
            f"{self._settings.base_url}/{method}",
            lambda: Parcel(self._headers, content),
            lambda answer: (answer.status_code, _understood(answer, channel)),
        )


def _understood(answer: HTTPResponse, channel: str) -> dict[str, JSONValue]:
    """Return what Slack says, or raise what it says went wrong."""
    backend, said = answer.url, answer.json()
    if not isinstance(said, dict):
        raise AdapterError(backend, "the answer is not Slack's")
    if said.get("ok") is True:
        return said
    code = said.get("error")
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        raise AdapterError(backend, "it was not taken, for no known reason")
    reason = f"answered {code}"
    if code == "channel_not_found":
        raise NotFoundError(backend, "channel", channel)
    if code in _LIMITED:
        raise RateLimitedError(backend, reason, retry_after=retry_after(answer.headers))
    if code in _PASSING:
        raise UnavailableError(backend, reason)
    if code in _DENIED:
        raise PermissionDeniedError(backend, reason)
    raise InvalidRequestError(backend, reason)


def _blocks(message: NotificationMessage) -> Iterator[dict[str, JSONValue]]:
    if message.title:
        yield {"type": "header", "text": {"type": "plain_text", "text": message.title}}
    for piece in _pieces(message.text):
        yield {"type": "section", "text": _markdown(piece)}
    facts = [_fact(name, value) for name, value in message.context.items()]
    for start in range(0, len(facts), FIELDS):
        yield {"type": "section", "fields": facts[start : start + FIELDS]}
    told = " · ".join(filter(None, (message.level, message.at)))
    yield {"type": "context", "elements": [_markdown(told)]}


def _pieces(text: str) -> Iterator[str]:
    """Give the text, escaped, in pieces that fit a section each."""
    while text:
        piece = text[:SECTION]
        while len(_escaped(piece)) > SECTION:
            piece = piece[: len(piece) * 3 // 4]
        if piece.strip():
            yield _escaped(piece)
        text = text[len(piece) :]


def _fact(name: str, value: JSONValue) -> JSONValue:
    told = _escaped(as_text(value, most=LONGEST_VALUE))
    return _markdown(f"*{_escaped(as_text(name, most=LONGEST_NAME))}*\n{told}")


def _markdown(text: str) -> dict[str, JSONValue]:
    return {"type": "mrkdwn", "text": text}


def _escaped(text: str) -> str:
    """Return *text* with what Slack reads as markup for mentions and links written out."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
