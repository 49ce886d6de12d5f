"""One request to an allowed host, through the http port, bounded in time and size."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, TypeAlias, Unpack

from pydantic import AfterValidator, Field

from oneiric.actions.hosts import Hosts, is_entry
from oneiric.actions.kit import KitSettings
from oneiric.errors import UnavailableError
from oneiric.ports.errors import AdapterError
from oneiric.ports.http import HTTPResponse, origin

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.ports.http import HTTPClient, RequestOptions


_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade"})


def _is_free(name: str) -> str:
    if name.lower() in _OURS:
        raise ValueError("this header belongs to the connection")
    return name


HeaderFields: TypeAlias = dict[Annotated[str, AfterValidator(_is_free)], str]
"""Header fields that a payload may set."""


class OutboundSettings(KitSettings):
    """Whom an action may call, and how long and large an answer may be."""

    allowed_hosts: tuple[Annotated[str, AfterValidator(is_entry)], ...] = ()
    timeout: float = Field(default=10.0, gt=0, le=50)
    max_response_bytes: int = Field(default=1024 * 1024, ge=1)


class Outbound:
    """Call allowed hosts only, redirects included; certificates are the client's to verify."""

    def __init__(
        self, settings: OutboundSettings, http: Link[HTTPClient], *, provider: str
    ) -> None:
        self.hosts = Hosts(settings.allowed_hosts, provider=provider)
        self._http = http
        self._timeout = settings.timeout
        self._limit = settings.max_response_bytes

    async def send(
        self, method: str, url: str, *, redirects: bool, **options: Unpack[RequestOptions]
    ) -> HTTPResponse:
        """Send it and return the whole answer; a timeout may only shorten the limit.

        Raises:
            ForbiddenHostError: it goes, or is redirected, to a host that is not allowed.
            UnavailableError: it took too long.
            AdapterError: the answer is longer than the limit, or what else the client says.
        """
        self.hosts.allow(url)
        limit = min(options.get("timeout") or self._timeout, self._timeout)
        options["timeout"] = limit
        options["follow"] = self.hosts.allow if redirects else _never
        content = bytearray()
        try:
            async with (
                asyncio.timeout(limit),
                self._http.use() as client,
                client.stream(method, url, **options) as answer,
            ):
                async for piece in answer.chunks():
                    content += piece
                    if len(content) > self._limit:
                        what = f"the answer is longer than {self._limit} bytes"
                        raise AdapterError(origin(url), what)
                return HTTPResponse(answer.status_code, answer.headers, bytes(content), url)
        except TimeoutError:
            raise UnavailableError(f"{origin(url)}: took longer than {limit:g} s") from None


def _never(url: str) -> bool:
    return False
