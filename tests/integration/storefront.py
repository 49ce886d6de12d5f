"""A small real service over TLS with a database, which can be broken in many ways and repaired."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from aiohttp import web
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tests.validation.shop import Shop

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

USER = {
    "type": "object",
    "required": ["id", "email"],
    "properties": {"id": {"type": "integer"}, "email": {"type": "string"}},
}
DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "storefront", "version": "1"},
    "paths": {
        "/users": {
            "get": {
                "responses": {
                    "200": {
                        "description": "all users",
                        "content": {
                            "application/json": {"schema": {"type": "array", "items": USER}}
                        },
                    }
                }
            }
        },
        "/login": {
            "post": {
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "properties": {"email": {"type": "string"}},
                            }
                        }
                    }
                },
                "responses": {"200": {"description": "a token"}},
            }
        },
        "/me": {
            "get": {
                "security": [{"bearer": []}],
                "responses": {"200": {"description": "who is logged in"}},
            }
        },
    },
    "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
}
TOKEN = "tok-3f7a91c2e5d84b6f"
PASSWORD = "correct-horse-battery"


@dataclass
class Storefront:
    """The service, its repository, and what is broken of it now."""

    shop: Shop
    folder: Path
    days: int = 90
    """How long its certificate lasts."""
    gone: set[str] = field(default_factory=set)
    """Paths that answer 404."""
    renamed: bool = False
    """Whether it says `mail` instead of `email`."""
    document: dict[str, object] = field(default_factory=lambda: json.loads(json.dumps(DOCUMENT)))
    """What it serves as its contract."""
    slow_seconds: float = 0.0
    """How long it thinks before it answers about users."""
    is_flapping: bool = False
    """Whether it answers every second request for users with 503."""
    asked: list[str] = field(default_factory=list)
    """Each request that came, as method and path."""
    url: str = ""

    def __post_init__(self) -> None:
        self.shop.write("openapi.json", json.dumps(DOCUMENT))
        self.shop.upgrade()
        self.shop.sql("INSERT INTO users (id, email, name) VALUES (1, 'ann@example.com', 'Ann')")
        self._authority = trustme.CA()
        self.ca_file = self.folder / "authority.pem"
        self._authority.cert_pem.write_to_path(str(self.ca_file))

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve on a free port over TLS until the block ends."""
        until = datetime.now(UTC) + timedelta(days=self.days)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._authority.issue_cert("127.0.0.1", not_after=until).configure_cert(context)
        app = web.Application(middlewares=[self._faults])
        app.router.add_get("/health", self._health)
        app.router.add_get("/", self._health)
        app.router.add_get("/openapi.json", self._contract)
        app.router.add_get("/users", self._users)
        app.router.add_post("/login", self._login)
        app.router.add_get("/me", self._me)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        port = runner.addresses[0][1]
        self.url = f"https://127.0.0.1:{port}"
        try:
            yield self.url
        finally:
            await runner.cleanup()

    @web.middleware
    async def _faults(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        if request.path in self.gone:
            raise web.HTTPNotFound
        if request.path == "/users":
            await asyncio.sleep(self.slow_seconds)
            if self.is_flapping and self.asked.count("GET /users") % 2 == 0:
                raise web.HTTPServiceUnavailable
        return await handler(request)

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _contract(self, _: web.Request) -> web.Response:
        return web.json_response(self.document)

    async def _users(self, _: web.Request) -> web.Response:
        rows = await asyncio.to_thread(self._read)
        name = "mail" if self.renamed else "email"
        return web.json_response([{"id": number, name: email} for number, email in rows])

    def _read(self) -> list[tuple[int, str]]:
        engine = create_engine(self.shop.url, poolclass=NullPool)
        with engine.connect() as connection:
            found = connection.execute(text("SELECT id, email FROM users ORDER BY id")).all()
        engine.dispose()
        return [(int(row[0]), str(row[1])) for row in found]

    async def _login(self, request: web.Request) -> web.Response:
        told = await request.json()
        if (told.get("email"), told.get("password")) != ("ann@example.com", PASSWORD):
            raise web.HTTPUnauthorized
        return web.json_response({"token": TOKEN})

    async def _me(self, request: web.Request) -> web.Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            raise web.HTTPUnauthorized
        return web.json_response({"email": "ann@example.com"})
