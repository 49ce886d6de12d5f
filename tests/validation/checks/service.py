"""A service on loopback that answers in every odd way that checks have to bear."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

PATIENCE_SECONDS = 30.0


@dataclass
class Seen:
    """One request that came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Service:
    """Where it listens, and what it was asked."""

    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    others: str = ""
    under_way: int = 0
    most_under_way: int = 0
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    def at(self, path: str) -> str:
        """Return the address of *path*."""
        return f"{self.url}{path}"

    def asked(self, path: str) -> list[str]:
        """Return the methods by which *path* was asked, in order."""
        return [each.method for each in self.seen if each.path == path]

    def application(self) -> web.Application:
        """Return what serves."""
        application = web.Application(middlewares=[self._watch])
        application.router.add_route("*", "/{path:.*}", self._answer)
        return application

    @web.middleware
    async def _watch(self, request: web.Request, handler: object) -> web.StreamResponse:
        body = await request.read()
        self.seen.append(Seen(request.method, request.path, dict(request.headers), body))
        self.counts[request.path] += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            return await self._answer(request)
        finally:
            self.under_way -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        name = request.path.strip("/").replace("/", "_").replace("-", "_") or "root"
        answer = getattr(self, f"on_{name}", None)
        if answer is None:
            return web.json_response({"error": "no such route"}, status=404)
        found: web.StreamResponse = await answer(request)
        return found

    async def on_health(self, request: web.Request) -> web.StreamResponse:
        """It is well."""
        return web.json_response(
            {"status": "ok", "version": "1.2.3", "items": [{"id": 1}, {"id": 2}]}
        )

    async def on_array(self, request: web.Request) -> web.StreamResponse:
        """JSON that is no table."""
        return web.json_response([1, 2, {"three": 3}])

    async def on_text(self, request: web.Request) -> web.StreamResponse:
        """JSON that is a single text."""
        return web.json_response("fine")

    async def on_html(self, request: web.Request) -> web.StreamResponse:
        """A page of an error, with the status of success."""
        page = "<html><title>Something went wrong</title></html>"
        return web.Response(text=page, content_type="text/html")

    async def on_flapping(self, request: web.Request) -> web.StreamResponse:
        """Every second request fails."""
        return web.json_response({"ok": True}, status=503 if self.counts["/flapping"] % 2 else 200)

    async def on_breaking(self, request: web.Request) -> web.StreamResponse:
        """Every second request gets no answer."""
        if self.counts["/breaking"] % 2 and request.transport is not None:
            request.transport.abort()
        return web.json_response({"ok": True}, headers={"Connection": "close"})

    async def on_limited(self, request: web.Request) -> web.StreamResponse:
        """The first request comes too soon, and is told when to come again."""
        if self.counts["/limited"] == 1:
            return web.Response(status=429, headers={"Retry-After": "7"})
        return web.json_response({"ok": True})

    async def on_patience(self, request: web.Request) -> web.StreamResponse:
        """Every request comes hours too soon."""
        return web.Response(status=503, headers={"Retry-After": "86400"})

    async def on_drip(self, request: web.Request) -> web.StreamResponse:
        """A byte now and then, and never the last."""
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            while not self.let_go.is_set():
                await answer.write(b".")
                await asyncio.sleep(0.02)
        except ConnectionError:
            pass
        return answer

    async def on_huge(self, request: web.Request) -> web.StreamResponse:
        """Far more than anybody wants to keep."""
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            for _ in range(800):
                await answer.write(b"x" * 65536)
        except ConnectionError:
            pass
        return answer

    async def on_hang(self, request: web.Request) -> web.StreamResponse:
        """No answer until it is let go."""
        await self.let_go.wait()
        return web.Response()

    async def on_together(self, request: web.Request) -> web.StreamResponse:
        """An answer once a few are here, or soon."""
        await asyncio.sleep(0.02)
        return web.json_response({"ok": True})

    async def on_cut(self, request: web.Request) -> web.StreamResponse:
        """A connection that breaks instead of an answer."""
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def on_hop(self, request: web.Request) -> web.StreamResponse:
        """Redirect to another path."""
        raise web.HTTPFound("/health")

    async def on_hop_keep(self, request: web.Request) -> web.StreamResponse:
        """Redirect that keeps the method."""
        raise web.HTTPTemporaryRedirect("/echo")

    async def on_hop_round(self, request: web.Request) -> web.StreamResponse:
        """Redirect to itself."""
        raise web.HTTPFound("/hop_round")

    async def on_hop_away(self, request: web.Request) -> web.StreamResponse:
        """Redirect to another host."""
        raise web.HTTPFound(f"{self.others}/health")

    async def on_hop_metadata(self, request: web.Request) -> web.StreamResponse:
        """Redirect to where machines get their credentials."""
        raise web.HTTPFound("http://169.254.169.254/latest/meta-data/")

    async def on_login(self, request: web.Request) -> web.StreamResponse:
        """Hand out a token for a password."""
        body = await request.json()
        if body.get("password") != "hunter2-and-more":
            return web.json_response({"error": f"no, not {body.get('password')}"}, status=401)
        answer = web.json_response({"access": {"bearer": "tok-9f8e7d6c5b"}, "user": {"id": 4711}})
        answer.headers["X-Session"] = "sess-31415926"
        return answer

    async def on_me(self, request: web.Request) -> web.StreamResponse:
        """Say who asks, and repeat what they said, as careless services do."""
        said = request.headers.get("Authorization", "")
        if said != "Bearer tok-9f8e7d6c5b":
            return web.json_response({"error": "who are you?"}, status=401)
        return web.json_response({"name": "Ada", "you_said": said})

    async def on_echo(self, request: web.Request) -> web.StreamResponse:
        """Repeat everything."""
        return web.json_response(
            {
                "method": request.method,
                "path": request.path_qs,
                "headers": dict(request.headers),
                "body": (await request.read()).decode("utf-8", "replace"),
            }
        )

    async def on_secrets(self, request: web.Request) -> web.StreamResponse:
        """Tell what nobody should."""
        return web.json_response({"id": 1, "password": "pa55-w0rd", "nested": [{"api_key": "k-1"}]})

    async def on_create(self, request: web.Request) -> web.StreamResponse:
        """Take POST only."""
        if request.method != "POST":
            raise web.HTTPMethodNotAllowed(request.method, ["POST"])
        return web.json_response({"id": 7}, status=201)

    async def on_long(self, request: web.Request) -> web.StreamResponse:
        """A text that patterns can get lost in."""
        return web.Response(text="a" * 5_000 + "!")


@asynccontextmanager
async def served(trust: ssl.SSLContext | None = None) -> AsyncIterator[Service]:
    """Serve on a free port of loopback."""
    service = Service()
    runner = web.AppRunner(service.application(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=trust)
        await site.start()
        port = runner.addresses[0][1]
        host = "localhost" if trust else "127.0.0.1"
        service.url = f"http{'s' if trust else ''}://{host}:{port}"
        yield service
    finally:
        service.let_go.set()
        await runner.cleanup()
