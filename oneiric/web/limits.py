"""How much a client may ask of a server: length, depth, time, connections."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import HttpVersion11, web

from oneiric.documents import DocumentLimits, parse
from oneiric.errors import JSONValue
from oneiric.web.errors import (
    BadRequestError,
    CrowdedError,
    Handler,
    MediaTypeError,
    SlowRequestError,
    TooLargeError,
    error_response,
)

_JSON = "application/json"
_RESERVE = 64
"""Descriptors that the rest of the process keeps for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebLimits:
    """Bound what clients of a server may cost.

    Args:
        documents: length, depth and number of values of a JSON body.
        idle_seconds: for the whole head of a request, counted from the connection or from the
            answer before it; so also for a connection on which nothing is asked.
        body_seconds: for the whole body, and for the client to take what is left of an answer.
        connections: at a time; beyond that the one that is idle longest is closed, and where
            none is idle the new one is refused. Fewer where the system allows fewer files.
    """

    documents: DocumentLimits = field(default_factory=DocumentLimits)
    idle_seconds: float = 30.0
    body_seconds: float = 30.0
    connections: int = 2_000


LIMITS = web.AppKey("limits", WebLimits)
ASKED = web.RequestKey("asked", bool)
"""Under which key a request tells that its body was asked for."""


async def read_json(request: web.Request, *, also: str = _JSON) -> JSONValue:
    """Return the body of a request, which must be one strict JSON value.

    It says that it is `application/json`, or the media type *also*.

    Raises:
        MediaTypeError: it does not say that it is JSON, or is compressed.
        TooLargeError, SlowRequestError: it is longer, or takes longer, than is allowed.
        DocumentError: it is no such value.
    """
    limits = request.app[LIMITS]
    if request.content_type not in (_JSON, also):
        raise MediaTypeError(f"the body must be {_JSON}", hint=f"Content-Type: {_JSON}")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise MediaTypeError("the body must not be compressed")
    most = limits.documents.max_bytes
    if (request.content_length or 0) > most:
        raise TooLargeError(most)
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_seconds):
            await _ask_for_body(request)
            while chunk := await request.content.readany():
                body += chunk
                if len(body) > most:
                    raise TooLargeError(most)
    except TimeoutError:
        message = f"the body was not there after {limits.body_seconds:g} s"
        raise SlowRequestError(message) from None
    return parse(bytes(body), "json", source="body", limits=limits.documents)


async def held_back(_request: web.Request) -> None:
    """Leave a client waiting that sends its body only when asked for it: `read_json` asks."""


async def _ask_for_body(request: web.Request) -> None:
    if _waits(request) and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # nothing of the answer is sent yet
    request[ASKED] = True


def _waits(request: web.Request) -> bool:
    return request.headers.get("Expect", "").lower() == "100-continue"


class Crowd:
    """Everybody connected to one server, and what is done for them."""

    def __init__(self, limits: WebLimits) -> None:
        self.limits = limits
        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        system = limits.connections if allowed == resource.RLIM_INFINITY else allowed - _RESERVE
        self.most = max(1, min(limits.connections, system))
        self.connections: dict[Connection, None] = {}
        self.tasks: set[asyncio.Task[Any]] = set()

    def make_room(self) -> bool:
        """Tell if there is room for one more, once the one that is idle longest was closed."""
        if len(self.connections) < self.most:
            return True
        idle = next((each for each in self.connections if not each.is_busy), None)
        if idle is not None:
            self.connections.pop(idle)
            idle.force_close()
        return idle is not None


class Connection(web.RequestHandler):
    """One connection, which ends when it is idle too long, and speaks no HTML."""

    def __init__(self, server: web.Server, crowd: Crowd, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            server,
            loop=loop,
            keepalive_timeout=crowd.limits.idle_seconds,
            access_log=None,  # type: ignore[arg-type]
            auto_decompress=False,
        )
        self.is_busy = False
        self._crowd = crowd
        self._task: asyncio.Task[Any] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or say that there are too many."""
        if self._crowd.make_room():
            self._crowd.connections[self] = None
            super().connection_made(transport)
            return
        assert isinstance(transport, asyncio.Transport)
        transport.write(_refusal())
        transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget it; what is under way for it goes on."""
        self._crowd.connections.pop(self, None)
        super().connection_lost(exc)
        if self._task is not None and not self.is_busy:  # it waits for the rest of a body
            self._task.cancel()

    async def start(self) -> None:
        """Answer one request after the other, as a task that somebody waits for."""
        self._task = asyncio.current_task()
        assert self._task is not None
        self._crowd.tasks.add(self._task)
        try:
            await super().start()
        finally:
            self._crowd.tasks.discard(self._task)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer, which its client must take; from then on the connection is idle."""
        try:
            async with asyncio.timeout(self._crowd.limits.body_seconds):
                return await super().finish_response(request, resp, start_time)
        except TimeoutError:
            if self.transport is not None:
                self.transport.abort()
            return resp, True
        finally:
            self.is_busy = False
            if self in self._crowd.connections:  # now the one that is idle for the shortest time
                self._crowd.connections[self] = self._crowd.connections.pop(self)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return what is told to who speaks no HTTP; the log hears nothing of it."""
        if request.writer.output_size > 0:
            raise ConnectionError("a part of the answer is sent already")
        response = error_response(BadRequestError("this is no request that can be understood"))
        response.force_close()
        return response

    def log_exception(self, *args: Any, **keys: Any) -> None:
        """Log nothing: what is our own fault was logged where it was caught."""


@web.middleware
async def occupied(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a connection count as busy until its request is answered.

    It ends then if its client still waits to be asked for a body: nobody knows whether that comes.
    """
    connection = request.protocol
    if isinstance(connection, Connection):
        connection.is_busy = True
    response = await handler(request)
    if _waits(request) and not request.get(ASKED):
        response.force_close()
    return response


def _refusal() -> bytes:
    body = error_response(CrowdedError("there are too many connections")).body
    assert isinstance(body, bytes)
    fields: Mapping[str, str] = {
        "Content-Type": "application/json; charset=utf-8",
        "Content-Length": str(len(body)),
        "Connection": "close",
        "Retry-After": "1",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 503 Service Unavailable\r\n{head}\r\n".encode() + body
