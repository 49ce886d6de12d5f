"""Ask a service once: within its time, its hosts and its size, and by no other method."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import aiohttp
from yarl import URL

from oneiric.errors import OneiricError
from oneiric.ports.errors import InvalidRequestError
from oneiric.ports.http import Headers
from oneiric.tls import read_trust
from oneiric.validation.checks.answer import REDIRECTS, Answer, Silence, UnansweredError
from oneiric.validation.checks.spec import SAFE
from oneiric.validation.hosts import HostRefusedError, Hosts
from oneiric.validation.resolving import AllowedResolver

if TYPE_CHECKING:
    from oneiric.clock import Clock
    from oneiric.validation.checks.spec import LiveCheck

_KEEPS_METHOD = frozenset({307, 308})
_HARMLESS = frozenset(
    {"accept", "accept-encoding", "accept-language", "content-type", "user-agent"}
)
_DAY_SECONDS = 86_400
_IDLE_SECONDS = 1.0
_NO_LIMITS = aiohttp.ClientTimeout(total=None, sock_connect=None)


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent; its `repr` shows neither head nor content."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    content: bytes | None = field(repr=False)

    @classmethod
    def of(cls, check: LiveCheck) -> Request:
        """Return what *check* asks; its body goes as JSON."""
        if check.body is None:
            return cls(check.method, check.url, check.headers, None)
        headers = dict(check.headers)
        if not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = "application/json"
        text = json.dumps(check.body, ensure_ascii=False, separators=(",", ":"))
        return cls(check.method, check.url, headers, text.encode("utf-8", "replace"))

    def redirected(self, status: int, url: str) -> Request:
        """Return the same request to another address; only its own host hears its secrets.

        Raises:
            UnansweredError: it would take another method, or leads from https to http.
        """
        if status not in _KEEPS_METHOD and self.method not in SAFE:
            what = f"a redirect with {status} would change the method {self.method}"
            raise UnansweredError("redirect", what)
        if self.url.startswith("https:") and not url.startswith("https:"):
            raise UnansweredError("redirect", "it redirects from https to http")
        headers, content = self.headers, self.content
        if urlsplit(url)[:2] != urlsplit(self.url)[:2]:
            headers = {name: text for name, text in headers.items() if name.lower() in _HARMLESS}
            if content is not None:
                raise UnansweredError("redirect", "it redirects what was sent to another host")
        return Request(self.method, url, headers, content)


class Asker:
    """Send requests over one pool of connections; no cookies are kept, no proxy is guessed."""

    def __init__(
        self,
        hosts: Hosts,
        clock: Clock,
        *,
        user_agent: str,
        max_connections: int,
        ca_file: Path | None = None,
    ) -> None:
        self._hosts = hosts
        self._clock = clock
        self._agent = user_agent
        self._limit = max_connections
        self._ca_file = ca_file
        self._trust: ssl.SSLContext | bool = True
        self._session: aiohttp.ClientSession | None = None

    @property
    def is_open(self) -> bool:
        """Whether it can ask."""
        return self._session is not None

    async def open(self) -> None:
        """Read the authorities to trust, where others are named, and make the pool.

        Raises:
            InvalidRequestError: they cannot be read.
        """
        if self._session is not None:
            return
        if self._ca_file is not None and self._trust is True:
            ca_file = self._ca_file
            self._trust = await read_trust(ca_file, backend="validator", besides_system=True)
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    ssl=self._trust,
                    limit=self._limit,
                    resolver=AllowedResolver(self._hosts),
                    keepalive_timeout=_IDLE_SECONDS,  # less than services wait before they close
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": self._agent},
                timeout=_NO_LIMITS,
                trust_env=False,
                response_class=_Response,
            )

    async def close(self) -> None:
        """Close every connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def ask(self, check: LiveCheck) -> Answer:
        """Send what *check* asks, and return the whole answer, however slowly it comes, in time.

        Raises:
            UnansweredError: there is none: why.
            HostRefusedError: its own host may not be asked.
            InvalidRequestError: it cannot be sent.
        """
        request = Request.of(check)
        self._hosts.check(request.url)
        started = self._clock.monotonic()
        try:
            async with asyncio.timeout(check.timeout):
                days: list[float] = []
                answer, url, redirect = await self._followed(request, check.max_redirects, days)
                try:
                    body, is_cut = await _content(answer, check.max_body_bytes)
                finally:
                    answer.release()
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise _told(error, check.timeout) from error
        return Answer(
            status=answer.status,
            url=url,
            headers=Headers((name, _text(text)) for name, text in answer.headers.items()),
            body=body,
            is_cut=is_cut,
            duration_ms=round((self._clock.monotonic() - started) * 1e3, 3),
            redirect=redirect,
            certificate_days=min(days, default=None),
        )

    async def _followed(
        self, request: Request, most: int, days: list[float]
    ) -> tuple[aiohttp.ClientResponse, str, str]:
        """Return the last answer, who gave it, and where it, or the one before it, led to.

        For how long each certificate on the way is still good is added to *days*.
        """
        redirect = ""
        for left in range(most, -1, -1):
            answer = await self._sent(request)
            if (good := self._days(answer)) is not None:
                days.append(good)
            location = answer.headers.get("Location", "")
            if answer.status not in REDIRECTS or not location:
                return answer, request.url, redirect
            redirect = _joined(request.url, location)
            if not left:
                break
            answer.release()
            try:
                self._hosts.check(redirect, after=request.url)
            except HostRefusedError as error:
                raise UnansweredError("redirect", f"it redirects away: {error.message}") from error
            request = request.redirected(answer.status, redirect)
        if most:
            answer.release()
            raise UnansweredError("redirect", f"it redirects more than {most} times")
        return answer, request.url, redirect

    async def _sent(self, request: Request) -> aiohttp.ClientResponse:
        if self._session is None:
            raise UnansweredError("connection", "the validator is closed")
        try:
            return await self._session.request(
                request.method,
                URL(request.url),
                headers=request.headers,
                data=request.content,
                allow_redirects=False,
            )
        except HostRefusedError as error:  # its name leads where it may not
            raise UnansweredError("refused", error.message) from error

    def _days(self, answer: aiohttp.ClientResponse) -> float | None:
        """Return for how long the certificate is still good, or None without one."""
        until = getattr(answer, "certificate_until", None)
        if until is None:
            return None
        seconds = ssl.cert_time_to_seconds(until) - self._clock.now().timestamp()
        return round(seconds / _DAY_SECONDS, 2)


