"""An HTTP client on aiohttp."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import ClassVar, Unpack

import aiohttp
from pydantic import Field, SecretStr
from yarl import URL

from oneiric.adapters.http.call import REDIRECTS, Call, prepare
from oneiric.adapters.settings import AdapterSettings
from oneiric.core.health import HealthReport
from oneiric.ports.errors import (
    AdapterError,
    InvalidRequestError,
    PermissionDeniedError,
    UnavailableError,
)
from oneiric.ports.http import Headers, HTTPResponse, HTTPStream, HTTPVerbs, RequestOptions, origin
from oneiric.tls import read_trust

CHUNK_SIZE = 64 * 1024


class AiohttpClientSettings(AdapterSettings):
    """Name the usual host and what every request to it carries, and bound the answers.

    `headers` go to the host of `base_url` only, or to every host where there is
    none. `ca_file` names the authorities to trust instead of the system's.
    """

    base_url: str = ""
    headers: Mapping[str, SecretStr] = Field(default_factory=dict)
    timeout: float = Field(default=10.0, gt=0)
    healthcheck_path: str = "/"
    healthcheck_timeout: float = Field(default=2.0, gt=0)
    max_response_bytes: int = Field(default=16 * 1024 * 1024, ge=1)
    max_redirects: int = Field(default=5, ge=0)
    max_connections: int = Field(default=100, ge=1)
    ca_file: Path | None = None


class AiohttpClient(HTTPVerbs):
    """Call others over HTTP/1.1 with aiohttp; no cookies are kept, no proxy is guessed."""

    capabilities: ClassVar[frozenset[str]] = frozenset({"http", "rest", "stream"})

    def __init__(self, settings: AiohttpClientSettings | None = None) -> None:
        self._settings = settings or AiohttpClientSettings()
        self._headers = {
            name: text.get_secret_value() for name, text in self._settings.headers.items()
        }
        self._session: aiohttp.ClientSession | None = None

    async def init(self) -> None:
        """Read the authorities to trust and open the pool of connections.

        Raises:
            InvalidRequestError: `ca_file` cannot be read or holds no certificate.
        """
        if self._session is not None:
            return
        trust = await read_trust(self._settings.ca_file, backend="http")
        if self._session is not None:  # another `init` was quicker
            return
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust, limit=self._settings.max_connections),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            trust_env=False,
        )

    async def health(self) -> HealthReport:
        """Tell whether `healthcheck_path` below `base_url` answers with less than 500, or why not.

        Without a `base_url` there is nobody to ask: healthy while it is up.
        """
        if not self._settings.base_url:
            up = self._session is not None
            return HealthReport(up, detail="" if up else "the client is not up")
        path, limit = self._settings.healthcheck_path, self._settings.healthcheck_timeout
        try:
            answer = await self.get(path, timeout=limit)
        except AdapterError as error:
            return HealthReport(healthy=False, detail=error.message)
        healthy = answer.status_code < 500
        detail = "" if healthy else f"{origin(answer.url)}: answered {answer.status_code}"
        return HealthReport(healthy, detail=detail)

    async def cleanup(self) -> None:
        """Close all connections; calls in flight fail with `UnavailableError`."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def request(
        self, method: str, url: str, **options: Unpack[RequestOptions]
    ) -> HTTPResponse:
        """Send a request and return the whole answer, whatever its status."""
        call = self._prepared(method, url, options)
        with _translated(call.origin):
            async with (
                asyncio.timeout(options.get("timeout") or self._settings.timeout),
                self._answer(call, aiohttp.ClientTimeout(total=None), options) as answer,
            ):
                return HTTPResponse(
                    status_code=answer.status,
                    headers=_headers(answer),
                    content=await self._content(answer),
                    url=str(answer.url),
                )

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, **options: Unpack[RequestOptions]
    ) -> AsyncIterator[HTTPStream]:
        """Send a request and read its answer piece by piece, inside `async with`."""
        call = self._prepared(method, url, options)
        limit = options.get("timeout") or self._settings.timeout
        silence = aiohttp.ClientTimeout(total=None, connect=limit, sock_read=limit)
        async with AsyncExitStack() as held:
            with _translated(call.origin):
                answer = await held.enter_async_context(self._answer(call, silence, options))
            yield _Stream(answer, call.origin)

    def _prepared(self, method: str, url: str, options: RequestOptions) -> Call:
        base_url = self._settings.base_url
        return prepare(method, url, options, base_url=base_url, headers=self._headers)

    @asynccontextmanager
    async def _answer(
        self, call: Call, timeout: aiohttp.ClientTimeout, options: RequestOptions
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send *call*, follow where it is redirected, and hold the last answer."""
        follow = options.get("follow")
        for _ in range(self._settings.max_redirects + 1):
            if self._session is None:
                raise UnavailableError(call.origin, "the client is not up")
            async with self._session.request(
                call.method,
                URL(call.url),
                headers=call.headers,
                data=call.content,
                allow_redirects=False,
                timeout=timeout,
            ) as answer:
                location = answer.headers.get("location")
                if answer.status not in REDIRECTS or location is None:
                    yield answer
                    return
                redirected = call.redirected(answer.status, location)
                if follow is not None and not follow(redirected.url):
                    yield answer
                    return
                call = redirected
        limit = self._settings.max_redirects
        raise AdapterError(call.origin, f"redirects more than {limit} times")

    async def _content(self, answer: aiohttp.ClientResponse) -> bytes:
        limit = self._settings.max_response_bytes
        content = bytearray()
        async for piece in answer.content.iter_chunked(CHUNK_SIZE):
            content += piece
            if len(content) > limit:
                answer.close()
                place = origin(str(answer.url))
                raise AdapterError(place, f"the answer is longer than {limit} bytes")
        return bytes(content)


class _Stream:
    """Read an aiohttp answer as the port says."""

    def __init__(self, answer: aiohttp.ClientResponse, backend: str) -> None:
        self._answer = answer
        self._backend = backend
        self.status_code = answer.status
        self.headers = _headers(answer)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the content as it comes."""
        pieces = self._answer.content.iter_chunked(CHUNK_SIZE)
        while True:
            with _translated(self._backend):
                piece = await anext(pieces, None)
            if piece is None:
                return
            yield piece


def _headers(answer: aiohttp.ClientResponse) -> Headers:
    """Return the headers as UTF-8, or those that are none as Latin-1, which every byte is."""
    return Headers((name.decode("latin-1"), _text(value)) for name, value in answer.raw_headers)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


@contextmanager
def _translated(backend: str) -> Iterator[None]:
    """Turn aiohttp's errors inside the block into the port's; none quotes a URL."""
    try:
        yield
    except aiohttp.ClientSSLError as error:
        raise PermissionDeniedError(backend, "its certificate is not trusted") from error
    except aiohttp.InvalidURL as error:
        raise InvalidRequestError(backend, "the address cannot be used") from error
    except aiohttp.ClientConnectorError as error:
        raise UnavailableError(backend, error.strerror or "cannot be reached") from error
    except TimeoutError as error:
        raise UnavailableError(backend, "took too long") from error
    except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError) as error:
        raise UnavailableError(backend, "the connection broke") from error
    except aiohttp.ClientError as error:
        raise AdapterError(backend, f"no HTTP answer ({type(error).__name__})") from error
    except ValueError as error:
        raise InvalidRequestError(backend, "a method or header cannot be sent") from error
