"""The one way out of a page: a proxy that lets it go to allowed hosts, and to no others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple, Self
from urllib.parse import urlsplit

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PORTS: Mapping[str, int] = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_USUAL = frozenset(_PORTS.values())
_HEAD_BYTES = 1 << 18
_HEAD_SECONDS = 30.0
_CHUNK = 1 << 16
_REFUSAL = (
    b"HTTP/1.1 403 Not allowed\r\nContent-Type: text/plain\r\nContent-Length: 34\r\n"
    b"Connection: close\r\n\r\nthe check may not go to this host.\n"
)
_DROPPED = ("connection", "proxy-connection", "proxy-authorization", "keep-alive")


class Place(NamedTuple):
    """A host and a port; the names of this machine are one."""

    host: str
    port: int

    def __str__(self) -> str:
        return self.host if self.port in _USUAL else f"{self.host}:{self.port}"

    @classmethod
    def of(cls, url: str) -> Place | None:
        """Return where *url* leads, or None where that is no host.

        >>> Place.of("http://127.0.0.1:8000/x") == Place.of("ws://localhost:8000")
        True
        >>> Place.of("about:blank") is None
        True
        """
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower().rstrip("."), parts.port
        except ValueError:
            return None
        if not host or parts.scheme not in _PORTS:
            return None
        return cls(_same(host), _PORTS[parts.scheme] if port is None else port)


class AllowedHosts:
    """Tell where a page may go: to production, and to the hosts that somebody named.

    >>> hosts = AllowedHosts("http://localhost:8000", ["*.example.com", "cdn.example.org:8443"])
    >>> hosts.allows(Place("localhost", 8000)), hosts.allows(Place("a.example.com", 443))
    (True, True)
    >>> hosts.allows(Place("localhost", 6379)), hosts.allows(Place("cdn.example.org", 443))
    (False, False)
    """

    def __init__(self, prod_url: str, named: Iterable[str]) -> None:
        self._own = Place.of(prod_url)
        self._entries = [_entry(text) for text in named]

    def allows(self, place: Place | None) -> bool:
        """Tell whether a page may go there."""
        if place is None:
            return False
        if self._own is not None and self._own.host == place.host:
            ports = {self._own.port, place.port}
            if len(ports) == 1 or ports <= _USUAL:
                return True
        return any(_matches(place, host, port) for host, port in self._entries)


class Gate:
    """Stand between a page and the network: inside `async with` it listens on `address`.

    Redirects, frames, popups and sockets come by it as well, so nothing that a page does reaches
    a host that is not allowed. What is refused is counted in `refused`, by host; hosts that did
    not answer stand in `silent`, with the reason.
    """

    def __init__(self, hosts: AllowedHosts) -> None:
        self.address = ""
        self.refused: dict[str, int] = {}
        self.silent: dict[str, str] = {}
        self._hosts = hosts
        self._server: asyncio.Server | None = None
        self._callers: set[asyncio.Task[object]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_HEAD_BYTES)
        self.address = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        callers = tuple(self._callers)
        for task in callers:
            task.cancel()
        await asyncio.gather(*callers, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or self._server is None:
            writer.transport.abort()
            return
        self._callers.add(task)
        unread = (OSError, EOFError, ValueError, TimeoutError, asyncio.LimitOverrunError)
        try:
            with suppress(*unread):
                async with asyncio.timeout(_HEAD_SECONDS):
                    head = await reader.readuntil(b"\r\n\r\n")
                await self._answer(_Request.read(head), reader, writer)
        finally:
            self._callers.discard(task)
            writer.close()

    async def _answer(
        self, request: _Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        place = request.place
        if not self._hosts.allows(place):
            self.refused[str(place)] = self.refused.get(str(place), 0) + 1
            writer.write(_REFUSAL)
            await writer.drain()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(request.host, place.port)
        except OSError as error:
            self.silent[str(place)] = (error.strerror or str(error)).lower()
            return
        try:
            if request.is_tunnel:
                writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            else:
                far_writer.write(request.head)
            await _join(reader, far_writer, far_reader, writer)
        finally:
            far_writer.transport.abort()


class _Request(NamedTuple):
    """What a browser asks of a proxy: a tunnel to somewhere, or one request to hand on."""

    host: str
    place: Place
    is_tunnel: bool
    head: bytes

    @classmethod
    def read(cls, head: bytes) -> _Request:
        """Read the head of a request.

        One to hand on is made the only one of its connection, so that each comes by here.

        Raises:
            ValueError: it is none.
        """
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, target, version = first.split(" ")
        is_tunnel = method == "CONNECT"
        parts = urlsplit(f"https://{target}" if is_tunnel else target)
        place = Place.of(parts.geturl())
        if place is None or (parts.scheme == "https") is not is_tunnel:
            raise ValueError("it leads nowhere")
        kept = [line for line in lines if line.partition(":")[0].strip().lower() not in _DROPPED]
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        said = [f"{method} {path} {version}", *kept, "Connection: close", "", ""]
        return cls(parts.hostname or "", place, is_tunnel, "\r\n".join(said).encode("latin-1"))


async def _join(
    reader: asyncio.StreamReader,
    far_writer: asyncio.StreamWriter,
    far_reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Pass on in both directions, until the far end has said everything."""
    async with asyncio.TaskGroup() as group:
        up = group.create_task(_pass(reader, far_writer))
        await _pass(far_reader, writer)
        up.cancel()


async def _pass(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(_CHUNK):
            target.write(data)
            await target.drain()
        target.write_eof()


def _same(host: str) -> str:
    return "localhost" if host in _LOOPBACK else host


def _entry(text: str) -> tuple[str, int | None]:
    bare = text.strip().lower().rpartition("://")[2].rstrip("/")
    host, colon, port = bare.rpartition(":")
    if not colon or not port.isdecimal() or host.endswith(":"):
        host, port = bare, ""
    return _same(host.strip("[]").rstrip(".")), int(port) if port else None


def _matches(place: Place, host: str, port: int | None) -> bool:
    named = place.host.endswith(host[1:]) if host.startswith("*.") else place.host == host
    return named and (place.port in _USUAL if port is None else place.port == port)
