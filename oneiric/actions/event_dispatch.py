"""`event.dispatch`: an event as CloudEvents 1.0, sent to hooks, or what would be sent."""

from __future__ import annotations

import asyncio
import hmac
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, TypeAlias

from pydantic import AliasChoices, BaseModel, Field, JsonValue, SecretStr

from oneiric.actions.kit import Payload, Record, Result
from oneiric.actions.outbound import HeaderFields, Outbound, OutboundSettings
from oneiric.clock import Clock, SystemClock, rfc3339
from oneiric.documents import canonical
from oneiric.errors import OneiricError
from oneiric.ports.http import origin

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.ports.http import HTTPClient

PROVIDER = "builtin-event-dispatch"
SIGNATURE = "X-Signature"
AttributeName: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9]{1,20}$")]
HookStatus: TypeAlias = Literal["would-deliver", "delivered", "skipped", "failed"]
DispatchStatus: TypeAlias = Literal["dry-run", "delivered", "partial", "failed", "skipped"]


class DispatchSettings(OutboundSettings):
    """Whom hooks may call: `allowed_hosts`, as for `http.fetch`; empty allows nobody."""


class Hook(Payload):
    """Where to send the event; with a secret its body is signed, in `X-Signature`."""

    name: str = Field(min_length=1)
    url: str = Field(min_length=1)
    method: Literal["POST", "PUT"] = "POST"
    headers: HeaderFields = Field(default_factory=dict)
    enabled: bool = True
    timeout_seconds: float | None = Field(default=None, gt=0)
    secret: SecretStr | None = Field(default=None, min_length=1)


class DispatchPayload(Payload):
    """The topic, what happened, as `payload` or `data`, and the hooks; a dry run by default.

    `metadata` become attributes of the event, whose names CloudEvents wants in lower-case
    letters and digits. All hooks are called at once.
    """

    topic: str = Field(min_length=1)
    data: JsonValue = Field(default=None, validation_alias=AliasChoices("payload", "data"))
    metadata: dict[AttributeName, str | int | bool] = Field(default_factory=dict)
    hooks: list[Hook] = Field(default_factory=list, max_length=32)
    dry_run: bool = True


class HookOutcome(Result):
    """What became of one hook, or would; `url` is scheme and host only."""

    name: str
    url: str
    method: str
    status: HookStatus
    status_code: int | None = None
    reason: str = ""


class DispatchResult(Result):
    """The event, each hook's outcome, and the names of the hooks by outcome.

    In a dry run `delivered` is empty: nothing was sent.
    """

    status: DispatchStatus
    event: Record
    hooks: list[HookOutcome]
    delivered: list[str]
    skipped: list[str]
    failed: list[str]


class EventDispatch:
    """Send an event to the hooks whose hosts are allowed, and tell what became of each.

    A dry run, which is the default, sends nothing and says what it would do. A hook that
    fails disturbs no other; any status of 300 and above is a failure.
    """

    payload: ClassVar[type[BaseModel]] = DispatchPayload
    result: ClassVar[type[BaseModel]] = DispatchResult

    def __init__(
        self, settings: DispatchSettings, *, http: Link[HTTPClient], clock: Clock | None = None
    ) -> None:
        self._outbound = Outbound(settings, http, provider=PROVIDER)
        self._clock = clock or SystemClock()

    async def execute(self, payload: DispatchPayload) -> DispatchResult:
        """Dispatch it."""
        event: Record = {
            **payload.metadata,
            "specversion": "1.0",
            "id": self._clock.new_id(),
            "source": "oneiric",
            "type": payload.topic,
            "time": rfc3339(self._clock.now()),
            "datacontenttype": "application/json",
            "data": payload.data,
        }
        body = canonical(event)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._outcome(hook, body, dry_run=payload.dry_run))
                for hook in payload.hooks
            ]
        outcomes = [task.result() for task in tasks]
        return DispatchResult(
            status=_status(outcomes, dry_run=payload.dry_run),
            event=event,
            hooks=outcomes,
            delivered=_named(outcomes, "delivered"),
            skipped=_named(outcomes, "skipped"),
            failed=_named(outcomes, "failed"),
        )

    async def _outcome(self, hook: Hook, body: bytes, *, dry_run: bool) -> HookOutcome:
        if not hook.enabled:
            return _told(hook, "skipped", reason="it is not enabled")
        try:
            self._outbound.hosts.allow(hook.url)
            if dry_run:
                return _told(hook, "would-deliver")
            answer = await self._outbound.send(
                hook.method,
                hook.url,
                timeout=hook.timeout_seconds,
                redirects=False,
                headers=_headers(hook, body),
                content=body,
            )
        except OneiricError as error:
            return _told(hook, "failed", reason=error.message)
        if answer.status_code < 300:
            return _told(hook, "delivered", status_code=answer.status_code)
        reason = f"answered {answer.status_code}"
        return _told(hook, "failed", status_code=answer.status_code, reason=reason)


def _headers(hook: Hook, body: bytes) -> dict[str, str]:
    headers = {**hook.headers, "Content-Type": "application/cloudevents+json"}
    if hook.secret is not None:
        key = hook.secret.get_secret_value().encode()
        headers[SIGNATURE] = f"sha256={hmac.digest(key, body, 'sha256').hex()}"
    return headers


def _told(
    hook: Hook, status: HookStatus, *, status_code: int | None = None, reason: str = ""
) -> HookOutcome:
    return HookOutcome(
        name=hook.name,
        url=_shown(hook.url),
        method=hook.method,
        status=status,
        status_code=status_code,
        reason=reason,
    )


def _shown(url: str) -> str:
    try:
        return origin(url)
    except ValueError:
        return ""


def _named(outcomes: list[HookOutcome], status: HookStatus) -> list[str]:
    return [each.name for each in outcomes if each.status == status]


def _status(outcomes: list[HookOutcome], *, dry_run: bool) -> DispatchStatus:
    if dry_run:
        return "dry-run"
    delivered, failed = _named(outcomes, "delivered"), _named(outcomes, "failed")
    if delivered:
        return "partial" if failed else "delivered"
    return "failed" if failed else "skipped"
