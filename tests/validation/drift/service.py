"""A small real service that can be broken and repaired, and what counts what it was asked."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from aiohttp import web

from oneiric.adapters.executors.process import ProcessExecutor
from oneiric.ports.drift import DriftReport
from oneiric.validation.providers.drift import ComparingDetector, ComparingDetectorSettings

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CONTRACT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "users", "version": "1"},
    "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
    "paths": {
        "/users": {
            "get": {
                "responses": {
                    "200": {
                        "description": "all",
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "array",
                                    "items": {
                                        "type": "object",
                                        "required": ["id", "email"],
                                        "properties": {
                                            "id": {"type": "integer"},
                                            "email": {"type": "string"},
                                        },
                                    },
                                }
                            }
                        },
                    }
                }
            },
            "post": {"responses": {"201": {"description": "made"}}},
        },
        "/users/{id}": {
            "parameters": [
                {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}
            ],
            "get": {"responses": {"200": {"description": "one"}, "404": {"description": "none"}}},
            "delete": {"responses": {"204": {"description": "gone"}}},
        },
        "/me": {
            "get": {
                "security": [{"bearer": []}],
                "responses": {"200": {"description": "me"}},
            }
        },
    },
}
"""What the service of these tests was meant to be."""


async def users(_: web.Request) -> web.Response:
    """Answer with all."""
    return web.json_response([{"id": 1, "email": "a@example.com"}])


async def made(_: web.Request) -> web.Response:
    """Never called by a detector."""
    return web.json_response({}, status=201)


async def one(request: web.Request) -> web.Response:
    """Answer with one, or that there is none."""
    return web.json_response({}, status=200 if request.match_info["id"] == "1" else 404)


async def me(request: web.Request) -> web.Response:
    """Let in who shows the token."""
    is_known = request.headers.get("Authorization") == "Bearer s3cr3t-token"
    return web.json_response({}, status=200 if is_known else 401)


class Service:
    """An aiohttp application on a free port; its routes are made anew by `start`.

    `contract` is what it serves, None for none. `seen` holds each request that came.
    """

    def __init__(self) -> None:
        self.routes: dict[tuple[str, str], Handler] = {
            ("GET", "/users"): users,
            ("POST", "/users"): made,
            ("GET", "/users/{id}"): one,
            ("DELETE", "/users/{id}"): made,
            ("GET", "/me"): me,
            ("GET", "/health"): self._told("health"),
            ("GET", "/version"): self._told("version"),
            ("GET", "/config"): self._told("config"),
        }
        self.told: dict[str, Any] = {"health": {"status": "pass"}, "version": {}, "config": {}}
        self.contract: dict[str, Any] | None = deepcopy(CONTRACT)
        self.headers: dict[str, str] = {"X-Frame-Options": "DENY"}
        self.seen: list[tuple[str, str]] = []
        self.authorizations: list[str | None] = []
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Serve, or serve anew, as it is now; the port stays."""
        port = int(self.url.rpartition(":")[2]) if self.url else 0
        await self.stop()
        app = web.Application(middlewares=[self._noted])
        for (method, path), handler in self.routes.items():
            app.router.add_route(method, path, handler)
        app.router.add_get("/openapi.json", self._document)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, reuse_address=True)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Serve no more."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def methods_of(self, path: str) -> list[str]:
        """Return by which methods *path* was asked."""
        return [method for method, asked in self.seen if asked == path]

    def _told(self, name: str) -> Handler:
        async def tell(_: web.Request) -> web.Response:
            return web.json_response(self.told[name])

        return tell

    async def _document(self, _: web.Request) -> web.Response:
        if self.contract is None:
            raise web.HTTPNotFound
        return web.json_response(self.contract)

    @web.middleware
    async def _noted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.seen.append((request.method, request.path))
        self.authorizations.append(request.headers.get("Authorization"))
        response = await handler(request)
        response.headers.extend(self.headers)
        return response


@asynccontextmanager
async def serving(service: Service | None = None) -> AsyncIterator[Service]:
    """Start a service, and stop it in the end."""
    service = service or Service()
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


class Programs:
    """Reach one executor, as a link would."""

    def __init__(self) -> None:
        self.executor = ProcessExecutor()

    @asynccontextmanager
    async def use(self) -> AsyncIterator[ProcessExecutor]:
        """Hold it."""
        await self.executor.init()
        yield self.executor


@asynccontextmanager
async def detecting(
    folder: Path, **settings: Any
) -> AsyncIterator[Callable[..., Awaitable[DriftReport]]]:
    """Give what detects drift between a service and the repository in *folder*."""
    async with detector_in(folder, **settings) as detector:

        async def detect(url: str, **asked: Any) -> DriftReport:
            return await detector.detect({"prod_url": url, "repo_path": str(folder), **asked})

        yield detect


@asynccontextmanager
async def detector_in(folder: Path, **settings: Any) -> AsyncIterator[ComparingDetector]:
    """Give a detector whose baselines are below *folder*, and close it in the end."""
    programs = Programs()
    made = ComparingDetectorSettings(baselines=folder / ".oneiric_cache" / "baselines", **settings)
    detector = ComparingDetector(made, executor=programs)
    await detector.init()
    try:
        yield detector
    finally:
        await detector.cleanup()
        await programs.executor.cleanup()


def keep_contract(folder: Path, contract: dict[str, Any] | None = None) -> None:
    """Put a contract into a repository."""
    (folder / "openapi.json").write_text(json.dumps(contract or CONTRACT))


def codes(report: DriftReport) -> list[tuple[str, str]]:
    """Return code and place of each item."""
    return [(item.code, item.place) for item in report.items]


def unsure(report: DriftReport) -> list[tuple[str, str]]:
    """Return kind and place of what was not checked."""
    return [(each.kind, each.place) for each in report.unchecked]


ONLY_ROUTES = {"schema": False, "health": False, "config": False}
"""Checks of a question about routes alone."""


async def for_ever(_: web.Request) -> web.Response:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError
