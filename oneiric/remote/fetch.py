"""Fetch what may lie: bounded in bytes, time, redirects and attempts, and careful with secrets."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self, TypeAlias, TypeVar

import aiohttp
from yarl import URL

from oneiric.backoff import Backoff
from oneiric.clock import Clock
from oneiric.errors import NotFoundError
from oneiric.files import read_bounded
from oneiric.ports.http import retry_after
from oneiric.remote.breaker import Breakers
from oneiric.remote.disk import CHUNK, PartFile, in_thread
from oneiric.remote.errors import (
    AddressError,
    AnswerError,
    ArtifactHostError,
    CertificateError,
    EncodedError,
    FetchFailedError,
    RedirectError,
    TooLongError,
    TooSlowError,
)
from oneiric.remote.origin import Credential, Hosts, Origin, local_path, redirected

T = TypeVar("T")
Progress: TypeAlias = Callable[[int, int | None], None]
"""Told how many bytes have come, and of how many where that is known."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PIECE = 64 * 1024
_LONGEST_ETAG = 512
BACKOFF = Backoff(base_seconds=0.5, factor=2, max_seconds=10, jitter=0.5)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came: the bytes, or that they are the same as before."""

    data: bytes = field(repr=False)
    etag: str = ""
    not_modified: bool = False
    uri: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """How long, how often and how far one fetch may go.

    Args:
        timeout: seconds for one attempt, from the first connection to the last byte.
        slowest: bytes a second at which a download of known length still counts as moving; it
            has `length / slowest` seconds beyond the timeout.
        retries: attempts after the first that failed.
        redirects: how many are followed.
        longest_wait: seconds of `Retry-After` beyond which it is not tried again.
        backoff: how long to wait between attempts.
    """

    timeout: float = 30.0
    slowest: int = 64 * 1024
    retries: int = 3
    redirects: int = 5
    longest_wait: float = 30.0
    backoff: Backoff = BACKOFF


@dataclass(frozen=True, slots=True)
class _Wish:
    """One fetch: what, and what it may and must not do."""

    uri: str
    limit: int
    etag: str
    hosts: Hosts | None
    credential: Credential | None
    progress: Progress | None
    timeout: float


class _PassingError(Exception):
    """An attempt that failed in a way that may pass."""

    def __init__(self, error: FetchFailedError, *, wait: float = 0.0) -> None:
        self.error = error
        self.wait = wait


_Take: TypeAlias = Callable[[aiohttp.ClientResponse, str], Awaitable[T]]


class Fetcher:
    """Fetch documents and artifacts; an async context manager that closes its connections.

    Only https, or http on this machine, and local files. Certificates are always verified, no
    proxy and no cookie is used, nothing that comes is ever unpacked. A credential goes to its
    own origin only, across no redirect to another. What may pass (no connection, too slow, 429
    and 5xx) is tried again with jitter; what is refused never is.

    Args:
        clock: waits between attempts, and tells for how long a breaker is open.
        limits: how long, how often and how far.
        trust: whose certificates are good, instead of those the system trusts.
        breakers: who is left alone for now; shared by fetchers, if they should.
        chance: a random number in [0, 1) for the jitter.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        limits: FetchLimits | None = None,
        trust: ssl.SSLContext | None = None,
        breakers: Breakers | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.limits = limits or FetchLimits()
        self.breakers = breakers or Breakers(clock)
        self._clock = clock
        self._trust = trust
        self._chance = chance
        self._session: aiohttp.ClientSession | None = None
        self._opening = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections; the next fetch would open new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def get(
        self,
        uri: str,
        *,
        limit: int,
        etag: str = "",
        hosts: Hosts | None = None,
        credential: Credential | None = None,
        progress: Progress | None = None,
    ) -> Fetched:
        """Return a document of at most *limit* bytes, or that it is what *etag* names.

        Args:
            uri: an address, or a path or `file://` of a local file.
            limit: bytes, declared or received, after which it is refused.
            etag: what the server called the document that is here already.
            hosts: who may be asked, redirects included; without it anybody.
            credential: sent to its own origin.
            progress: told of every piece.

        Raises:
            AddressError: it is no address that may be fetched.
            NotFoundError: it is not there (404 or 410, or no such file).
            ArtifactHostError: *hosts* does not allow it.
            FetchRefusedError: the answer is not taken; its class says why.
            FetchFailedError: no answer after all attempts, or none in time.
            BreakerOpenError: the server failed too often, and was not asked.
        """
        path = local_path(uri)
        if path is not None:
            data = await in_thread(partial(read_bounded, path, limit=limit))
            return Fetched(data, uri=uri)
        known = etag if _is_etag(etag) else ""
        wish = _Wish(uri, limit, known, hosts, credential, progress, self.limits.timeout)

        async def take(answer: aiohttp.ClientResponse, at: str) -> Fetched:
            named = answer.headers.get("etag", "")
            named = named if _is_etag(named) else ""
            if answer.status == 304:
                return Fetched(b"", named or known, not_modified=True, uri=at)
            content = bytearray()
            async for piece in _pieces(answer, wish):
                content += piece
            return Fetched(bytes(content), named, uri=at)

        return await self._fetched(wish, take)

    async def download(
        self,
        uri: str,
        into: Path,
        *,
        length: int,
        sha256: str,
        hosts: Hosts | None = None,
        credential: Credential | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Put a file at *into* whose length and digest are known, whole and checked or not at all.

        The bytes gather in a file beside it, which is gone after any failure. A local file is
        read where it lies.

        Raises:
            WrongLengthError, WrongDigestError: other content came.
            UnavailableError: the disk is full, or fails; else as `get`.
        """
        path = local_path(uri)
        if path is not None:
            data = await in_thread(partial(read_bounded, path, limit=length))
            await self._kept(into, length, sha256, str(path), _at_once(data))
            return
        timeout = self.limits.timeout + length / self.limits.slowest
        wish = _Wish(uri, length, "", hosts, credential, progress, timeout)

        async def take(answer: aiohttp.ClientResponse, at: str) -> None:
            origin = str(Origin.of(at))
            await self._kept(into, length, sha256, origin, _pieces(answer, wish))

        await self._fetched(wish, take)

    async def _kept(
        self, into: Path, length: int, sha256: str, origin: str, pieces: AsyncIterator[bytes]
    ) -> None:
        part = PartFile(into, length=length, sha256=sha256)
        gathered = bytearray()
        try:
            await in_thread(part.open)
            async for piece in pieces:
                gathered += piece
                if len(gathered) >= CHUNK:
                    await in_thread(partial(part.write, bytes(gathered)))
                    gathered.clear()
            await in_thread(partial(part.write, bytes(gathered)))
            await in_thread(partial(part.settle, origin))
        finally:
            part.discard()

    async def _fetched(self, wish: _Wish, take: _Take[T]) -> T:
        """Ask until there is an answer, an error that stays, or no attempt left."""
        origin = str(Origin.of(wish.uri))
        with self.breakers.watch(origin):
            for attempt in range(1, self.limits.retries + 2):
                try:
                    return await self._attempt(wish, take)
                except _PassingError as passing:
                    error, wait = passing.error, passing.wait
                error.attempts = attempt
                if attempt > self.limits.retries or wait > self.limits.longest_wait:
                    break
                delay = self.limits.backoff.delay(attempt, chance=self._chance())
                await self._clock.sleep(max(delay, wait))
            seconds = self.breakers.opens_for(origin)
            hint = f"it asks to be left alone for {wait:g} s" if wait else ""
            raise type(error)(
                error.origin, error.reason, attempts=attempt, opened_seconds=seconds, hint=hint
            ) from error.__cause__

    async def _attempt(self, wish: _Wish, take: _Take[T]) -> T:
        origin = str(Origin.of(wish.uri))
        try:
            async with asyncio.timeout(wish.timeout):
                return await self._followed(wish, take)
        except aiohttp.ClientSSLError as error:
            raise CertificateError(origin, "its certificate is not trusted") from error
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise AddressError(origin, "it cannot be used") from error
        except TimeoutError as error:
            late = TooSlowError(origin, f"the answer was not there after {wish.timeout:g} s")
            late.__cause__ = error
            raise _PassingError(late) from error
        except aiohttp.ClientConnectorError as error:
            reason = (error.strerror or "cannot be reached").lower()
            raise _PassingError(_failed(origin, reason, error)) from error
        except aiohttp.ClientResponseError as error:
            raise _PassingError(_failed(origin, "the answer is no proper HTTP", error)) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            reason = f"the connection broke ({type(error).__name__})"
            raise _PassingError(_failed(origin, reason, error)) from error

    async def _followed(self, wish: _Wish, take: _Take[T]) -> T:
        """Ask, follow where it is redirected, and take the answer."""
        uri = wish.uri
        for _ in range(self.limits.redirects + 1):
            origin = Origin.of(uri)
            if wish.hosts is not None and not wish.hosts(origin.netloc):
                if uri == wish.uri:
                    raise ArtifactHostError(str(origin), "nobody who signed may name this host")
                raise RedirectError(str(origin), "it is none of the hosts that may be asked")
            session = await self._opened()
            async with session.get(
                URL(uri, encoded=True), headers=_fields(wish, origin), allow_redirects=False
            ) as answer:
                location = answer.headers.get("location")
                if answer.status not in _REDIRECTS or location is None:
                    _check(answer, wish, origin)
                    return await take(answer, uri)
                uri = redirected(uri, location)
        count = self.limits.redirects
        raise RedirectError(str(Origin.of(wish.uri)), f"redirects more than {count} times")

    async def _opened(self) -> aiohttp.ClientSession:
        async with self._opening:
            if self._session is None:
                trust = self._trust
                if trust is None:
                    trust = await in_thread(ssl.create_default_context)
                self._session = aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(ssl=trust, limit=16),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    timeout=aiohttp.ClientTimeout(total=None),
                    trust_env=False,
                    auto_decompress=False,
                )
            return self._session


def _fields(wish: _Wish, origin: Origin) -> dict[str, str]:
    fields = {"Accept-Encoding": "identity", "User-Agent": "oneiric"}
    if wish.credential is not None:
        fields |= wish.credential.fields_for(origin)
    if wish.etag:
        fields["If-None-Match"] = wish.etag
    return fields


def _check(answer: aiohttp.ClientResponse, wish: _Wish, origin: Origin) -> None:
    """Pass if the head of the answer lets its content be read."""
    status, shown = answer.status, str(origin)
    if status == 304 and wish.etag:
        return
    if status in (404, 410):
        raise NotFoundError("document at", f"{origin}{URL(wish.uri).path}")
    if status == 429 or status >= 500:
        wait = retry_after({name.lower(): text for name, text in answer.headers.items()}) or 0.0
        raise _PassingError(FetchFailedError(shown, f"answered {status}"), wait=wait)
    if status != 200:
        raise AnswerError(shown, status)
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise EncodedError(shown, f"its content is {encoding[:20]!r}, which nobody asked for")
    declared = answer.content_length
    if declared is not None and declared > wish.limit:
        reason = f"it declares {declared} bytes, {wish.limit} are allowed"
        raise TooLongError(shown, reason)


async def _pieces(answer: aiohttp.ClientResponse, wish: _Wish) -> AsyncIterator[bytes]:
    received, declared = 0, answer.content_length
    async for piece in answer.content.iter_chunked(_PIECE):
        received += len(piece)
        if received > wish.limit:
            origin = str(Origin.of(str(answer.url)))
            answer.close()
            raise TooLongError(origin, f"it is longer than {wish.limit} bytes")
        if wish.progress is not None:
            wish.progress(received, declared)
        yield piece


async def _at_once(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _failed(origin: str, reason: str, cause: BaseException) -> FetchFailedError:
    error = FetchFailedError(origin, reason)
    error.__cause__ = cause
    return error


def _is_etag(text: str) -> bool:
    return len(text) <= _LONGEST_ETAG and text.isascii() and text.isprintable()
