"""Ask production, without doing anything to it: GET, HEAD and OPTIONS, and no other method."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import urljoin, urlsplit

import aiohttp
from yarl import URL

from oneiric.ports.http import Headers
from oneiric.validation.addresses import shown_address
from oneiric.validation.checks.answer import REDIRECTS
from oneiric.validation.checks.spec import SAFE
from oneiric.validation.drift.question import DriftQuestion
from oneiric.validation.hosts import HostRefusedError, Hosts

_GLANCE = 64 << 10
_GLANCE_SECONDS = 1.0
_CHUNK = 64 << 10
_HOW: Mapping[str, str] = {
    "forbidden": "its host is not allowed",
    "unreachable": "it cannot be reached",
    "untrusted": "its certificate is not trusted",
    "slow": "it gave no answer in time",
    "broken": "it gave no HTTP answer",
    "late": "the time for everything was over",
    "closed": "the detector was closed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was answered; of the body, as much as was asked for."""

    url: str
    status: int
    headers: Headers
    body: bytes = field(default=b"", repr=False)
    is_whole: bool = True

    @property
    def media(self) -> str:
        """The media type, without parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def target(self) -> str:
        """Where it redirects to, or an empty text."""
        location = self.headers.get("location", "") if self.status in REDIRECTS else ""
        try:
            return urljoin(self.url, location) if location else ""
        except ValueError:
            return location

    @property
    def allow(self) -> frozenset[str] | None:
        """The methods that it says are allowed, or None where it says nothing."""
        said = self.headers.get("allow")
        if said is None:
            return None
        return frozenset(each.strip().upper() for each in said.split(",") if each.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Why there is no answer; `how` is one word: see `reason`."""

    url: str
    how: str
    detail: str = ""

    @property
    def reason(self) -> str:
        """The same in words, without secrets."""
        return f"{_HOW[self.how]}{f': {self.detail}' if self.detail else ''}"

    @property
    def is_ours(self) -> bool:
        """Whether it is for our own limits, and says nothing of production."""
        return self.how in ("forbidden", "late", "closed")


Reply: TypeAlias = Answer | Silence


class Prober:
    """Ask within limits: allowed hosts, a few at once, each answer and everything in time.

    Redirects are told, and not followed. Credentials go to production alone.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        question: DriftQuestion,
        *,
        most_at_once: int,
        allow: tuple[str, ...] = (),
    ) -> None:
        self._session = session
        self._question = question
        self._places = asyncio.Semaphore(most_at_once)
        self._headers = {name: text.get_secret_value() for name, text in question.headers.items()}
        self._deadline = asyncio.get_running_loop().time() + question.total_timeout
        self._down: set[str] = set()
        self.hosts = Hosts(question.prod_url, [*allow, *question.allow_hosts])

    @property
    def has_credentials(self) -> bool:
        """Whether production is shown anything that could let us in."""
        return bool(self._headers)

    @property
    def seconds_left(self) -> float:
        """How long everything may still take."""
        return max(0.0, self._deadline - asyncio.get_running_loop().time())

    def address(self, path: str) -> str:
        """Return the address of a path below that of production; an address stays what it is."""
        if path.lower().startswith(("http://", "https://")):
            return path
        return f"{self._question.prod_url}/{path.lstrip('/')}"

    async def ask(
        self, method: str, url: str, *, read: int = _GLANCE, accept: str = "*/*"
    ) -> Reply:
        """Ask once, and return the answer with at most *read* bytes of its body, or why none came.

        Raises:
            ValueError: the method is none that leaves everything as it was.
        """
        if method not in SAFE:
            raise ValueError(f"{method} might do something")
        if not self.hosts.allows(url):
            return Silence(url=shown_address(url), how="forbidden")
        async with self._places:
            origin = "://".join(urlsplit(url)[:2])
            if origin in self._down:
                return Silence(url=shown_address(url), how="unreachable")
            limit = min(self._question.timeout, self.seconds_left)
            if limit <= 0 or self._session.closed:
                return Silence(url=shown_address(url), how="late" if limit <= 0 else "closed")
            try:
                return await self._answer(method, url, read, accept, limit)
            except HostRefusedError:
                return Silence(url=shown_address(url), how="forbidden")
            except (aiohttp.ClientError, OSError, ValueError) as error:
                silence = _silence(url, error)
            if self._session.closed:
                return Silence(url=shown_address(url), how="closed")
        if silence.how == "unreachable":
            self._down.add(origin)
        if silence.how == "slow" and not self.seconds_left:
            return Silence(url=silence.url, how="late")
        return silence

    async def _answer(self, method: str, url: str, read: int, accept: str, limit: float) -> Answer:
        own = self._headers if self.hosts.is_production(url) else {}
        headers = {"User-Agent": "oneiric-drift", "Accept": accept, **own}
        async with AsyncExitStack() as held:
            now = asyncio.get_running_loop().time()
            async with asyncio.timeout_at(now + limit):
                asked = self._session.request(
                    method, URL(url), headers=headers, allow_redirects=False
                )
                answer = await held.enter_async_context(asked)
            patience = limit if read > _GLANCE else min(limit, _GLANCE_SECONDS)
            body, is_whole = await _body(answer, read, patience)
            fields = Headers((name, value) for name, value in answer.headers.items())
            return Answer(
                url=url, status=answer.status, headers=fields, body=body, is_whole=is_whole
            )


async def _body(answer: aiohttp.ClientResponse, limit: int, patience: float) -> tuple[bytes, bool]:
    """Return at most *limit* bytes, and whether that is all; what streams for ever is left."""
    body = bytearray()
    try:
        async with asyncio.timeout(patience):
            async for piece in answer.content.iter_chunked(_CHUNK):
                body += piece
                if len(body) > limit:
                    break
            else:
                return bytes(body), True
    except TimeoutError:
        pass
    answer.close()
    return bytes(body[:limit]), False


def _silence(url: str, error: Exception) -> Silence:
    if isinstance(error, TimeoutError):
        return Silence(url=shown_address(url), how="slow")
    if isinstance(error, aiohttp.ClientSSLError):
        return Silence(url=shown_address(url), how="untrusted")
    if isinstance(error, aiohttp.ClientConnectorError):
        return Silence(url=shown_address(url), how="unreachable", detail=error.strerror or "")
    return Silence(url=shown_address(url), how="broken", detail=type(error).__name__)
