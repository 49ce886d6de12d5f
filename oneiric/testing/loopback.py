"""A real web server on this machine that remembers what it was asked, and lies when told to."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from oneiric.testing.lies import Document, Lie, Sends, Status, head

_HOST = "127.0.0.1"
_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived; the names of `fields` are in small letters."""

    method: str
    path: str
    fields: Mapping[str, str] = field(repr=False)

    @property
    def credential(self) -> str:
        """What it carried as `Authorization`, or an empty string."""
        return self.fields.get("authorization", "")


class LoopbackServer:
    """Serve documents from memory over HTTP, or over HTTPS with a context for TLS.

    A context manager; the server runs in a thread of its own, so tests may be sync or async
    and block as they like. Each answer is the end of its connection.

    >>> with LoopbackServer() as server:
    ...     server.put("/a.json", b"{}")
    ...     server.address("/a.json").startswith("http://127.0.0.1:")
    True

    Args:
        tls: certificate and key of `localhost`, to serve HTTPS.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.port = 0
        self._tls = tls
        self._documents: dict[str, Document] = {}
        self._lies: dict[str, list[Lie]] = {}
        self._always: dict[str, Lie] = {}
        self._started = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._lines: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve()), name="oneiric-loopback", daemon=True
        )
        self._thread.start()
        assert self._started.wait(_PATIENCE_SECONDS), "the server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        thread, loop, end = self._thread, self._loop, self._end
        if thread is not None and loop is not None and end is not None:
            with suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(end.set)
            thread.join(_PATIENCE_SECONDS)
            assert not thread.is_alive(), "the server did not end"

    @property
    def origin(self) -> str:
        """Scheme, host and port; the host is `localhost` over HTTPS."""
        return f"https://localhost:{self.port}" if self._tls else f"http://{_HOST}:{self.port}"

    def address(self, path: str) -> str:
        """Return the address of *path*."""
        return f"{self.origin}{path}"

    def put(self, path: str, data: bytes, *, etag: str = "") -> None:
        """Serve *data* under *path* from now on; with an *etag* it can be found unmodified."""
        self._documents[path] = Document(data, etag)

    def remove(self, path: str) -> None:
        """Serve nothing under *path* from now on."""
        self._documents.pop(path, None)

    def lie(self, path: str, *lies: Lie) -> None:
        """Answer the next requests for *path* with *lies*, one each, and then the truth again."""
        self._lies.setdefault(path, []).extend(lies)

    def always(self, path: str, lie: Lie) -> None:
        """Answer every request for *path* with *lie*, until `honest`."""
        self._always[path] = lie

    def honest(self) -> None:
        """Tell no more lies."""
        self._always.clear()
        self._lies.clear()

    def asked(self, path: str) -> list[Request]:
        """Return the requests for *path*, in the order in which they came."""
        return [request for request in list(self.requests) if request.path == path]

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._answer, _HOST, 0, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._end.wait()
        server.close()
        for task in tuple(self._lines):
            task.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._lines.add(task)
        try:
            request = await _read(reader)
            self.requests.append(request)
            await self._tell(request, writer)
            await writer.drain()
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()  # the other side has gone, or said no HTTP
        except asyncio.CancelledError:
            writer.transport.abort()  # the server ends
        finally:
            self._lines.discard(task)
            writer.close()

    async def _tell(self, request: Request, writer: asyncio.StreamWriter) -> None:
        path = request.path
        honest = self._documents.get(path)
        pending = self._lies.get(path)
        lie = pending.pop(0) if pending else self._always.get(path)
        if lie is not None:
            await lie.tell(writer, honest or Document(b""))
        elif honest is None:
            await Status(404).tell(writer, Document(b""))
        elif honest.etag and request.fields.get("if-none-match") == honest.etag:
            writer.write(head(304, {"ETag": honest.etag}))
        elif honest.etag:
            fields = {"ETag": honest.etag, "Content-Length": str(len(honest.data))}
            writer.write(head(200, fields) + honest.data)
        else:
            await Sends(honest.data).tell(writer, honest)


async def _read(reader: asyncio.StreamReader) -> Request:
    """Read the head of a request; a body is none of our business."""
    text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = text.rstrip().split("\r\n")
    method, path, _ = first.split(" ")
    fields = (line.partition(":") for line in lines)
    return Request(method, path, {name.lower(): value.strip() for name, _, value in fields})