class _Response(aiohttp.ClientResponse):
    """Remember until when the certificate is good, before the connection is given back.

    What breaks is told as no answer, for aiohttp sends a request again whose connection broke,
    and tells nobody.
    """

    certificate_until: str | None = None

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        transport = connection.transport
        tls = transport.get_extra_info("ssl_object") if transport is not None else None
        if tls is not None:
            self.certificate_until = tls.getpeercert().get("notAfter")
        try:
            return await super().start(connection)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            raise _broken(error) from error


async def _content(answer: aiohttp.ClientResponse, most: int) -> tuple[bytes, bool]:
    """Return what may be read of the content, and whether there is more."""
    if answer.content.is_eof():  # all of it is here
        whole = answer.content.read_nowait()
        return whole[:most], len(whole) > most
    content = bytearray()
    async for piece in answer.content.iter_any():
        content += piece
        if len(content) > most:
            answer.close()
            return bytes(content[:most]), True
    return bytes(content), False


def _joined(url: str, location: str) -> str:
    try:
        found = urljoin(url, location.strip())
        parts = urlsplit(found)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address, found = False, ""
    if not is_address:
        raise UnansweredError("redirect", "it redirects to what is no address")
    return found


def _text(text: str) -> str:
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _told(error: Exception, seconds: float) -> OneiricError:
    """Return what a library's error means; none of its words are repeated that may hold a URL."""
    kind: Silence = "connection"
    if isinstance(error, TimeoutError):
        return UnansweredError("timeout", f"there was no whole answer within {seconds:g} s")
    if isinstance(error, aiohttp.InvalidURL):
        return InvalidRequestError("validator", "the address cannot be used")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        why = getattr(error.certificate_error, "verify_message", "") or "it cannot be verified"
        return UnansweredError("refused", f"its certificate is not trusted: {why}")
    if isinstance(error, aiohttp.ClientConnectorError):
        return UnansweredError(kind, f"it cannot be reached: {_plainly(error)}")
    if isinstance(error, aiohttp.ClientError | OSError):
        return _broken(error)
    return InvalidRequestError("validator", "a method, address or header cannot be sent")


def _broken(error: Exception) -> UnansweredError:
    return UnansweredError("connection", f"the connection broke ({type(error).__name__})")


def _plainly(error: aiohttp.ClientConnectorError) -> str:
    number = error.os_error.errno
    if isinstance(error.os_error, socket.gaierror):
        return "the name is not known"
    known = number is not None and 0 < number < math.inf
    return (error.os_error.strerror or "no connection").lower() if known else "no connection"
