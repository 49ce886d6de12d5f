"""Call others over HTTP, with answers that belong to no library."""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Protocol, TypedDict, Unpack
from urllib.parse import urlsplit

from oneiric.core.ref import ComponentRef
from oneiric.errors import JSONValue
from oneiric.ports import errors
from oneiric.ports.adapter import Adapter


class Headers(Mapping[str, str]):
    """Read header fields by name in any case; a repeated field is joined by commas.

    >>> Headers([("Set-Cookie", "a"), ("X-Id", "1"), ("x-id", "2")])["X-ID"]
    '1, 2'
    """

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields: dict[str, str] = {}
        for name, value in fields:
            before = self._fields.get(name.lower())
            self._fields[name.lower()] = value if before is None else f"{before}, {value}"

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"Headers({', '.join(self._fields)})"


@dataclass(frozen=True, slots=True)
class HTTPResponse:
    """Hold a whole answer; any status code is an answer, only silence is an error.

    >>> answer = HTTPResponse(200, Headers([("Content-Type", "application/json")]), b'{"a": 1}')
    >>> answer.ok, answer.json()
    (True, {'a': 1})
    """

    status_code: int
    headers: Headers
    content: bytes
    url: str = ""

    @property
    def ok(self) -> bool:
        """Whether the status code is below 400."""
        return self.status_code < 400

    @property
    def text(self) -> str:
        """The content by the charset it names, UTF-8 without one; bad bytes are replaced."""
        kind = Message()
        kind["content-type"] = self.headers.get("content-type", "")
        try:
            return self.content.decode(kind.get_content_charset("utf-8"), errors="replace")
        except LookupError:
            return self.content.decode(errors="replace")

    def json(self) -> JSONValue:
        """Return the content as JSON.

        Raises:
            AdapterError: it is not JSON; the content is not shown.
        """
        try:
            value: JSONValue = json.loads(self.content)
        except ValueError as error:
            raise errors.AdapterError(origin(self.url), "the answer is not JSON") from error
        return value

    def expect_ok(self) -> "HTTPResponse":
        """Return itself, or raise what its status means in the house's words.

        Raises:
            AdapterError: 401, 403, 404, 409, 410, 412, 429, other 4xx and 5xx,
                each as the error of that meaning.
        """
        if self.ok:
            return self
        raise _error(self)


class HTTPStream(Protocol):
    """Read an answer piece by piece while its connection is held."""

    @property
    def status_code(self) -> int:
        """The status code of the answer."""
        ...

    @property
    def headers(self) -> Headers:
        """The header fields of the answer."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the content as it comes; no limit of size holds here.

        Raises:
            UnavailableError: the connection broke or fell silent.
        """
        ...


class RequestOptions(TypedDict, total=False):
    """Say what a request carries; at most one of `json`, `content` and `data`.

    `params` is added to the query, `json` is sent as JSON (None sends no body),
    `content` as it is, `data` as a form. `timeout` is in seconds above zero: for the
    whole answer, or in a stream for each piece. `follow` is asked, with its address, before
    each redirect is followed; where it says no, the redirect itself is the answer.
    """

    params: Mapping[str, str] | None
    headers: Mapping[str, str] | None
    json: JSONValue
    content: bytes | None
    data: Mapping[str, str] | None
    timeout: float | None
    follow: Callable[[str], bool] | None


class HTTPClient(Adapter, Protocol):
    """Call others over HTTP.

    Certificates are always verified, redirects bounded, never from https to
    http, and credentials dropped when they lead to another host. A relative
    *url* is joined to the provider's `base_url`. Every call may raise
    `InvalidRequestError`, `PermissionDeniedError` (certificate or redirect refused),
    `UnavailableError` and, for an answer above the size limit, `AdapterError`.
    """

    async def request(
        self, method: str, url: str, **options: Unpack[RequestOptions]
    ) -> HTTPResponse:
        """Send a request and return the whole answer, whatever its status."""
        ...

    async def get(self, url: str, **options: Unpack[RequestOptions]) -> HTTPResponse:
        """Send a GET request."""
        ...

    async def post(self, url: str, **options: Unpack[RequestOptions]) -> HTTPResponse:
        """Send a POST request."""
        ...

    async def put(self, url: str, **options: Unpack[RequestOptions]) -> HTTPResponse:
        """Send a PUT request."""
        ...

    async def patch(self, url: str, **options: Unpack[RequestOptions]) -> HTTPResponse:
        """Send a PATCH request."""
        ...

    async def delete(self, url: str, **options: Unpack[RequestOptions]) -> HTTPResponse:
        """Send a DELETE request."""
        ...

    async def head(self, url: str, **options: Unpack[RequestOptions]) -> HTTPResponse:
        """Send a HEAD request."""
        ...

    def stream(
        self, method: str, url: str, **options: Unpack[RequestOptions]
    ) -> AbstractAsyncContextManager[HTTPStream]:
        """Send a request and read its answer piece by piece, inside `async with`."""
        ...


class HTTPVerbs:
    """Give a client that has `request` its `get`, `post`, `put`, `patch`, `delete` and `head`."""

    async def get(self: HTTPClient, url: str, **options: Unpack[RequestOptions]) -> HTTPResponse:
        """Send a GET request."""
        return await self.request("GET", url, **options)

    async def post(self: HTTPClient, url: str, **options: Unpack[RequestOptions]) -> HTTPResponse:
        """Send a POST request."""
        return await self.request("POST", url, **options)

    async def put(self: HTTPClient, url: str, **options: Unpack[RequestOptions]) -> HTTPResponse:
        """Send a PUT request."""
        return await self.request("PUT", url, **options)

    async def patch(self: HTTPClient, url: str, **options: Unpack[RequestOptions]) -> HTTPResponse:
        """Send a PATCH request."""
        return await self.request("PATCH", url, **options)

    async def delete(self: HTTPClient, url: str, **options: Unpack[RequestOptions]) -> HTTPResponse:
        """Send a DELETE request."""
        return await self.request("DELETE", url, **options)

    async def head(self: HTTPClient, url: str, **options: Unpack[RequestOptions]) -> HTTPResponse:
        """Send a HEAD request."""
        return await self.request("HEAD", url, **options)


HTTP: ComponentRef[HTTPClient] = ComponentRef("adapter:http")


def origin(url: str) -> str:
    """Return scheme, host and port of *url*: what may be shown of it.

    >>> origin("https://user:secret@example.com/path?token=1")
    'https://example.com'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else "http"


def _error(answer: HTTPResponse) -> errors.AdapterError:
    backend, status = origin(answer.url), answer.status_code
    reason = f"answered {status}"
    if status in (401, 403):
        return errors.PermissionDeniedError(backend, reason)
    if status in (404, 410):
        return errors.NotFoundError(backend, "resource", urlsplit(answer.url).path or "/")
    if status in (409, 412):
        return errors.ConflictError(backend, reason)
    if status == 429:
        return errors.RateLimitedError(backend, reason, retry_after=retry_after(answer.headers))
    if status in (408, 425) or status >= 500:
        error = errors.UnavailableError(backend, reason)
        error.retry_after = retry_after(answer.headers)
        return error
    return errors.InvalidRequestError(backend, reason)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that `Retry-After` asks for, as a count or as a date, else None.

    A date counts from the answer's own `Date`, so no clock of ours is involved.

    >>> retry_after({"retry-after": "120"})
    120.0
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
        since = parsedate_to_datetime(headers.get("date", ""))
        return max(0.0, (until - since).total_seconds())
    except (ValueError, TypeError):
        return None
