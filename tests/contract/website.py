"""A web site to call: echoes, redirects, sends much, slowly, or breaks off."""

import asyncio

from aiohttp import web


async def echo(request: web.Request) -> web.Response:
    """Tell what arrived."""
    return web.json_response(
        {
            "method": request.method,
            "path": request.path_qs,
            "headers": {name.lower(): text for name, text in request.headers.items()},
            "body": (await request.read()).decode("latin-1"),
        }
    )


async def status(request: web.Request) -> web.Response:
    """Answer with the status asked for."""
    headers = {"Retry-After": "7"} if request.match_info["code"] == "429" else {}
    return web.Response(status=int(request.match_info["code"]), headers=headers, text="no")


async def redirect(request: web.Request) -> web.Response:
    """Redirect to `to` with the status `code`."""
    code = int(request.query.get("code", "302"))
    return web.Response(status=code, headers={"Location": request.query["to"]})


async def circle(request: web.Request) -> web.Response:
    """Redirect to itself."""
    return web.Response(status=302, headers={"Location": "/circle"})


async def many(request: web.Request) -> web.StreamResponse:
    """Send as many bytes as asked for, in pieces."""
    answer = web.StreamResponse()
    await answer.prepare(request)
    left = int(request.query["size"])
    while left > 0:
        piece = min(left, 65536)
        await answer.write(b"x" * piece)
        left -= piece
    return answer


async def slow(request: web.Request) -> web.Response:
    """Answer after `for` seconds."""
    await asyncio.sleep(float(request.query["for"]))
    return web.Response(text="late")


async def broken(request: web.Request) -> web.StreamResponse:
    """Promise 100 bytes, send 10, and break off."""
    answer = web.StreamResponse(headers={"Content-Length": "100"})
    await answer.prepare(request)
    await answer.write(b"x" * 10)
    assert request.transport is not None
    request.transport.abort()
    return answer


async def latin(request: web.Request) -> web.Response:
    """Send text in another charset."""
    return web.Response(
        body="é".encode("latin-1"), headers={"Content-Type": "text/plain; charset=latin-1"}
    )


async def cookie(request: web.Request) -> web.Response:
    """Set a cookie."""
    answer = web.Response(text="set")
    answer.set_cookie("session", "s3cret")
    return answer


def website() -> web.Application:
    """Return the site."""
    app = web.Application()
    app.router.add_route("*", "/status/{code}", status)
    app.router.add_route("*", "/redirect", redirect)
    app.router.add_get("/circle", circle)
    app.router.add_get("/many", many)
    app.router.add_get("/slow", slow)
    app.router.add_get("/broken", broken)
    app.router.add_get("/latin", latin)
    app.router.add_get("/cookie", cookie)
    app.router.add_route("*", "/{tail:.*}", echo)
    return app
