"""A small site with pages that are right, wrong, late, and worse."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

PAGE = "<!doctype html><title>{title}</title><body>{body}</body>"
SHOP = """
<h1 id="head">Orders</h1> <p class="total">Total:  3
items</p> <div id="spinner" style="display:none">wait</div>
"""
LATE = """
<div id="spinner">wait</div>
<script>setTimeout(() => {
  document.getElementById("spinner").remove();
  document.body.insertAdjacentHTML("beforeend", "<p id=done>ready</p>");
}, 300)</script>
"""

KEY = "sk-abcdefghijklmnopqrstuvwxyz"
"""What looks like a key, whoever wrote it there."""

SPOILS = """
<script>setTimeout(() => {document.getElementById("spinner").style.display = "block"}, 200)</script>
"""


@dataclass
class Site:
    """Pages on loopback; `heard` are the paths that were asked, with the host that was meant."""

    port: int = 0
    heard: list[str] = field(default_factory=list)
    others: dict[str, str] = field(default_factory=dict)
    waits: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """The address of the site."""
        return f"http://127.0.0.1:{self.port}"

    def paths(self) -> list[str]:
        """Return what was asked besides the icon."""
        return [path for path in self.heard if path != "/favicon.ico"]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer by the path."""
        path, elsewhere = request.path, self.others.get("url", "")
        self.heard.append(path)
        if path == "/away":
            raise web.HTTPFound(f"{elsewhere}/shop")
        if path == "/silent":
            self.waits.set()
            await self.release.wait()
        if path == "/private" and not request.headers.get("Authorization"):
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        if path == "/breaks" and request.transport is not None:
            request.transport.abort()
        token = request.query.get("token", "")
        bodies = {
            "/shop": SHOP,
            "/late": LATE,
            "/broken": "<script>console.error('no'); null.x</script>",
            "/strangers": f"<h1>ours</h1><img src='{elsewhere}/pixel'>",
            "/flaps": "" if self.heard.count("/flaps") == 1 else SHOP,
            "/spoils": SHOP + SPOILS,
            "/leaves": f"{SHOP}<script>location = '/nowhere'</script>",
            "/lost": f"{SHOP}<script>location = '{elsewhere.replace('http', 'https')}'</script>",
            "/dead": f"{SHOP}<script>location = '/breaks'</script>",
            "/empties": f"{SHOP}<script>location = 'about:blank'</script>",
            "/shows": f"{SHOP}<p>key: {KEY}</p><script>console.error('{KEY}')</script>",
            "/waits": f"{SHOP}<img src=/silent>",
            "/stuck": "<script>while (true) {}</script>",
            "/private": "<h1>welcome</h1>",
            "/secret": f"<p id=t>{token}</p><script>console.error('{token}')</script>",
        }
        if path not in bodies:
            raise web.HTTPNotFound
        text = PAGE.format(title=path.strip("/").capitalize(), body=bodies[path])
        return web.Response(text=text, content_type="text/html")


@asynccontextmanager
async def serving() -> AsyncIterator[Site]:
    """Serve the site on loopback."""
    site = Site()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", site.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True, access_log=None)
    await runner.setup()
    place = web.TCPSite(runner, "127.0.0.1", 0)
    await place.start()
    site.port = place.port
    try:
        yield site
    finally:
        await runner.cleanup()
