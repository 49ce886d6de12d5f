"""What the aiohttp provider makes of answers that the standard does not foresee."""

import asyncio

from oneiric.adapters.http.aiohttp import AiohttpClient

ANSWER = b"HTTP/1.1 200 OK\r\nX-Name: caf\xe9\r\nX-Good: caf\xc3\xa9\r\nContent-Length: 2\r\n\r\nok"


async def test_headers_in_any_bytes_are_text() -> None:
    """UTF-8 where it is that, else Latin-1: a request that was made is not told as failed."""

    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answered, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = AiohttpClient()
        await client.init()
        answer = await client.request("GET", f"http://127.0.0.1:{port}/")
        await client.cleanup()

    assert (answer.headers["x-name"], answer.headers["x-good"]) == ("café", "café")
