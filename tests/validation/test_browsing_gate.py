"""The way out of a page, without a browser."""

import asyncio
from urllib.parse import urlsplit

from oneiric.validation.hosts import Hosts
from oneiric.validation.providers.browsing.gate import Gate


async def test_a_caller_that_is_cut_off_is_not_told_as_an_error() -> None:
    """What still talks when a check ends, as by Ctrl-C, is ended without a traceback."""
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: told.append(what))
    async with Gate(Hosts("http://127.0.0.1:1", [])) as gate:
        parts = urlsplit(gate.address)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(b"GET http://127.0.0.1:1/ HTTP/1.1\r\n")
        await writer.drain()
        while not gate._callers:  # noqa: ASYNC110  nothing tells that it was taken
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)
    assert await reader.read() == b""
    writer.close()
    assert told == []
