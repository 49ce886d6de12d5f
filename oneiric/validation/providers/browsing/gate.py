"""The one way out of a page: a proxy that lets it go to allowed hosts, and to no others."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from oneiric.kept import Kept
from oneiric.validation.hosts import HostRefusedError, Hosts, Place

_HEAD_BYTES = 1 << 18
_HEAD_SECONDS = 30.0
_CHUNK = 1 << 16
_REFUSAL = (
    b"HTTP/1.1 403 Not allowed\r\nContent-Type: text/plain\r\nContent-Length: 34\r\n"
    b"Connection: close\r\n\r\nthe check may not go to this host.\n"
)
_DROPPED = ("connection", "proxy-connection", "proxy-authorization", "keep-alive")


class Gate:
    """Stand between a page and the network: inside `async with` it listens on `address`.

    Redirects, frames, popups and sockets come by it as well, so nothing that a page does reaches
    a host that is not allowed. What is refused is counted in `refused`, by host; hosts that did
    not answer stand in `silent`, with the reason.
    """

    def __init__(self, hosts: Hosts) -> None:
        self.address = ""
        self.refused: dict[str, int] = {}
        self.silent: dict[str, str] = {}
        self._hosts = hosts
        self._server: asyncio.Server | None = None
        self._callers = Kept()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._call, "127.0.0.1", 0, limit=_HEAD_BYTES)
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

    def _call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:
            writer.transport.abort()
            return
        self._callers.start(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        unread = (OSError, EOFError, ValueError, TimeoutError, asyncio.LimitOverrunError)
        try:
            with suppress(*unread):
                async with asyncio.timeout(_HEAD_SECONDS):
                    head = await reader.readuntil(b"\r\n\r\n")
                await self._answer(_Request.read(head), reader, writer)
        except asyncio.CancelledError:
            return  # the page is closed; asyncio would tell of it as of a fault
        finally:
            writer.close()

    async def _answer(
        self, request: _Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        place = request.place
        try:
            if not self._hosts.allows(place):
                raise HostRefusedError(f"{place} is not allowed")
            far_reader, far_writer = await self._connected(request)
        except HostRefusedError:
            self.refused[str(place)] = self.refused.get(str(place), 0) + 1
            writer.write(_REFUSAL)
            await writer.drain()
            return
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

    async def _connected(
        self, request: _Request
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a connection to the first address of a host that answers, of those it may."""
        port, kind = request.place.port, socket.SOCK_STREAM
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(request.host, port, type=kind)
        addresses = [str(where[0]) for *_, where in found]
        allowed = [each for each in addresses if self._hosts.allows_address(each, port)]
        if not allowed:
            raise HostRefusedError(f"{request.place} leads where it may not")
        for address in allowed[:-1]:
            with suppress(OSError):
                return await asyncio.open_connection(address, port)
        return await asyncio.open_connection(allowed[-1], port)


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
