"""What clients may ask of a server, and that a few of them cannot keep it from the others."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack

import pytest
from aiohttp import web

from oneiric.documents import DocumentLimits
from oneiric.errors import UnauthenticatedError
from oneiric.web.errors import json_response
from oneiric.web.limits import WebLimits
from tests.web.served import answer, request, say, serving


async def test_a_client_that_never_ends_its_head_is_let_go() -> None:
    """The whole head has one limit, however often a byte of it arrives."""
    async with serving(limits=WebLimits(idle_seconds=0.3)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for byte in b"GET /healthz HTTP/1.1\r\n":
                writer.write(bytes([byte]))
                await asyncio.sleep(0.05)
        except ConnectionError:
            pass
        try:
            async with asyncio.timeout(60):
                assert await reader.read() == b""
        except ConnectionError:
            pass
        writer.close()


async def test_a_client_that_never_ends_its_body_is_told() -> None:
    """The whole body has one limit as well."""
    async with serving(limits=WebLimits(body_seconds=0.2)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("POST", "/echo", b"{}")[:-1])
        status, _, body = await answer(reader)
        writer.close()
    assert (status, body["error"]["code"]) == (408, "request-timeout")


async def test_defect_a_body_is_asked_for_only_when_it_is_to_be_read() -> None:
    """Who is not let in, or asks amiss, is told so at once, and the connection ends."""

    async def nobody(_headers: Mapping[str, str]) -> object:
        raise UnauthenticatedError("nobody is known")

    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: "
    json_, text = b"\r\nContent-Type: application/json", b"\r\nContent-Type: text/plain"
    long = str(WebLimits().documents.max_bytes + 1).encode()
    async with serving(authenticate=nobody) as port:
        refused = await _all_of(port, head + b"2" + json_ + b"\r\n\r\n")
    async with serving() as port:
        amiss = await _all_of(port, head + b"2" + text + b"\r\n\r\n")
        too_long = await _all_of(port, head + long + json_ + b"\r\n\r\n")

    told = [each.partition(b"\r\n")[0].split()[1] for each in (refused, amiss, too_long)]
    assert told == [b"401", b"415", b"413"]


async def test_a_body_that_is_to_be_read_is_asked_for() -> None:
    """By the answer 100 to who waits for it; the connection serves on."""
    asked = b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n"
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(asked + b"Content-Type: application/json\r\n\r\n")
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"{}")
            assert (await answer(reader))[0] == 200
        writer.close()


async def _all_of(port: int, asked: bytes) -> bytes:
    """Return all that is said until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(asked)
    async with asyncio.timeout(60):
        said = await reader.read()
    writer.close()
    return said


async def test_a_client_that_takes_no_answer_is_let_go() -> None:
    """However much it asks for: it keeps no place from others, and nothing in memory."""

    async def much(_: web.Request) -> web.Response:
        return web.Response(body=bytes(16 << 20))

    limits = WebLimits(body_seconds=0.3, connections=1)
    async with serving([web.get("/much", much)], limits=limits) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        writer.write(b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(60):
            while (await say(port, request("GET", "/healthz")))[0] != 200:
                pass
        writer.close()


async def test_a_connection_on_which_nothing_is_asked_ends() -> None:
    """An idle one is closed, before its first request and after one."""
    async with serving(limits=WebLimits(idle_seconds=0.2)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(60):
            assert await reader.read() == b""
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await answer(reader))[0] == 200
        async with asyncio.timeout(60):
            assert await reader.read() == b""
        writer.close()


async def test_a_body_without_a_length_has_the_same_limit() -> None:
    """What is sent in chunks is counted as it comes."""
    limits = WebLimits(documents=DocumentLimits(max_bytes=100))
    async with serving(limits=limits) as port:
        head = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        chunks = b"40\r\n" + b"x" * 64 + b"\r\n"
        data = head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + chunks * 3 + b"0\r\n\r\n"
        status, _, body = await say(port, data)
    assert (status, body["error"]["code"]) == (413, "too-large")


async def test_a_thousand_idle_connections_keep_nobody_out() -> None:
    """Others are answered while 1,000 connections say nothing."""
    async with serving() as port, AsyncExitStack() as stack:
        for _ in range(1_000):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            stack.callback(writer.close)
        assert (await say(port, request("POST", "/echo", b"[1]")))[2] == [1]


async def test_with_too_many_connections_the_idle_ones_go_first() -> None:
    """A new one takes the place of the one that is idle longest."""
    async with serving(limits=WebLimits(connections=2)) as port, AsyncExitStack() as stack:
        idle = []
        for _ in range(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            stack.callback(writer.close)
            idle.append((reader, writer))
        assert (await say(port, request("POST", "/echo", b"[1]")))[2] == [1]
        async with asyncio.timeout(60):
            assert await idle[0][0].read() == b""
        idle[1][1].write(request("GET", "/healthz"))
        assert (await answer(idle[1][0]))[0] == 200


async def test_with_too_many_at_work_the_new_one_is_refused() -> None:
    """Nobody who is being answered is cut off."""
    go, began = asyncio.Event(), asyncio.Event()

    async def wait(_request: web.Request) -> web.Response:
        began.set()
        await go.wait()
        return json_response("done")

    limits = WebLimits(connections=1)
    async with serving([web.get("/wait", wait)], limits=limits) as port:
        first = asyncio.create_task(say(port, request("GET", "/wait")))
        await began.wait()
        status, fields, body = await say(port, b"")
        go.set()
        assert (status, body["error"]["code"]) == (503, "too-many-connections")
        assert fields["retry-after"] == "1"
        assert (await first)[2] == "done"


@pytest.mark.parametrize("deep", [64, 65])
async def test_depth_is_counted(deep: int) -> None:
    """One level more than is allowed is refused."""
    async with serving() as port:
        status, _, _ = await say(port, request("POST", "/echo", b"[" * deep + b"]" * deep))
    assert status == (200 if deep == 64 else 400)
