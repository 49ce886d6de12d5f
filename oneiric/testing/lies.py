"""What a server may answer instead of the truth, each lie an object to hand to a simulator."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Document:
    """What a server has under a path, and what it calls this version of it."""

    data: bytes = field(repr=False)
    etag: str = ""


class Lie(Protocol):
    """Answer a request in place of the server."""

    async def tell(self, line: asyncio.StreamWriter, honest: Document) -> None:
        """Write an answer to *line*, which is closed afterwards; *honest* would be the truth."""
        ...


def head(status: int, fields: Mapping[str, str]) -> bytes:
    """Return the first lines of an answer, up to and with the empty one.

    >>> head(304, {"ETag": '"1"'})
    b'HTTP/1.1 304 Not Modified\\r\\nETag: "1"\\r\\nConnection: close\\r\\n\\r\\n'
    """
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}"]
    lines += [f"{name}: {text}" for name, text in fields.items()]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode()


@dataclass(frozen=True, slots=True)
class Status(Lie):
    """Answer with this status, and with `Retry-After` where that is given."""

    status: int
    retry_after: str = ""

    async def tell(self, line: asyncio.StreamWriter, honest: Document) -> None:
        fields = {"Content-Length": "0"}
        if self.retry_after:
            fields["Retry-After"] = self.retry_after
        line.write(head(self.status, fields))


@dataclass(frozen=True, slots=True)
class RedirectTo(Lie):
    """Redirect to an address, to the same path elsewhere, or round in circles."""

    uri: str
    status: int = 302

    async def tell(self, line: asyncio.StreamWriter, honest: Document) -> None:
        line.write(head(self.status, {"Location": self.uri, "Content-Length": "0"}))


@dataclass(frozen=True, slots=True)
class Sends(Lie):
    """Send other bytes: an older version, other content, another type, anything."""

    data: bytes = field(repr=False)

    async def tell(self, line: asyncio.StreamWriter, honest: Document) -> None:
        line.write(head(200, {"Content-Length": str(len(self.data))}) + self.data)


@dataclass(frozen=True, slots=True)
class NotModified(Lie):
    """Say that nothing changed, asked or not."""

    etag: str = ""

    async def tell(self, line: asyncio.StreamWriter, honest: Document) -> None:
        line.write(head(304, {"ETag": self.etag or honest.etag}))


@dataclass(frozen=True, slots=True)
class Declares(Lie):
    """Send the truth under another `Content-Length`."""

    length: int

    async def tell(self, line: asyncio.StreamWriter, honest: Document) -> None:
        line.write(head(200, {"Content-Length": str(self.length)}) + honest.data)


@dataclass(frozen=True, slots=True)
class Truncated(Lie):
    """Promise the whole, send its first bytes, and hang up."""

    after: int = 10

    async def tell(self, line: asyncio.StreamWriter, honest: Document) -> None:
        line.write(head(200, {"Content-Length": str(len(honest.data))}))
        line.write(honest.data[: self.after])


@dataclass(frozen=True, slots=True)
class Endless(Lie):
    """Send chunks, 64 KiB each, until the other side goes."""

    async def tell(self, line: asyncio.StreamWriter, honest: Document) -> None:
        line.write(head(200, {"Transfer-Encoding": "chunked"}))
        while True:
            line.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
            await line.drain()


@dataclass(frozen=True, slots=True)
class EndlessHead(Lie):
    """Send header fields until the other side goes."""

    async def tell(self, line: asyncio.StreamWriter, honest: Document) -> None:
        line.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            line.write(b"X-More: " + b"x" * 4096 + b"\r\n")
            await line.drain()


@dataclass(frozen=True, slots=True)
class Drips(Lie):
    """Send the truth, one byte at a time, `seconds` apart."""

    seconds: float = 1.0

    async def tell(self, line: asyncio.StreamWriter, honest: Document) -> None:
        line.write(head(200, {"Content-Length": str(len(honest.data))}))
        for byte in honest.data:
            line.write(bytes((byte,)))
            await line.drain()
            await asyncio.sleep(self.seconds)


@dataclass(frozen=True, slots=True)
class Silent(Lie):
    """Take the request, and never answer."""

    async def tell(self, line: asyncio.StreamWriter, honest: Document) -> None:
        await asyncio.Event().wait()


@dataclass(frozen=True, slots=True)
class HangsUp(Lie):
    """Break the connection without a word."""

    async def tell(self, line: asyncio.StreamWriter, honest: Document) -> None:
        line.transport.abort()


@dataclass(frozen=True, slots=True)
class Garbage(Lie):
    """Answer with what is no HTTP."""

    async def tell(self, line: asyncio.StreamWriter, honest: Document) -> None:
        line.write(b"\x00\xff not http at all\r\n\r\n")


@dataclass(frozen=True, slots=True)
class Gzipped(Lie):
    """Send what nobody asked for: gzip, of the truth or of `zeros` zero bytes, a bomb."""

    zeros: int = 0

    async def tell(self, line: asyncio.StreamWriter, honest: Document) -> None:
        data = gzip.compress(bytes(self.zeros) if self.zeros else honest.data)
        fields = {"Content-Encoding": "gzip", "Content-Length": str(len(data))}
        line.write(head(200, fields) + data)
