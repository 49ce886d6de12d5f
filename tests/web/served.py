"""An application to ask, and raw words to ask it with."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from oneiric.errors import LockedError, NotFoundError, PausedError
from oneiric.web.app import application
from oneiric.web.auth import Authenticate
from oneiric.web.errors import json_response
from oneiric.web.health import health_routes
from oneiric.web.limits import WebLimits, read_json
from oneiric.web.serve import TCP, served


async def echo(request: web.Request) -> web.Response:
    """Answer with what was sent."""
    return json_response(await read_json(request))


async def fail(request: web.Request) -> web.Response:
    """Fail as asked."""
    match request.query["with"]:
        case "paused":
            raise PausedError("adapter:cache", "paused")
        case "locked":
            raise LockedError("somebody has it")
        case "missing":
            raise NotFoundError("thing", "x")
        case _:
            raise RuntimeError("hunter2 is the password")


ROUTES = (web.post("/echo", echo), web.get("/fail", fail))


@asynccontextmanager
async def serving(
    routes: Iterable[web.RouteDef] = (),
    *,
    limits: WebLimits | None = None,
    authenticate: Authenticate | None = None,
    grace: float = 5.0,
) -> AsyncIterator[int]:
    """Serve on a free port, and give it."""
    every = [*ROUTES, *health_routes(metrics=lambda: "up 1\n"), *routes]
    app = application(every, limits=limits, authenticate=authenticate)
    async with served(app, TCP(), grace=grace) as where:
        yield where.port


def request(
    method: str, path: str, body: bytes | None = None, *fields: str, kind: str = "application/json"
) -> bytes:
    """Return the bytes of a request that ends its connection."""
    head = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", *fields]
    if body is not None:
        head += [f"Content-Length: {len(body)}", f"Content-Type: {kind}"]
    return "\r\n".join([*head, "", ""]).encode() + (body or b"")


async def say(port: int, data: bytes) -> tuple[int, dict[str, str], Any]:
    """Send *data* and return status, fields and body of the answer, JSON read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        return await answer(reader)
    finally:
        writer.close()


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], Any]:
    """Read an answer to its end."""
    async with asyncio.timeout(60):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
        fields = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:])
        }
        body = await reader.readexactly(int(fields.get("content-length", "0")))
    is_json = fields.get("content-type", "").startswith("application/json")
    return int(head[0].split()[1]), fields, json.loads(body) if is_json else body.decode()
