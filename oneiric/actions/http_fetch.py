"""`http.fetch`: one request to an allowed host."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, ClassVar, Literal, Self, TypeAlias

from pydantic import BaseModel, Field, JsonValue, model_validator

from oneiric.actions.kit import Base64, Payload, Result, given, one_of
from oneiric.actions.outbound import HeaderFields, Outbound, OutboundSettings
from oneiric.clock import Clock, SystemClock
from oneiric.documents import parse
from oneiric.domains.actions import InvalidPayloadError
from oneiric.errors import DocumentError, RefusedError

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.ports.http import HTTPClient, HTTPResponse, RequestOptions

PROVIDER = "builtin-http-fetch"
Method: TypeAlias = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class FetchSettings(OutboundSettings):
    """Whom it may call: `allowed_hosts`, where `base_url` has to be named too.

    An entry is a host, `*.` before one for all below it, with a port or a scheme where it is
    not https on its usual port. Empty allows nobody, this machine included.
    """

    base_url: str = ""


class FetchPayload(Payload):
    """A url, or a path below the `base_url` of the settings; at most one body.

    `json` is sent as JSON, `data` as a form, `content` is base64 and sent as it is.
    `timeout` is in seconds and can only shorten that of the settings.
    """

    method: Method = "GET"
    url: str | None = Field(default=None, min_length=1)
    path: str | None = None
    params: dict[str, str] = Field(default_factory=dict)
    headers: HeaderFields = Field(default_factory=dict)
    json_body: JsonValue = Field(default=None, alias="json")
    data: dict[str, str] | None = None
    content: Base64 | None = None
    timeout: float | None = Field(default=None, gt=0)
    verify: bool = True
    allow_redirects: bool = False
    raise_for_status: bool = False

    @model_validator(mode="after")
    def _whole(self) -> Self:
        one_of(self, ("url", "path"))
        if len(given(self) & {"json_body", "data", "content"}) > 1:
            raise ValueError("give at most one of json, data, content")
        return self


class FetchResult(Result):
    """The answer, whatever its status; `json` is null unless it is strict JSON."""

    status: Literal["ok", "error"]
    status_code: int
    ok: bool
    headers: dict[str, str]
    elapsed_ms: float
    json_body: JsonValue = Field(serialization_alias="json")
    text: str


class HttpFetch:
    """Call an allowed host through `adapter:http`, within limits of time and size.

    Certificates are always verified: `verify: false` is refused. Redirects are followed when
    asked for, and to allowed hosts only.
    """

    payload: ClassVar[type[BaseModel]] = FetchPayload
    result: ClassVar[type[BaseModel]] = FetchResult

    def __init__(
        self, settings: FetchSettings, *, http: Link[HTTPClient], clock: Clock | None = None
    ) -> None:
        self._outbound = Outbound(settings, http, provider=PROVIDER)
        self._base_url = settings.base_url
        self._clock = clock or SystemClock()

    async def execute(self, payload: FetchPayload) -> FetchResult:
        """Fetch it.

        Raises:
            RefusedError: it shall not verify certificates, or call a host not allowed.
            InvalidPayloadError: there is no `base_url` for the path.
            UnavailableError: nobody answered in time.
            AdapterError: the answer is too long, or its status an error, if that shall raise.
        """
        if not payload.verify:
            raise RefusedError(
                "verify: false is refused: certificates are always verified",
                hint="name the authority to trust in the settings of adapter:http, ca_file",
            )
        began = self._clock.monotonic()
        answer = await self._outbound.send(
            payload.method,
            self._address(payload),
            redirects=payload.allow_redirects,
            **_options(payload),
        )
        if payload.raise_for_status:
            answer.expect_ok()
        return FetchResult(
            status="ok" if answer.ok else "error",
            status_code=answer.status_code,
            ok=answer.ok,
            headers=dict(answer.headers),
            elapsed_ms=round((self._clock.monotonic() - began) * 1000, 3),
            json_body=_json(answer),
            text=answer.text,
        )

    def _address(self, payload: FetchPayload) -> str:
        if payload.url is not None:
            return payload.url
        if not self._base_url:
            raise InvalidPayloadError.of(
                [("path", "there is no base_url that it could be below")],
                hint=f"set base_url in [actions.provider_settings.{PROVIDER}]",
            )
        return f"{self._base_url.rstrip('/')}/{(payload.path or '').lstrip('/')}"


def _options(payload: FetchPayload) -> RequestOptions:
    options: RequestOptions = {
        "params": payload.params,
        "headers": payload.headers,
        "timeout": payload.timeout,
    }
    if payload.json_body is not None:
        options["json"] = payload.json_body
    if payload.data is not None:
        options["data"] = payload.data
    if payload.content is not None:
        options["content"] = base64.b64decode(payload.content)
    return options


def _json(answer: HTTPResponse) -> JsonValue:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        return None
    try:
        return parse(answer.content, "json")  # type: ignore[return-value]
    except DocumentError:
        return None
